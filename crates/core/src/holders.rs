//! Holders and renters of a project's licenses at the snapshot block, folded from event logs.
//!
//! The fold takes `Transfer` ([ERC-721](https://eips.ethereum.org/EIPS/eip-721)) and `UpdateUser`
//! ([ERC-4907](https://eips.ethereum.org/EIPS/eip-4907)) logs in chain order up to the
//! snapshot block, so neither an archive node nor a call per token is needed. Logs are the public facts:
//! a license whose logs contradict themselves, or that has none, counts for nobody ([`Uncounted`]), whatever
//! calls of its contract say.
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
//!     LicenseEvent::Transfer { collection, token_id, from: Address::ZERO, to: alice },
//!     LicenseEvent::UpdateUser { collection, token_id, user: bob, expires_secs: 1_800_000_000 },
//! ]
//! .into_iter()
//! .collect();
//! let principal_at = |secs| holders.at(collection, token_id, secs).principal();
//! assert_eq!(principal_at(1_800_000_000), Some(bob), "in the rental's last second");
//! assert_eq!(principal_at(1_800_000_001), Some(alice));
//! ```

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::files::{Format, HolderRow, Row, UptimeRow};
use crate::ids::{LicenseIndex, ParseError};
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
        /// Whom it is taken from; zero where it is minted.
        from: Address,
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

/// Why a license counts for nobody on a day: by its logs nobody can tell who holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Uncounted {
    /// No log transfers or rents it: it was minted without one, or not at all.
    NoTransfer,
    /// It is rented before any log mints it.
    RentedBeforeTransfer,
    /// A log takes it from somebody who does not hold it by the logs before.
    TakenFromAnother,
}

impl Uncounted {
    const ALL: [Self; 3] = [Self::NoTransfer, Self::RentedBeforeTransfer, Self::TakenFromAnother];

    /// The reason in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoTransfer => "no_transfer",
            Self::RentedBeforeTransfer => "rented_before_transfer",
            Self::TakenFromAnother => "taken_from_another",
        }
    }
}

impl FromStr for Uncounted {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| {
            ParseError::new("reason", "not one that licenses are left out for", text)
        })
    }
}

/// In words, for people.
impl fmt::Display for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTransfer => "no log of its collection transfers it",
            Self::RentedBeforeTransfer => "it is rented, and no log before mints it",
            Self::TakenFromAnother => {
                "a log takes it from somebody who does not hold it by the logs before"
            }
        })
    }
}

/// A row of `uncounted.csv`: a license that counts for nobody on this day, and why. Its row of
/// `holders.csv` names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UncountedRow {
    /// The dense index.
    pub license: LicenseIndex,
    /// Why.
    pub reason: Uncounted,
}

impl Row for UncountedRow {
    const FILE: &'static str = "uncounted.csv";
    const HEADER: &'static str = "license,reason";
    type Key = LicenseIndex;

    fn key(&self) -> LicenseIndex {
        self.license
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        write!(out, "{},{}", self.license, self.reason.as_str())
    }

    fn read(columns: &[&str]) -> Result<Self, String> {
        let license = columns[0].parse().map_err(|error: ParseError| error.to_string())?;
        let reason = columns[1].parse().map_err(|error: ParseError| error.to_string())?;
        Ok(Self { license, reason })
    }
}

/// Who holds the licenses of a day, by license: the rows of `holders.csv` and `uncounted.csv`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayHolders {
    /// One for each license.
    pub rows: Vec<HolderRow>,
    /// One for each license that counts for nobody; none in days of [`Format::One`].
    pub uncounted: Vec<UncountedRow>,
}

/// Holders and rentals as of the last event applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    tokens: BTreeMap<(Address, U256), Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    holder: Address,
    rental: Rental,
    /// The first contradiction; what comes later does not undo it.
    contradiction: Option<Uncounted>,
}

