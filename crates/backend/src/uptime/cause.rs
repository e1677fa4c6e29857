//! Why minutes of a license were not credited, from facts alone.

use nodesys_core::api::{Missing, MissingCause};
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::time::{Minute, Timestamp, UtcDay};

use crate::db::lease::{EndReason, LeaseSpan};

/// What is known of a license's day.
pub(super) struct Facts<'a> {
    pub(super) day: UtcDay,
    /// The minutes to explain: of those expected, the ones that have passed.
    pub(super) minutes: std::ops::Range<u16>,
    pub(super) credited: &'a DayBitmap,
    pub(super) excused: &'a DayBitmap,
    /// In which a heartbeat carried the lease without credit, where that is still known.
    pub(super) carried: Option<&'a DayBitmap>,
    /// The leases that were granted before the day's end, by fence, at least from the last one before it on.
    pub(super) leases: &'a [LeaseSpan],
}

/// The minutes without credit, in runs of one cause.
pub(super) fn missing(facts: &Facts<'_>) -> Vec<Missing> {
    let mut found: Vec<Missing> = Vec::new();
    for minute in facts.minutes.clone().filter(|minute| !facts.credited.contains(*minute)) {
        let cause = cause(facts, minute);
        match found.last_mut() {
            Some(last) if last.to == minute && last.cause == cause => last.to = minute + 1,
            _ => found.push(Missing { from: minute, to: minute + 1, cause }),
        }
    }
    found
}

fn cause(facts: &Facts<'_>, of_day: u16) -> MissingCause {
    if facts.excused.contains(of_day) {
        return MissingCause::Excused;
    }
    let minute = Minute(facts.day.first_minute().0 + u64::from(of_day));
    let (start, end): (Timestamp, Timestamp) = (minute.start(), minute.next().start());
    let after = facts.leases.partition_point(|lease| lease.granted < end);
    let Some(lease) = after.checked_sub(1).map(|last| facts.leases[last]) else {
        return MissingCause::NoLease;
    };
    match lease.ended {
        Some((at, reason)) if at <= start => match reason {
            EndReason::Expired => MissingCause::Expired,
            EndReason::NotEntitled => MissingCause::NotEntitled,
            EndReason::Revoked => MissingCause::Revoked,
            EndReason::Moved => MissingCause::Moved,
        },
        _ if minute < lease.earns_from => MissingCause::NewLease,
        _ => match facts.carried {
            None => MissingCause::NotCredited,
            Some(carried) if carried.contains(of_day) => MissingCause::NotHealthy,
            Some(_) => MissingCause::Silent,
        },
    }
}

#[cfg(test)]
mod tests {
    use MissingCause::{
        Excused, Expired, NewLease, NoLease, NotCredited, NotEntitled, NotHealthy, Silent,
    };

    use super::*;

    const DAY: UtcDay = UtcDay(20_454);

    fn at(minute: u64, secs: u64) -> Timestamp {
        DAY.start().plus_millis((minute * 60 + secs) * 1000)
    }

    fn lease(granted: u64, ended: Option<(u64, EndReason)>) -> LeaseSpan {
        LeaseSpan {
            granted: at(granted, 20),
            earns_from: Minute(DAY.first_minute().0 + granted + 1),
            ended: ended.map(|(minute, reason)| (at(minute, 30), reason)),
        }
    }

    fn bits(ranges: &[std::ops::Range<u16>]) -> DayBitmap {
        let mut bitmap = DayBitmap::EMPTY;
        for minute in ranges.iter().cloned().flatten() {
            bitmap.set(minute);
        }
        bitmap
    }

    #[test]
    fn each_missing_minute_has_its_cause() {
        let leases = [
            lease(100, Some((300, EndReason::Expired))),
            lease(400, Some((500, EndReason::NotEntitled))),
            lease(600, None),
        ];
        let (credited, excused) =
            (bits(&[101..280, 401..480, 601..690]), bits(&[282..284, 310..312]));
        let facts = |carried| Facts {
            day: DAY,
            minutes: 90..700,
            credited: &credited,
            excused: &excused,
            carried,
            leases: &leases,
        };
        let told = |carried| -> Vec<_> {
            missing(&facts(carried)).iter().map(|m| (m.from, m.to, m.cause)).collect()
        };
        let carried = bits(&[480..490, 200..210]);
        assert_eq!(
            told(Some(&carried)),
            [
                (90, 100, NoLease),
                (100, 101, NewLease),
                (280, 282, Silent),
                (282, 284, Excused),
                (284, 301, Silent),
                (301, 310, Expired),
                (310, 312, Excused),
                (312, 400, Expired),
                (400, 401, NewLease),
                (480, 490, NotHealthy),
                (490, 501, Silent),
                (501, 600, NotEntitled),
                (600, 601, NewLease),
                (690, 700, Silent),
            ]
        );
        // Which of the two it was is not known of an older day.
        assert!(told(None).contains(&(480, 501, NotCredited)));
    }

    #[test]
    fn a_lease_of_a_day_before_explains_this_one() {
        let before = LeaseSpan {
            granted: Timestamp::from_millis(DAY.start().millis() - 86_400_000),
            earns_from: Minute(DAY.first_minute().0 - 1400),
            ended: Some((Timestamp::from_millis(DAY.start().millis() - 1000), EndReason::Revoked)),
        };
        let facts = Facts {
            day: DAY,
            minutes: 0..1440,
            credited: &DayBitmap::EMPTY,
            excused: &DayBitmap::EMPTY,
            carried: None,
            leases: &[before],
        };
        let whole = Missing { from: 0, to: 1440, cause: MissingCause::Revoked };
        assert_eq!(missing(&facts), [whole]);
        let full = Facts { credited: &DayBitmap::FULL, ..facts };
        assert_eq!(missing(&full), []);
    }
}
