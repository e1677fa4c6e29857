//! Holders and renters of a project's licenses at the snapshot block, folded from event logs.
//!
//! The fold takes `Transfer` ([ERC-721](https://eips.ethereum.org/EIPS/eip-721)) and `UpdateUser`
//! ([ERC-4907](https://eips.ethereum.org/EIPS/eip-4907)) logs in chain order up to the
//! snapshot block, so neither an archive node nor a call per token is needed.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::holders::{Holders, LicenseEvent};
//! use nodesys_core::{Address, U256};
//!
//! let [collection, alice, bob] = [0xcc, 0xa1, 0xb0].map(Address::repeat_byte);
//! let token_id = U256::from(1);
//! let holders: Holders = [
//!     LicenseEvent::Transfer { collection, token_id, to: alice },
//!     LicenseEvent::UpdateUser { collection, token_id, user: bob, expires_secs: 1_800_000_000 },
//! ]
//! .into_iter()
//! .collect();
//! let principal_at = |secs| holders.at(collection, token_id, secs).principal();
//! assert_eq!(principal_at(1_800_000_000), Some(bob), "in the rental's last second");
//! assert_eq!(principal_at(1_800_000_001), Some(alice));
//! ```

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};

use crate::files::{HolderRow, UptimeRow};
use crate::license::{Ownership, Rental};

/// One log of a license collection, in chain order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LicenseEvent {
    /// ERC-721 `Transfer`; `to` is zero where the token is burnt.
    Transfer {
        /// The collection that logged it.
        collection: Address,
        /// The token.
        token_id: U256,
        /// Its new holder.
        to: Address,
    },
    /// ERC-4907 `UpdateUser`.
    UpdateUser {
        /// The collection that logged it.
        collection: Address,
        /// The token.
        token_id: U256,
        /// Its new renter, zero for none.
        user: Address,
        /// Last second of the rental.
        expires_secs: u64,
    },
}

/// Holders and rentals as of the last event applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    tokens: BTreeMap<(Address, U256), (Address, Rental)>,
}

const NO_RENTAL: Rental = Rental { renter: Address::ZERO, until_secs: 0 };

impl Holders {
    /// Applies one event; they must come in chain order.
    pub fn apply(&mut self, event: LicenseEvent) {
        match event {
            // A transfer alone ends no rental: a collection that ends it logs `UpdateUser` too.
            LicenseEvent::Transfer { collection, token_id, to } => {
                self.tokens.entry((collection, token_id)).or_insert((to, NO_RENTAL)).0 = to;
            }
            LicenseEvent::UpdateUser { collection, token_id, user, expires_secs } => {
                // A token without a transfer has no holder: logs before this one are missing, and who
                // compares with the chain's state finds out.
                let rental = Rental { renter: user, until_secs: expires_secs };
                self.tokens.entry((collection, token_id)).or_insert((Address::ZERO, rental)).1 =
                    rental;
            }
        }
    }

    /// The facts of one license at a block's time (seconds since 1970).
    ///
    /// A rental runs through its last second, as ERC-4907's `userOf` has it.
    pub fn at(&self, collection: Address, token_id: U256, block_secs: u64) -> Ownership {
        let Some((holder, rental)) = self.tokens.get(&(collection, token_id)) else {
            return Ownership { holder: None, rental: None };
        };
        let runs = !rental.renter.is_zero() && rental.until_secs >= block_secs;
        Ownership {
            holder: (!holder.is_zero()).then_some(*holder),
            rental: runs.then_some(*rental),
        }
    }

    /// `holders.csv` of the licenses of a day, in their order, at a block's time (seconds since
    /// 1970). No holder, or no renter, is the zero address.
    pub fn rows(&self, uptime: &[UptimeRow], block_secs: u64) -> Vec<HolderRow> {
        let row = |row: &UptimeRow| {
            let owned = self.at(row.collection, row.token_id, block_secs);
            HolderRow {
                license: row.license,
                holder: owned.holder.unwrap_or_default(),
                renter: owned.rental.map(|rental| rental.renter).unwrap_or_default(),
            }
        };
        uptime.iter().map(row).collect()
    }
}

impl FromIterator<LicenseEvent> for Holders {
    fn from_iter<I: IntoIterator<Item = LicenseEvent>>(events: I) -> Self {
        let mut holders = Self::default();
        events.into_iter().for_each(|event| holders.apply(event));
        holders
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitmap::DayBitmap;
    use crate::ids::LicenseIndex;

    #[test]
    fn a_day_has_a_row_for_each_license_also_for_one_that_nobody_holds() {
        let (collection, alice, carol) =
            (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(4));
        let token = |number| U256::from(number);
        let holders: Holders = [
            LicenseEvent::Transfer { collection, token_id: token(7), to: alice },
            LicenseEvent::UpdateUser {
                collection,
                token_id: token(7),
                user: carol,
                expires_secs: 100,
            },
        ]
        .into_iter()
        .collect();
        let uptime = [8, 7].map(|number| UptimeRow {
            license: LicenseIndex(number),
            collection,
            token_id: token(number),
            minutes: 0,
            expected: 0,
            bitmap: DayBitmap::EMPTY,
        });
        let nobody = Address::ZERO;
        let row =
            |license, holder, renter| HolderRow { license: LicenseIndex(license), holder, renter };
        assert_eq!(holders.rows(&uptime, 100), [row(8, nobody, nobody), row(7, alice, carol)]);
        assert_eq!(holders.rows(&uptime, 101), [row(8, nobody, nobody), row(7, alice, nobody)]);
    }

    #[test]
    fn a_rental_survives_transfer_and_ends_by_itself() {
        let (collection, one) = (Address::repeat_byte(1), U256::from(1));
        let (alice, bob, carol) =
            (Address::repeat_byte(2), Address::repeat_byte(3), Address::repeat_byte(4));
        let holders: Holders = [
            LicenseEvent::Transfer { collection, token_id: one, to: alice },
            LicenseEvent::UpdateUser { collection, token_id: one, user: carol, expires_secs: 100 },
            LicenseEvent::Transfer { collection, token_id: one, to: bob },
        ]
        .into_iter()
        .collect();
        let rental = Rental { renter: carol, until_secs: 100 };
        let during = holders.at(collection, one, 100);
        assert_eq!(during, Ownership { holder: Some(bob), rental: Some(rental) });
        assert_eq!(holders.at(collection, one, 101).principal(), Some(bob));
        assert_eq!(holders.at(collection, U256::from(2), 1).principal(), None);
    }
}
