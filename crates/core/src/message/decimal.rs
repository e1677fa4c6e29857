//! 64-bit and 256-bit numbers as decimal strings in JSON.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::message::decimal;
//!
//! #[derive(serde::Deserialize)]
//! struct Call {
//!     #[serde(with = "decimal")]
//!     nonce: u64,
//! }
//! let call: Call = serde_json::from_str(r#"{"nonce":"18446744073709551615"}"#)?;
//! assert_eq!(call.nonce, u64::MAX);
//! assert!(serde_json::from_str::<Call>(r#"{"nonce":7}"#).is_err(), "a number is no string");
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serializer, de};

use crate::ids::plain_decimal;

/// Writes the decimal digits.
///
/// # Errors
///
/// The serializer's own.
pub fn serialize<T: Display, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

/// Reads decimal digits only: no sign, no hex, no leading zero.
///
/// # Errors
///
/// The deserializer's own, and anything that is not such a number or not in the type's range.
pub fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    let text = String::deserialize(d)?;
    let parsed = if plain_decimal(&text) { text.parse().ok() } else { None };
    parsed.ok_or_else(|| de::Error::custom(format!("not a decimal number in range: {text:.80?}")))
}

/// The same for a [`Minute`].
pub(super) mod minute {
    use serde::{Deserializer, Serializer};

    use crate::time::Minute;

    pub(in crate::message) fn serialize<S: Serializer>(
        minute: &Minute,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        super::serialize(&minute.0, s)
    }

    pub(in crate::message) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Minute, D::Error> {
        super::deserialize(d).map(Minute)
    }
}
