//! Points: a project's rule turns a day's uptime into integer points, license by license.

use serde::{Deserialize, Serialize};

use crate::bitmap::DayBitmap;
use crate::files::{PointsRow, UptimeRow};
use crate::ids::Points;
use crate::uptime::{MILLION, ratio_ppm};

/// A project's rule and its parameters, as they stand in `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// `seconds up / 3600 * rate / 24`, zero below the minimum uptime.
    Uptime {
        /// Points of a license that is up all day.
        #[schema(value_type = String)]
        rate: Points,
        /// Least ratio of uptime that earns, in parts per million.
        minimum_uptime_ppm: u32,
    },
}

impl Default for Rule {
    /// One point a minute, no threshold.
    fn default() -> Self {
        Self::Uptime {
            rate: Points::checked_new(1440).expect("1440 is below 2^63"),
            minimum_uptime_ppm: 0,
        }
    }
}

/// A rule's parameter out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("minimum_uptime_ppm is {0}, but one million parts per million are the whole day")]
pub struct BadRule(u32);

impl Rule {
    /// Checks the parameters.
    pub fn check(&self) -> Result<(), BadRule> {
        match self {
            Self::Uptime { minimum_uptime_ppm: ppm, .. } if *ppm > MILLION => Err(BadRule(*ppm)),
            Self::Uptime { .. } => Ok(()),
        }
    }

    /// The points of one license, or `None` where the rule needs more than uptime to tell.
    pub fn points_of(&self, row: &UptimeRow, excused: DayBitmap) -> Option<Points> {
        match self {
            Self::Uptime { rate, minimum_uptime_ppm } => {
                if ratio_ppm(row, excused) < *minimum_uptime_ppm {
                    return Some(Points::ZERO);
                }
                // minutes * 60 / 3600 * rate / 24 = minutes * rate / 1440, floored once. With at
                // most 1440 minutes the quotient is at most `rate`, so it is in range.
                let points = u128::from(row.minutes) * u128::from(rate.get()) / 1440;
                u64::try_from(points).ok().and_then(Points::checked_new)
            }
        }
    }

    /// The day's `points.csv` rows by this rule, in license order.
    pub fn points(&self, uptime: &[UptimeRow], excused: DayBitmap) -> Option<Vec<PointsRow>> {
        uptime
            .iter()
            .map(|row| {
                let points = self.points_of(row, excused)?;
                Some(PointsRow { license: row.license, points })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LicenseIndex;
    use alloy_primitives::{Address, U256};
    use proptest::prelude::*;

    fn row(minutes: u16) -> UptimeRow {
        UptimeRow {
            license: LicenseIndex(0),
            collection: Address::ZERO,
            token_id: U256::ZERO,
            minutes,
            expected: 1440,
            bitmap: DayBitmap::from_minute_on(1440 - minutes),
        }
    }

    fn rule(rate: u64, minimum_uptime_ppm: u32) -> Rule {
        Rule::Uptime { rate: Points::checked_new(rate).unwrap(), minimum_uptime_ppm }
    }

    #[test]
    fn a_threshold_and_a_floor() {
        let points =
            |rule: &Rule, minutes| rule.points_of(&row(minutes), DayBitmap::EMPTY).unwrap().get();
        assert_eq!(points(&Rule::default(), 1040), 1040);
        assert_eq!(points(&rule(100, 0), 1439), 99);
        assert_eq!(points(&rule(100, 0), 1440), 100);
        assert_eq!(points(&rule(100, 800_000), 1151), 0);
        assert_eq!(points(&rule(100, 800_000), 1152), 80);
        assert!(rule(1, 1_000_001).check().is_err());
    }

    proptest! {
        #[test]
        fn points_never_leave_the_range(rate in 0..=i64::MAX as u64, minutes in 0u16..=1440) {
            let points = rule(rate, 0).points_of(&row(minutes), DayBitmap::EMPTY);
            prop_assert!(points.is_some_and(|points| points.get() <= rate));
        }
    }
}
