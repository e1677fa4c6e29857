//! Uptime: what a closed day says of a license's minutes, and the hash that fixes all of it.
//!
//! The example of [`crate::bundle::build_day`] checks a signed day.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::bitmap::DayBitmap;
//! use nodesys_core::files::UptimeRow;
//! use nodesys_core::ids::LicenseIndex;
//! use nodesys_core::uptime::{MILLION, ratio_ppm};
//! use nodesys_core::{Address, U256};
//!
//! // Leased from 06:00 on, seen from noon on: 720 of 1,080 expected minutes.
//! let bitmap = DayBitmap::from_minute_on(720);
//! let row = UptimeRow {
//!     license: LicenseIndex(0),
//!     collection: Address::repeat_byte(0xcc),
//!     token_id: U256::from(1),
//!     minutes: bitmap.count(),
//!     expected: 1080,
//!     bitmap,
//! };
//! assert_eq!(ratio_ppm(&row, DayBitmap::EMPTY), 666_666);
//! assert_eq!(ratio_ppm(&row, !bitmap), MILLION, "excused minutes count neither way");
//! ```

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

use crate::bitmap::DayBitmap;
use crate::files::UptimeRow;
use crate::merkle;
use crate::message::{DayClosed, Domain, Signed};
use crate::signature::SignatureError;
use crate::time::{MINUTES_PER_DAY, UtcDay};

/// Parts per million: the unit of ratios, so that no float decides over money.
pub const MILLION: u32 = 1_000_000;

/// |seen and expected minus excused| / |expected minus excused| in parts per million, rounded
/// down; [`MILLION`] when nothing was expected.
pub fn ratio_ppm(row: &UptimeRow, excused: DayBitmap) -> u32 {
    // Minutes before the license was leased are not due; those in which we were down are nobody's fault.
    let due = expected_minutes(row) & !excused;
    match u32::from(due.count()) {
        0 => MILLION,
        expected => u32::from((row.bitmap & due).count()) * MILLION / expected,
    }
}

/// The minutes in which the license was expected to run: the last `expected` ones of the day.
pub fn expected_minutes(row: &UptimeRow) -> DayBitmap {
    DayBitmap::from_minute_on(MINUTES_PER_DAY.saturating_sub(row.expected))
}

/// A project's leaf in [`DayClosed::uptime_hash`]:
/// `keccak256(keccak256(abi.encode(project, keccak256(uptime.csv), keccak256(excused))))`.
pub fn uptime_leaf(project: Address, uptime_csv: B256, excused: DayBitmap) -> B256 {
    let excused = keccak256(excused.as_bytes());
    // Twice, so that a leaf cannot be passed off as the hash of two nodes.
    keccak256(keccak256((project, uptime_csv, excused).abi_encode()))
}

/// How one project's `uptime.csv` belongs to a closed day: the signed day and the path to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClosedUptime {
    /// The backend's word, by its receipt key in the registry's domain.
    pub closed: Signed<DayClosed>,
    /// Which receipt key signed.
    #[schema(value_type = String)]
    pub receipt_key: Address,
    /// keccak256 of the project's `uptime.csv`.
    #[schema(value_type = String)]
    pub uptime_csv: B256,
    /// Minutes excused for everybody.
    #[schema(value_type = String)]
    pub excused: DayBitmap,
    /// From [`uptime_leaf`] to [`DayClosed::uptime_hash`].
    #[schema(value_type = Vec<String>)]
    pub path: Vec<B256>,
}

/// Why a closed day's word for a file does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClosedUptimeError {
    /// Not the receipt key's signature.
    #[error("the closed day's signature does not hold: {0}")]
    Signature(#[from] SignatureError),
    /// The word is for another day.
    #[error("the signed day is {found}, expected {expected}")]
    OtherDay {
        /// The day in the message.
        found: u64,
        /// The day asked for.
        expected: u64,
    },
    /// The file is not part of what was signed.
    #[error("uptime.csv (keccak256 {0}) is not in the signed uptime hash")]
    NotIncluded(B256),
}

