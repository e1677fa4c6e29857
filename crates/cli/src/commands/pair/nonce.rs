//! Nonces, as they are typed.

use nodesys_core::U256;

pub(crate) fn nonce(text: &str) -> Result<U256, String> {
    U256::from_str_radix(text, 10).map_err(|_| "expected a decimal number".to_owned())
}
