//! Between raw columns and parsed values: a row that does not fit its type is a broken database.

use anyhow::{Context, anyhow};
use nodesys_core::ids::Amount;
use nodesys_core::{Address, B256, U256};

/// A 20-byte column.
pub(crate) fn address(bytes: &[u8]) -> anyhow::Result<Address> {
    Address::try_from(bytes).map_err(|_| anyhow!("not an address: {} bytes", bytes.len()))
}

/// A 32-byte column.
pub(crate) fn hash(bytes: &[u8]) -> anyhow::Result<B256> {
    B256::try_from(bytes).map_err(|_| anyhow!("not a hash: {} bytes", bytes.len()))
}

/// A 32-byte big-endian number.
pub(crate) fn uint256(bytes: &[u8]) -> anyhow::Result<U256> {
    Ok(hash(bytes)?.into())
}

/// `numeric` read as text.
pub(crate) fn amount(text: &str) -> anyhow::Result<Amount> {
    text.parse().with_context(|| format!("not an amount: {text:?}"))
}

/// A number the schema keeps non-negative.
pub(crate) fn unsigned<T: TryInto<u64>>(value: T) -> anyhow::Result<u64> {
    value.try_into().map_err(|_| anyhow!("a negative number where none can be"))
}

/// For `bigint` columns.
pub(crate) fn signed(value: u64) -> anyhow::Result<i64> {
    i64::try_from(value).context("a number of 2^63 or more")
}