impl ClosedUptime {
    /// Checks signature, day and path. That the key was recorded in the registry when it signed
    /// is for the caller to read on chain.
    ///
    /// # Errors
    ///
    /// [`ClosedUptimeError`] says which of the three does not hold, in that order.
    pub fn verify(
        &self,
        domain: &Domain,
        project: Address,
        day: UtcDay,
    ) -> Result<(), ClosedUptimeError> {
        // The signature first: until it holds, whatever else the message says is anybody's.
        let closed = self.closed.verify(domain, self.receipt_key)?;
        if closed.day != day.epoch() {
            return Err(ClosedUptimeError::OtherDay { found: closed.day, expected: day.epoch() });
        }
        let leaf = uptime_leaf(project, self.uptime_csv, self.excused);
        if merkle::verify(leaf, &self.path, closed.uptime_hash) {
            Ok(())
        } else {
            Err(ClosedUptimeError::NotIncluded(self.uptime_csv))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LicenseIndex;
    use crate::merkle::MerkleTree;
    use crate::signature::SigningKey;
    use alloy_primitives::U256;
    use proptest::prelude::*;

    fn row(bitmap: DayBitmap, expected: u16) -> UptimeRow {
        UptimeRow {
            license: LicenseIndex(1),
            collection: Address::ZERO,
            token_id: U256::from(1),
            minutes: bitmap.count(),
            expected,
            bitmap,
        }
    }

    #[test]
    fn excused_minutes_count_neither_way() {
        let noon_on = DayBitmap::from_minute_on(720);
        assert_eq!(ratio_ppm(&row(noon_on, 1440), DayBitmap::EMPTY), 500_000);
        assert_eq!(ratio_ppm(&row(noon_on, 720), DayBitmap::EMPTY), MILLION);
        assert_eq!(ratio_ppm(&row(noon_on, 1440), !noon_on), MILLION);
        assert_eq!(ratio_ppm(&row(DayBitmap::EMPTY, 1440), DayBitmap::FULL), MILLION);
        assert_eq!(ratio_ppm(&row(DayBitmap::EMPTY, 0), DayBitmap::EMPTY), MILLION);
    }

    #[test]
    fn what_was_seen_before_it_was_expected_counts_for_nothing() {
        let morning = !DayBitmap::from_minute_on(720);
        assert_eq!(ratio_ppm(&row(morning, 720), DayBitmap::EMPTY), 0);
        assert_eq!(expected_minutes(&row(morning, 1)), DayBitmap::from_minute_on(1439));
        assert_eq!(ratio_ppm(&row(DayBitmap::from_minute_on(1439), 3), DayBitmap::EMPTY), 333_333);
    }

    #[test]
    fn a_closed_days_word_is_for_one_key_day_project_and_file() {
        let (ours, other) = (Address::repeat_byte(2), Address::repeat_byte(3));
        let (csv, excused) = (keccak256("uptime.csv"), DayBitmap::from_minute_on(1439));
        let day = UtcDay(20_454);
        let domain = Domain::new(31_337, Address::repeat_byte(1));
        let key = SigningKey::from_bytes(&[3; 32]).unwrap();
        let leaves = [uptime_leaf(other, csv, excused), uptime_leaf(ours, csv, excused)];
        let tree = MerkleTree::from_leaf_hashes(leaves);
        let word =
            DayClosed { day: day.epoch(), uptime_hash: tree.root(), evidence_root: B256::ZERO };
        let good = ClosedUptime {
            closed: Signed::new(word, &domain, &key),
            receipt_key: key.address(),
            uptime_csv: csv,
            excused,
            path: tree.path(1).unwrap(),
        };
        assert_eq!(good.verify(&domain, ours, day), Ok(()));

        let not_included = Err(ClosedUptimeError::NotIncluded(csv));
        assert_eq!(good.verify(&domain, other, day), not_included);
        let bad = ClosedUptime { excused: DayBitmap::EMPTY, ..good.clone() };
        assert_eq!(bad.verify(&domain, ours, day), not_included);
        let bad = ClosedUptime { path: vec![], ..good.clone() };
        assert_eq!(bad.verify(&domain, ours, day), not_included);
        let changed = keccak256("another file");
        let bad = ClosedUptime { uptime_csv: changed, ..good.clone() };
        let refused = Err(ClosedUptimeError::NotIncluded(changed));
        assert_eq!(bad.verify(&domain, ours, day), refused);

        let (found, expected) = (day.epoch(), day.next().epoch());
        let refused = Err(ClosedUptimeError::OtherDay { found, expected });
        assert_eq!(good.verify(&domain, ours, day.next()), refused);
        let bad = ClosedUptime { receipt_key: other, ..good };
        let refused = bad.verify(&domain, ours, day);
        assert!(matches!(refused, Err(ClosedUptimeError::Signature(_))), "{refused:?}");
    }

    proptest! {
        #[test]
        fn ratio_is_never_above_one(seen in any::<[u8; 32]>(), expected in 0u16..=1440, cut in 0u16..=1440) {
            let mut bitmap = DayBitmap::EMPTY;
            for (i, byte) in (0u16..).zip(seen) {
                bitmap.set(u16::from(byte) * 5 + i % 5);
            }
            prop_assert!(ratio_ppm(&row(bitmap, expected), DayBitmap::from_minute_on(cut)) <= MILLION);
        }
    }
}
