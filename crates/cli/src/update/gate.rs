//! The health gate: three accepted receipts within five minutes, or the release goes back.
//!
//! Pure: it is shown what was seen, and when. Minutes in which the manager answers and the backend
//! does not are nobody's fault and do not count against the release; a manager that is silent does.

use nodesys_core::time::Timestamp;

/// Receipts that make a release healthy.
const RECEIPTS: u64 = 3;
/// How long it may take, in time that counts.
const PATIENCE_MILLIS: u64 = 5 * 60_000;
/// How old the last receipt may be when an update begins.
const FRESH_MILLIS: u64 = 5 * 60_000;

/// The last accepted receipt, as the manager tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastReceipt {
    /// When the backend accepted it.
    pub(crate) server_time: Timestamp,
    /// How many the manager has had since its start.
    pub(crate) accepted: u64,
}

/// What was seen at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The manager answers.
    Manager {
        /// What it has.
        last: Option<LastReceipt>,
        /// Whether the backend answers too.
        backend: bool,
    },
    /// It does not.
    Silent,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again.
    Waits(String),
    /// The release holds.
    Healthy,
    /// It does not; why.
    Unhealthy(String),
}

/// Whether an update may begin; the reason against it.
pub(super) fn may_begin(last: Option<LastReceipt>, now: Timestamp) -> Result<(), String> {
    match last {
        None => Err("the manager has had no receipt since its start".to_owned()),
        Some(last) if now.millis_since(last.server_time) > FRESH_MILLIS => Err(format!(
            "the last accepted receipt is of {}, and it is {now}: older than 5 minutes",
            last.server_time
        )),
        Some(_) => Ok(()),
    }
}

/// The gate of one release.
#[derive(Debug)]
pub(super) struct Gate {
    receipts: u64,
    last: Option<LastReceipt>,
    looked: Timestamp,
    spent_millis: u64,
}

impl Gate {
    /// Begins with what is seen right after the change: receipts of before do not count.
    pub(super) const fn new(now: Timestamp, last: Option<LastReceipt>) -> Self {
        Self { receipts: 0, last, looked: now, spent_millis: 0 }
    }

    /// Takes a look.
    pub(super) fn look(&mut self, now: Timestamp, seen: Seen) -> Verdict {
        let passed = now.millis_since(self.looked);
        self.looked = now.max(self.looked);
        if let Seen::Manager { last: Some(last), .. } = seen {
            self.receipts += self.new_ones(last);
            self.last = Some(last);
        }
        if self.receipts >= RECEIPTS {
            return Verdict::Healthy;
        }
        let so_far = format!("{} of {RECEIPTS} receipts", self.receipts);
        let why = match seen {
            Seen::Manager { backend: false, .. } => {
                return Verdict::Waits(format!(
                    "{so_far}; the backend does not answer, which is not the release's fault"
                ));
            }
            Seen::Manager { .. } => so_far,
            Seen::Silent => format!("{so_far}; the manager does not answer"),
        };
        self.spent_millis += passed;
        if self.spent_millis >= PATIENCE_MILLIS {
            return Verdict::Unhealthy(format!("{why} within 5 minutes"));
        }
        Verdict::Waits(why)
    }