const NOBODYS: Ownership = Ownership { holder: None, rental: None };
const NO_RENTAL: Rental = Rental { renter: Address::ZERO, until_secs: 0 };

impl Holders {
    /// Applies one event; they must come in chain order.
    pub fn apply(&mut self, event: LicenseEvent) {
        let (LicenseEvent::Transfer { collection, token_id, .. }
        | LicenseEvent::UpdateUser { collection, token_id, .. }) = event;
        let known = self.tokens.contains_key(&(collection, token_id));
        let token = self.tokens.entry((collection, token_id)).or_insert(Token {
            holder: Address::ZERO,
            rental: NO_RENTAL,
            contradiction: None,
        });
        match event {
            // A transfer alone ends no rental: a collection that ends it logs `UpdateUser` too.
            LicenseEvent::Transfer { from, to, .. } => {
                if token.holder != from {
                    token.contradiction.get_or_insert(Uncounted::TakenFromAnother);
                }
                token.holder = to;
            }
            LicenseEvent::UpdateUser { user, expires_secs, .. } => {
                if !known {
                    token.contradiction.get_or_insert(Uncounted::RentedBeforeTransfer);
                }
                token.rental = Rental { renter: user, until_secs: expires_secs };
            }
        }
    }

    /// Why a license counts for nobody, if its logs do not tell who holds it.
    pub fn uncounted(&self, collection: Address, token_id: U256) -> Option<Uncounted> {
        match self.tokens.get(&(collection, token_id)) {
            None => Some(Uncounted::NoTransfer),
            Some(token) => token.contradiction,
        }
    }

    /// The facts of one license at a block's time (seconds since 1970).
    ///
    /// A rental runs through its last second, as ERC-4907's `userOf` has it.
    pub fn at(&self, collection: Address, token_id: U256, block_secs: u64) -> Ownership {
        let Some(Token { holder, rental, .. }) = self.tokens.get(&(collection, token_id)) else {
            return NOBODYS;
        };
        let runs = !rental.renter.is_zero() && rental.until_secs >= block_secs;
        Ownership {
            holder: (!holder.is_zero()).then_some(*holder),
            rental: runs.then_some(*rental),
        }
    }

    /// The facts of one license at a block's time (seconds since 1970), as far as they count.
    ///
    /// # Errors
    ///
    /// Why it counts for nobody.
    pub fn counted_at(
        &self,
        collection: Address,
        token_id: U256,
        block_secs: u64,
    ) -> Result<Ownership, Uncounted> {
        match self.uncounted(collection, token_id) {
            Some(reason) => Err(reason),
            None => Ok(self.at(collection, token_id, block_secs)),
        }
    }

