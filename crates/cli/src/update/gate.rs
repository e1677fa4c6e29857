//! The health gate: three accepted receipts within five minutes, or the release is rolled back.
//!
//! Pure: it gets observations and their times. Minutes in which the manager answers and the backend
//! does not are nobody's fault and do not count against the release; a manager that is silent does.

use nodesys_core::time::Timestamp;

use crate::manager::status::LastReceipt;

/// Receipts that make a release healthy.
const RECEIPTS: u64 = 3;

/// How long it may take, in time that counts.
const PATIENCE_MILLIS: u64 = 5 * 60_000;

/// How old the last receipt may be when an update begins.
const FRESH_MILLIS: u64 = 5 * 60_000;

/// One observation of manager and backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observation {
    /// The manager answers.
    Manager {
        /// Its last receipt.
        last: Option<LastReceipt>,
        /// Whether the backend answers too.
        backend: bool,
    },
    /// It does not.
    Silent,
}

/// The verdict after an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GateVerdict {
    /// Look again.
    Waits(String),
    /// The release holds.
    Healthy,
    /// It does not; why.
    Unhealthy(String),
}

/// Whether an update may begin; the reason against it.
pub(crate) fn may_begin(last: Option<LastReceipt>, now: Timestamp) -> Result<(), String> {
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
pub(crate) struct Gate {
    receipts: u64,
    last: Option<LastReceipt>,
    looked: Timestamp,
    spent_millis: u64,
}

impl Gate {
    /// Begins with what is seen right after the change: receipts of before do not count.
    pub(crate) const fn new(now: Timestamp, last: Option<LastReceipt>) -> Self {
        Self { receipts: 0, last, looked: now, spent_millis: 0 }
    }

    /// Takes a look.
    pub(crate) fn look(&mut self, now: Timestamp, seen: Observation) -> GateVerdict {
        let passed = now.millis_since(self.looked);
        self.looked = now.max(self.looked);
        if let Observation::Manager { last: Some(last), .. } = seen {
            self.receipts += self.new_ones(last);
            self.last = Some(last);
        }
        if self.receipts >= RECEIPTS {
            return GateVerdict::Healthy;
        }
        let so_far = format!("{} of {RECEIPTS} receipts", self.receipts);
        let why = match seen {
            Observation::Manager { backend: false, .. } => {
                return GateVerdict::Waits(format!(
                    "{so_far}; the backend does not answer, which is not the release's fault"
                ));
            }
            Observation::Manager { .. } => so_far,
            Observation::Silent => format!("{so_far}; the manager does not answer"),
        };
        self.spent_millis += passed;
        if self.spent_millis >= PATIENCE_MILLIS {
            return GateVerdict::Unhealthy(format!("{why} within 5 minutes"));
        }
        GateVerdict::Waits(why)
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

    fn manager(last: LastReceipt) -> Observation {
        Observation::Manager { last: Some(last), backend: true }
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
            GateVerdict::Waits("0 of 3 receipts".into())
        );
        assert!(matches!(gate.look(at(65), manager(receipt(60, 8))), GateVerdict::Waits(_)));
        assert!(matches!(gate.look(at(66), manager(receipt(60, 8))), GateVerdict::Waits(_)));
        assert!(matches!(gate.look(at(125), manager(receipt(120, 9))), GateVerdict::Waits(_)));
        assert_eq!(gate.look(at(185), manager(receipt(180, 10))), GateVerdict::Healthy);
        // A new one begins to count.
        let mut gate = Gate::new(at(0), Some(receipt(0, 700)));
        assert!(matches!(gate.look(at(65), manager(receipt(60, 1))), GateVerdict::Waits(_)));
        assert_eq!(gate.look(at(190), manager(receipt(180, 3))), GateVerdict::Healthy);
    }

    #[test]
    fn five_minutes_without_them_are_not() {
        let mut gate = Gate::new(at(0), Some(receipt(0, 7)));
        assert!(matches!(gate.look(at(299), manager(receipt(120, 9))), GateVerdict::Waits(_)));
        assert_eq!(
            gate.look(at(300), manager(receipt(120, 9))),
            GateVerdict::Unhealthy("2 of 3 receipts within 5 minutes".into())
        );
        let mut gate = Gate::new(at(0), None);
        assert!(matches!(gate.look(at(150), Observation::Silent), GateVerdict::Waits(_)));
        let GateVerdict::Unhealthy(why) = gate.look(at(300), Observation::Silent) else { panic!() };
        assert!(why.contains("does not answer"), "{why}");
    }

    #[test]
    fn a_backend_that_does_not_answer_is_waited_for() {
        let down = Observation::Manager { last: Some(receipt(0, 7)), backend: false };
        let mut gate = Gate::new(at(0), Some(receipt(0, 7)));
        assert!(matches!(gate.look(at(200), manager(receipt(0, 7))), GateVerdict::Waits(_)));
        let GateVerdict::Waits(why) = gate.look(at(9_000), down) else { panic!() };
        assert!(why.contains("not the release's fault"), "{why}");
        // Back again, the rest of the five minutes is left.
        assert!(matches!(gate.look(at(9_099), manager(receipt(0, 7))), GateVerdict::Waits(_)));
        assert!(matches!(gate.look(at(9_100), manager(receipt(0, 7))), GateVerdict::Unhealthy(_)));
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
                    0 => Observation::Silent,
                    kind => {
                        accepted += more;
                        let last = (accepted > 0).then(|| receipt(now, accepted));
                        Observation::Manager { last, backend: kind == 1 }
                    }
                };
                counted += if kind == 2 { 0 } else { secs };
                match gate.look(at(now), seen) {
                    GateVerdict::Healthy => {
                        prop_assert!(accepted >= 3);
                        break;
                    }
                    GateVerdict::Unhealthy(_) => {
                        prop_assert!(counted >= 300);
                        break;
                    }
                    GateVerdict::Waits(_) => prop_assert!(counted < 300 || kind == 2),
                }
            }
        }
    }
}
