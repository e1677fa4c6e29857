//! The license: who may run it, decided from facts read on chain.
//!
//! A license is one token of an [ERC-721](https://eips.ethereum.org/EIPS/eip-721) collection. While an
//! [ERC-4907](https://eips.ethereum.org/EIPS/eip-4907) rental runs, its renter (or the renter's delegate)
//! may run it; else its holder (or the holder's delegate). The backend and the CLI each read the facts
//! over their own RPC and call [`Ownership::right_of`]. Times are seconds since 1970, as contracts have
//! them.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::Address;
//! use nodesys_core::license::{Ownership, Rental, Right};
//!
//! let [alice, bob, carol] = [0xa1, 0xb0, 0xca].map(Address::repeat_byte);
//! let rental = Some(Rental { renter: bob, until_secs: 1_800_000_000 });
//! let rented = Ownership { holder: Some(alice), rental };
//! assert_eq!(rented.right_of(bob, false), Right::Renter { until_secs: 1_800_000_000 });
//! assert_eq!(rented.right_of(alice, false), Right::None, "she has let it");
//! assert_eq!(rented.right_of(carol, true), Right::Delegate { from: bob });
//! ```

use std::fmt;

use alloy_primitives::{Address, B256, U256, b256, keccak256};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// delegate.xyz rights under which a delegate may run a license: `keccak256("nodesys.operate.v1")`.
pub const OPERATE_RIGHTS: B256 =
    b256!("e2beee89a7c925fff0284f7380387ff8a7f69884b7e4c8c1bca51f7d51a00b3f");

/// One license: a token of a collection on a chain.
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
pub struct LicenseId {
    /// The chain the collection lives on.
    #[schema(value_type = String, example = "31337")]
    #[serde(with = "crate::message::decimal")]
    pub chain_id: u64,
    /// The ERC-721 contract.
    #[schema(value_type = String)]
    pub collection: Address,
    /// The token, as a decimal string in JSON.
    #[schema(value_type = String)]
    #[serde(with = "crate::message::decimal")]
    pub token_id: U256,
}

impl LicenseId {
    /// `keccak256(abi.encode(chainId, collection, tokenId))`: the license in signed messages.
    pub fn hash(&self) -> B256 {
        // Each value is padded to a word, so no two licenses have the same bytes.
        keccak256((U256::from(self.chain_id), self.collection, self.token_id).abi_encode())
    }
}

impl fmt::Display for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.token_id)
    }
}

/// A running ERC-4907 rental.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rental {
    /// The user of the token.
    pub renter: Address,
    /// `userExpires`: the last second of the rental, seconds since 1970.
    pub until_secs: u64,
}

/// What the chain says of a license at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The token's owner; `None` where the token does not exist.
    pub holder: Option<Address>,
    /// The rental that runs at the block's time, if one does.
    pub rental: Option<Rental>,
}

/// Why an operator may run a license, or that it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Right {
    /// The operator owns the token, and no rental runs.
    Holder,
    /// The operator rents the token.
    Renter {
        /// The last second of the rental.
        until_secs: u64,
    },
    /// The holder, or the renter while a rental runs, has delegated it (delegate.xyz v2).
    Delegate {
        /// Who delegated.
        from: Address,
    },
    /// Whoever it would be: the license has expired (ERC-5643), and nobody may run it.
    Expired {
        /// The first second in which it was not valid.
        at_secs: u64,
    },
    /// None of these.
    None,
}

impl Right {
    /// Whether the license may be run.
    pub const fn allows(self) -> bool {
        !matches!(self, Self::None | Self::Expired { .. })
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holder => f.write_str("holder"),
            Self::Renter { until_secs } => {
                write!(f, "renter until {}", Timestamp::from_secs(*until_secs))
            }
            Self::Delegate { from } => write!(f, "delegate of {from}"),
            Self::Expired { at_secs } => {
                write!(f, "none: expired at {}", Timestamp::from_secs(*at_secs))
            }
            Self::None => f.write_str("none"),
        }
    }
}

impl Ownership {
    /// The one account whose word counts: the renter while a rental runs, else the holder.
    pub fn principal(&self) -> Option<Address> {
        let holder = self.holder?;
        Some(self.rental.map_or(holder, |rental| rental.renter))
    }

    /// Decides the operator's right. `delegated` says whether the delegate registry answers true
    /// for (operator, from = [`Self::principal`], this token, [`OPERATE_RIGHTS`]).
    pub fn right_of(&self, operator: Address, delegated: bool) -> Right {
        match (self.principal(), self.rental) {
            (None, _) => Right::None,
            (Some(principal), Some(rental)) if principal == operator => {
                Right::Renter { until_secs: rental.until_secs }
            }
            (Some(principal), None) if principal == operator => Right::Holder,
            (Some(from), _) if delegated => Right::Delegate { from },
            _ => Right::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Address = Address::repeat_byte(0xa1);
    const BOB: Address = Address::repeat_byte(0xb0);

    #[test]
    fn rights_constant_is_the_hash_of_its_name() {
        assert_eq!(OPERATE_RIGHTS, keccak256("nodesys.operate.v1"));
    }

    #[test]
    fn a_rental_takes_the_right_from_the_holder() {
        let held = Ownership { holder: Some(ALICE), rental: None };
        let rented = Ownership { rental: Some(Rental { renter: BOB, until_secs: 9 }), ..held };
        assert_eq!(held.right_of(ALICE, false), Right::Holder);
        assert_eq!(held.right_of(BOB, false), Right::None);
        assert_eq!(held.right_of(BOB, true), Right::Delegate { from: ALICE });
        assert_eq!(rented.right_of(ALICE, false), Right::None);
        assert_eq!(rented.right_of(BOB, false), Right::Renter { until_secs: 9 });
        assert_eq!(rented.right_of(ALICE, true), Right::Delegate { from: BOB });
        assert!(!Right::Expired { at_secs: 9 }.allows() && !Right::None.allows());
        let burnt = Ownership { holder: None, rental: None };
        assert_eq!(burnt.right_of(ALICE, true), Right::None);
    }
}