    /// Who holds the licenses of a day, in their order, at a block's time (seconds since 1970). No
    /// holder, or no renter, is the zero address. In days of [`Format::One`] the last log of a license
    /// decided, also where it contradicted the ones before.
    pub fn of_day(&self, uptime: &[UptimeRow], block_secs: u64, format: Format) -> DayHolders {
        let mut day = DayHolders::default();
        for row in uptime {
            let (license, collection, token_id) = (row.license, row.collection, row.token_id);
            let counted = match format {
                Format::One => Ok(self.at(collection, token_id, block_secs)),
                Format::Two => self.counted_at(collection, token_id, block_secs),
            };
            let owned = counted.unwrap_or_else(|reason| {
                day.uncounted.push(UncountedRow { license, reason });
                NOBODYS
            });
            day.rows.push(HolderRow {
                license,
                holder: owned.holder.unwrap_or_default(),
                renter: owned.rental.map(|rental| rental.renter).unwrap_or_default(),
            });
        }
        day
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
    use crate::files::{parse_file, write_file};

    const COLLECTION: Address = Address::repeat_byte(1);
    const ALICE: Address = Address::repeat_byte(2);
    const BOB: Address = Address::repeat_byte(3);
    const CAROL: Address = Address::repeat_byte(4);
    const NOBODY: Address = Address::ZERO;

    fn transfer(number: u64, from: Address, to: Address) -> LicenseEvent {
        LicenseEvent::Transfer { collection: COLLECTION, token_id: U256::from(number), from, to }
    }

    fn rental(number: u64, user: Address, expires_secs: u64) -> LicenseEvent {
        let token_id = U256::from(number);
        LicenseEvent::UpdateUser { collection: COLLECTION, token_id, user, expires_secs }
    }

    fn uptime(number: u32) -> UptimeRow {
        UptimeRow {
            license: LicenseIndex(number),
            collection: COLLECTION,
            token_id: U256::from(number),
            minutes: 0,
            expected: 0,
            bitmap: DayBitmap::EMPTY,
        }
    }

    fn row(license: u32, holder: Address, renter: Address) -> HolderRow {
        HolderRow { license: LicenseIndex(license), holder, renter }
    }

    #[test]
    fn a_day_has_a_row_for_each_license_also_for_one_that_nobody_holds() {
        let events = [transfer(7, NOBODY, ALICE), rental(7, CAROL, 100)];
        let holders: Holders = events.into_iter().collect();
        let uptime = [8, 7].map(uptime);
        for format in [Format::One, Format::Two] {
            let of = |secs| holders.of_day(&uptime, secs, format).rows;
            assert_eq!(of(100), [row(8, NOBODY, NOBODY), row(7, ALICE, CAROL)]);
            assert_eq!(of(101), [row(8, NOBODY, NOBODY), row(7, ALICE, NOBODY)]);
        }
    }

    #[test]
    fn a_rental_survives_transfer_and_ends_by_itself() {
        let events = [transfer(1, NOBODY, ALICE), rental(1, CAROL, 100), transfer(1, ALICE, BOB)];
        let holders: Holders = events.into_iter().collect();
        let (one, two) = (U256::from(1), U256::from(2));
        let rental = Rental { renter: CAROL, until_secs: 100 };
        let during = holders.at(COLLECTION, one, 100);
        assert_eq!(during, Ownership { holder: Some(BOB), rental: Some(rental) });
        assert_eq!(holders.at(COLLECTION, one, 101).principal(), Some(BOB));
        assert_eq!(holders.at(COLLECTION, two, 1).principal(), None);
    }

    #[test]
    fn a_license_whose_logs_contradict_themselves_counts_for_nobody_and_the_others_are_as_they_were()
     {
        let holders: Holders = [
            // Rented, and only then minted, and sold: the first contradiction is the reason.
            rental(1, CAROL, 100),
            transfer(1, NOBODY, ALICE),
            // Minted without a log (ERC-2309), and sold with one.
            transfer(2, ALICE, BOB),
            // Minted twice.
            transfer(3, NOBODY, ALICE),
            transfer(3, NOBODY, BOB),
            // Burnt, and minted again: no contradiction.
            transfer(4, NOBODY, ALICE),
            transfer(4, ALICE, NOBODY),
            transfer(4, NOBODY, BOB),
        ]
        .into_iter()
        .collect();
        let uptime = [1, 2, 3, 4, 5].map(uptime);
        let two = holders.of_day(&uptime, 100, Format::Two);
        let nobody = |license| row(license, NOBODY, NOBODY);
        assert_eq!(two.rows, [nobody(1), nobody(2), nobody(3), row(4, BOB, NOBODY), nobody(5)]);
        let file = "license,reason\n1,rented_before_transfer\n2,taken_from_another\n\
                    3,taken_from_another\n5,no_transfer\n";
        assert_eq!(write_file(&two.uncounted), file);
        assert_eq!(parse_file(file.as_bytes()), Ok(two.uncounted));
        // The rule of old days.
        let one = holders.of_day(&uptime, 100, Format::One);
        assert_eq!(one.uncounted, []);
        assert_eq!(one.rows[..3], [row(1, ALICE, CAROL), row(2, BOB, NOBODY), row(3, BOB, NOBODY)]);
    }
}