    /// How many receipts are new, by the manager's own count, which begins anew with each start.
    fn new_ones(&self, now: LastReceipt) -> u64 {
        match self.last {
            Some(before) if now.server_time <= before.server_time => 0,
            Some(before) if now.accepted >= before.accepted => now.accepted - before.accepted,
            Some(_) | None => now.accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEGAN: Timestamp = Timestamp::from_secs(1_767_312_000);

    fn at(secs: u64) -> Timestamp {
        BEGAN.plus_millis(secs * 1000)
    }

    fn receipt(secs: u64, accepted: u64) -> LastReceipt {
        LastReceipt { server_time: at(secs), accepted }
    }

    fn manager(last: LastReceipt) -> Seen {
        Seen::Manager { last: Some(last), backend: true }
    }

    #[test]
    fn an_update_begins_only_with_a_receipt_of_the_last_five_minutes() {
        may_begin(Some(receipt(0, 9)), at(300)).unwrap();
        assert!(may_begin(Some(receipt(0, 9)), at(301)).unwrap_err().contains("5 minutes"));
        assert!(may_begin(None, at(0)).unwrap_err().contains("no receipt"));
    }

    #[test]
    fn three_new_receipts_are_health_however_the_manager_counts() {
        // The same manager counts on.
        let mut gate = Gate::new(at(0), Some(receipt(0, 7)));
        assert_eq!(
            gate.look(at(5), manager(receipt(0, 7))),
            Verdict::Waits("0 of 3 receipts".into())
        );
        assert!(matches!(gate.look(at(65), manager(receipt(60, 8))), Verdict::Waits(_)));
        assert!(matches!(gate.look(at(66), manager(receipt(60, 8))), Verdict::Waits(_)));
        assert!(matches!(gate.look(at(125), manager(receipt(120, 9))), Verdict::Waits(_)));
        assert_eq!(gate.look(at(185), manager(receipt(180, 10))), Verdict::Healthy);
        // A new one begins to count.
        let mut gate = Gate::new(at(0), Some(receipt(0, 700)));
        assert!(matches!(gate.look(at(65), manager(receipt(60, 1))), Verdict::Waits(_)));
        assert_eq!(gate.look(at(190), manager(receipt(180, 3))), Verdict::Healthy);
    }

    #[test]
    fn five_minutes_without_them_are_not() {
        let mut gate = Gate::new(at(0), Some(receipt(0, 7)));
        assert!(matches!(gate.look(at(299), manager(receipt(120, 9))), Verdict::Waits(_)));
        assert_eq!(
            gate.look(at(300), manager(receipt(120, 9))),
            Verdict::Unhealthy("2 of 3 receipts within 5 minutes".into())
        );
        let mut gate = Gate::new(at(0), None);
        assert!(matches!(gate.look(at(150), Seen::Silent), Verdict::Waits(_)));
        let Verdict::Unhealthy(why) = gate.look(at(300), Seen::Silent) else { panic!() };
        assert!(why.contains("does not answer"), "{why}");
    }

    #[test]
    fn a_backend_that_does_not_answer_is_waited_for() {
        let down = Seen::Manager { last: Some(receipt(0, 7)), backend: false };
        let mut gate = Gate::new(at(0), Some(receipt(0, 7)));
        assert!(matches!(gate.look(at(200), manager(receipt(0, 7))), Verdict::Waits(_)));
        let Verdict::Waits(why) = gate.look(at(9_000), down) else { panic!() };
        assert!(why.contains("not the release's fault"), "{why}");
        // Back again, the rest of the five minutes is left.
        assert!(matches!(gate.look(at(9_099), manager(receipt(0, 7))), Verdict::Waits(_)));
        assert!(matches!(gate.look(at(9_100), manager(receipt(0, 7))), Verdict::Unhealthy(_)));
    }

    proptest! {
        /// However it is looked at, it ends: healthy only with three receipts, else after as much
        /// counted time as it has.
        #[test]
        fn it_ends_and_for_a_reason(
            looks in prop::collection::vec((1..90_u64, 0..3_u8, 0..2_u64), 1..60),
        ) {
            let mut gate = Gate::new(at(0), None);
            let (mut now, mut accepted, mut counted) = (0, 0, 0);
            for (secs, kind, more) in looks {
                now += secs;
                let seen = match kind {
                    0 => Seen::Silent,
                    kind => {
                        accepted += more;
                        let last = (accepted > 0).then(|| receipt(now, accepted));
                        Seen::Manager { last, backend: kind == 1 }
                    }
                };
                counted += if kind == 2 { 0 } else { secs };
                match gate.look(at(now), seen) {
                    Verdict::Healthy => {
                        prop_assert!(accepted >= 3);
                        break;
                    }
                    Verdict::Unhealthy(_) => {
                        prop_assert!(counted >= 300);
                        break;
                    }
                    Verdict::Waits(_) => prop_assert!(counted < 300 || kind == 2),
                }
            }
        }
    }
}
