//! The first minute in which a license is expected to run.

use std::cmp::Ordering;

use nodesys_core::time::{MINUTES_PER_DAY, Timestamp, UtcDay};

/// The first minute of a day in which a license was expected to run (0 to 1440).
pub(super) fn expected_from(day: UtcDay, first_leased: Timestamp) -> u16 {
    match first_leased.day().cmp(&day) {
        Ordering::Less => 0,
        Ordering::Equal => first_leased.minute().of_day(),
        Ordering::Greater => MINUTES_PER_DAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: UtcDay = UtcDay(20_454);

    fn at(minute: u64) -> Timestamp {
        DAY.start().plus_millis(minute * 60_000)
    }

    #[test]
    fn a_license_is_expected_from_its_first_lease_on() {
        assert_eq!(expected_from(DAY, at(0)), 0);
        assert_eq!(expected_from(DAY, at(75).plus_millis(59_000)), 75);
        assert_eq!(expected_from(DAY, DAY.end()), 1440);
        assert_eq!(expected_from(DAY.next(), at(75)), 0);
    }
}
