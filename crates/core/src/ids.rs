//! Ids and amounts, one type each, parsed once at the edge.
//!
//! A value of one of these types is always in range: an [`Amount`] is below 2^128, [`Points`] are
//! below 2^63, a [`Name`] matches the registry's grammar. Amounts and 64-bit numbers are decimal
//! strings in JSON, because JavaScript's numbers end at 2^53.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::ids::{Name, Points};
//!
//! let name: Name = "acme-render".parse()?;
//! assert_eq!(name.as_str(), "acme-render");
//! assert!(["Acme", "-acme", "a_b", ""].iter().all(|text| text.parse::<Name>().is_err()));
//! assert_eq!("9223372036854775807".parse(), Ok(Points::MAX));
//! assert!("9223372036854775808".parse::<Points>().is_err(), "2^63");
//! # Ok::<(), nodesys_core::ids::ParseError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A value outside its type's range or grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}: {value:?}")]
pub struct ParseError {
    what: &'static str,
    problem: &'static str,
    value: String,
}

impl ParseError {
    /// An error that names the type, the problem, and (at most 80 characters of) the value.
    pub fn new(what: &'static str, problem: &'static str, value: impl fmt::Display) -> Self {
        // The value is a stranger's, and may be of any length.
        let value: String = value.to_string().chars().take(80).collect();
        Self { what, problem, value }
    }
}

/// Decimal digits only: no sign, no space, no leading zero, so that a number has one spelling.
pub(crate) fn plain_decimal(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'))
}

macro_rules! decimal_newtype {
    ($(#[$doc:meta])* $name:ident($inner:ty), max $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name($inner);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The largest value of this type.
            pub const MAX: Self = Self($max);

            /// The value, or `None` where it is above [`Self::MAX`].
            pub const fn checked_new(value: $inner) -> Option<Self> {
                if value <= $max { Some(Self(value)) } else { None }
            }

            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The sum, or `None` where it leaves the range.
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Self::checked_new(sum),
                    None => None,
                }
            }

            /// The difference, or `None` below zero.
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                if !plain_decimal(text) {
                    return Err(ParseError::new(stringify!($name), "not a plain decimal number", text));
                }
                text.parse()
                    .ok()
                    .and_then(Self::checked_new)
                    .ok_or_else(|| ParseError::new(stringify!($name), "too large", text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

decimal_newtype! {
    /// An amount of a project's token in its smallest unit (wei), below 2^128.
    ///
    /// # Examples
    ///
    /// ```
    /// use nodesys_core::ids::Amount;
    ///
    /// let wei: Amount = "1500000000000000000".parse()?;
    /// assert_eq!(wei, Amount::new(15 * 10_u128.pow(17)));
    /// assert_eq!(wei.checked_sub(Amount::MAX), None);
    /// assert_eq!(serde_json::to_string(&wei)?, "\"1500000000000000000\"");
    /// // A number has one spelling, so that a file has one hash.
    /// assert!(["+1", "01", "1e18", ""].iter().all(|text| text.parse::<Amount>().is_err()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Amount(u128), max u128::MAX
}
// The numbers below end at 2^63 because a bigint of Postgres is signed.
decimal_newtype! {
    /// The integer points of one license for one day, below 2^63. The unit is the project's own.
    Points(u64), max i64::MAX.cast_unsigned()
}
decimal_newtype! {
    /// The fencing number of a lease: rises with every change of node.
    Fence(u64), max i64::MAX.cast_unsigned()
}
decimal_newtype! {
    /// A heartbeat's sequence number, rising with every heartbeat a node key signs.
    Seq(u64), max i64::MAX.cast_unsigned()
}
decimal_newtype! {
    /// A task's number in its project's queue.
    TaskId(u64), max i64::MAX.cast_unsigned()
}

impl Amount {
    /// An amount in wei.
    pub const fn new(value: u128) -> Self {
        Self(value)
    }

    /// The amount as the contract holds it.
    pub fn to_u256(self) -> alloy_primitives::U256 {
        alloy_primitives::U256::from(self.0)
    }

    /// From the contract's `uint256`; `None` at 2^128 and above.
    pub fn from_u256(value: alloy_primitives::U256) -> Option<Self> {
        u128::try_from(value).ok().map(Self)
    }
}

/// The backend's dense index of a license: small, stable, and the row order of every day file.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct LicenseIndex(pub u32);

impl fmt::Display for LicenseIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for LicenseIndex {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if !plain_decimal(text) {
            return Err(ParseError::new("license index", "not a plain decimal number", text));
        }
        text.parse().map(Self).map_err(|_| ParseError::new("license index", "too large", text))
    }
}

/// A project's or workload's name: 1 to 32 of `a-z 0-9 -`, no dash at either end.
///
/// The same grammar is enforced by `ProjectRegistry`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > 32 {
            Err(ParseError::new("name", "must have 1 to 32 characters", text))
        } else if !text.bytes().all(good) || text.starts_with('-') || text.ends_with('-') {
            Err(ParseError::new("name", "only a-z, 0-9 and inner dashes are allowed", text))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!("1000".parse::<Amount>(), Ok(Amount::new(1000)));
        for bad in ["", "-1", "+1", "01", " 1", "1.0", "1e3", "0x1"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn points_end_below_two_to_the_63() {
        assert_eq!("9223372036854775807".parse::<Points>().ok(), Some(Points::MAX));
        assert!("9223372036854775808".parse::<Points>().is_err());
        assert_eq!(Points::MAX.checked_add(Points::checked_new(1).unwrap()), None);
    }

    #[test]
    fn amounts_are_strings_in_json() {
        let json = serde_json::to_string(&Amount::MAX).unwrap();
        assert_eq!(json, format!("\"{}\"", u128::MAX));
        assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), Amount::MAX);
        assert!(serde_json::from_str::<Amount>("5").is_err());
    }

    #[test]
    fn names_follow_the_registry() {
        assert!("gpu-render".parse::<Name>().is_ok());
        for bad in ["", "-a", "a-", "A", "a b", "a_b", &"a".repeat(33)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }
}
