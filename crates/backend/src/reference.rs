//! Whether our clock can be believed: nothing is decided by one machine's clock.
//!
//! The witnesses are Postgres, the other replicas (by what they recorded beside Postgres's own time) and
//! the newest block. A replica that is out of line decides nothing, takes no heartbeats and records no
//! liveness, so that its minutes are excused. Under a stepped clock its server is the reference.

use std::sync::{Mutex, PoisonError};

use nodesys_clock::Clock;
use nodesys_core::time::Timestamp;

use crate::error::{ApiError, ApiResult};

/// How old the newest block may be: a clock that is further ahead of it is wrong, or the chain stands.
const BLOCK_AGE_MILLIS: u64 = 300_000;

/// What the witnesses say, each as the time it would show now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Witnesses {
    pub(crate) postgres: Timestamp,
    pub(crate) replicas: Vec<Timestamp>,
    /// Time of the newest block; none where the chain cannot be read.
    pub(crate) block: Option<Timestamp>,
}

/// What follows for our clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It can be believed. `postgres_off` is Postgres's distance where that is the odd one out.
    InLine { postgres_off: Option<u64> },
    /// It is this far from the reference.
    Out { off_millis: u64 },
    /// All clocks are far from the newest block: they are wrong together, or the chain stands still.
    /// Nothing is decided; minutes go on being counted.
    Unvouched { off_millis: u64 },
}

impl Verdict {
    /// The verdict without its distances, and whether Postgres is out of line.
    fn kind(&self) -> (std::mem::Discriminant<Self>, bool) {
        let postgres_is_off = matches!(self, Self::InLine { postgres_off: Some(_) });
        (std::mem::discriminant(self), postgres_is_off)
    }
}

/// Judges our clock.
pub(crate) fn judge(ours: Timestamp, witnesses: &Witnesses, tolerance_millis: u64) -> Verdict {
    let fits = |at: Timestamp| match witnesses.block {
        Some(block) => {
            at.plus_millis(tolerance_millis) >= block
                && at.millis_since(block) <= BLOCK_AGE_MILLIS + tolerance_millis
        }
        None => true,
    };
    let all = witnesses.replicas.iter().copied().chain([witnesses.postgres]);
    let mut others: Vec<Timestamp> = all.clone().filter(|at| fits(*at)).collect();
    let off_from = |reference: Timestamp| distance(ours, reference);
    if let Some(block) = witnesses.block
        && !fits(ours)
    {
        // Whoever is near the block is right; if nobody is, nobody can be believed.
        let nearest = others.iter().copied().min_by_key(|at| distance(*at, block));
        return match nearest {
            Some(reference) => Verdict::Out { off_millis: off_from(reference) },
            None if all.clone().all(|at| distance(at, ours) <= tolerance_millis) => {
                Verdict::Unvouched { off_millis: off_from(block) }
            }
            None => Verdict::Out { off_millis: off_from(block) },
        };
    }
    // Of an even number nobody is in the middle: then ours counts too.
    if others.len().is_multiple_of(2) {
        others.push(ours);
    }
    others.sort_unstable();
    let off_millis = off_from(others[others.len() / 2]);
    if off_millis > tolerance_millis {
        return Verdict::Out { off_millis };
    }
    let postgres = off_from(witnesses.postgres);
    Verdict::InLine { postgres_off: (postgres > tolerance_millis).then_some(postgres) }
}

fn distance(a: Timestamp, b: Timestamp) -> u64 {
    a.millis_since(b).max(b.millis_since(a))
}

/// The last verdict, and whether the clock was moved since.
pub(crate) struct Reference {
    /// The clock's server where there is one, which is the reference.
    pub(crate) server: Option<Clock>,
    pub(crate) tolerance_millis: u64,
    /// Our own rows of `writer`, which are no witnesses.
    own: Mutex<Vec<i32>>,
    last: Mutex<Last>,
}

struct Last {
    /// Nobody was asked yet.
    is_first: bool,
    verdict: Verdict,
    /// Our clock and a monotonic one at that moment.
    at: Timestamp,
    monotonic_millis: u64,
}

impl Reference {
    /// Nothing is believed before the first verdict.
    pub(crate) fn new(server: Option<Clock>, tolerance_millis: u64) -> Self {
        let last = Last {
            is_first: true,
            verdict: Verdict::Out { off_millis: 0 },
            at: Timestamp::default(),
            monotonic_millis: 0,
        };
        Self { server, tolerance_millis, own: Mutex::default(), last: Mutex::new(last) }
    }

    /// Our own rows of `writer`.
    pub(crate) fn own(&self) -> Vec<i32> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A row of `writer` is ours.
    pub(crate) fn is_ours(&self, writer: i32) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
    }

    /// Keeps a verdict; returns whether it is news.
    pub(crate) fn keep(&self, verdict: Verdict, clock: &Clock) -> bool {
        let (at, monotonic_millis) = (clock.now(), clock.monotonic_millis());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let news = last.is_first || last.verdict.kind() != verdict.kind();
        *last = Last { is_first: false, verdict, at, monotonic_millis };
        news
    }

    /// Whether heartbeats may be taken and liveness recorded.
    pub(crate) fn may_count(&self, clock: &Clock) -> ApiResult<()> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let off_millis = match last.verdict {
            Verdict::InLine { .. } | Verdict::Unvouched { .. } => moved(&last, clock),
            Verdict::Out { off_millis } => off_millis.max(self.tolerance_millis + 1),
        };
        if off_millis <= self.tolerance_millis {
            return Ok(());
        }
        Err(ApiError::busy(
            "this replica's clock is out of line: it takes nothing until it is set right, another \
             replica does",
        ))
    }

    /// Whether leases, days and outages may be decided.
    pub(crate) fn may_decide(&self, clock: &Clock) -> ApiResult<()> {
        self.may_count(clock)?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.verdict {
            Verdict::Unvouched { .. } => Err(ApiError::chain_unavailable(
                "the newest block is minutes older than our clocks: nothing is decided until one of \
                 them is right",
            )),
            _ => Ok(()),
        }
    }
}

/// How far our clock was moved since the last verdict.
fn moved(last: &Last, clock: &Clock) -> u64 {
    let elapsed = clock.monotonic_millis().saturating_sub(last.monotonic_millis);
    distance(clock.now(), last.at.plus_millis(elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUE: u64 = 1_767_225_600_000;
    const HOUR: u64 = 3_600_000;

    fn at(off_millis: i64) -> Timestamp {
        Timestamp::from_millis(TRUE.checked_add_signed(off_millis).unwrap())
    }

    /// Offsets of ours, Postgres, the replicas and the newest block.
    fn verdict(ours: i64, postgres: i64, replicas: &[i64], block: Option<i64>) -> Verdict {
        let witnesses = Witnesses {
            postgres: at(postgres),
            replicas: replicas.iter().map(|off| at(*off)).collect(),
            block: block.map(at),
        };
        judge(at(ours), &witnesses, 2_000)
    }

    fn decides(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::InLine { .. })
    }

    #[test]
    fn a_clock_that_nobody_shares_is_out() {
        let day = 25 * i64::try_from(HOUR).unwrap();
        for replicas in [&[][..], &[0], &[300, -200]] {
            for off in [0, 1_900, -1_900] {
                assert_eq!(
                    verdict(off, 0, replicas, Some(-9_000)),
                    Verdict::InLine { postgres_off: None }
                );
            }
            for off in [2_500, -2_500, 700_000, -700_000, day, -day] {
                for block in [Some(-9_000), None] {
                    let verdict = verdict(off, 0, replicas, block);
                    let Verdict::Out { off_millis } = verdict else { panic!("{off}: {verdict:?}") };
                    // The reference is one of the others.
                    assert!(off_millis.abs_diff(off.unsigned_abs()) <= 300, "{off}: {off_millis}");
                }
            }
        }
    }

    #[test]
    fn postgres_alone_is_told_of_and_decides_nothing() {
        let off = |postgres: i64| Verdict::InLine { postgres_off: Some(postgres.unsigned_abs()) };
        for postgres in [5_000, -5_000, 700_000, 90_000_000] {
            assert_eq!(verdict(0, postgres, &[100], Some(-9_000)), off(postgres));
        }
        // Without another replica the block tells, as far as it can.
        for postgres in [700_000, -700_000, 90_000_000] {
            assert_eq!(verdict(0, postgres, &[], Some(-9_000)), off(postgres));
        }
        assert!(!decides(&verdict(0, 5_000, &[], Some(-9_000))), "nobody knows who is right");
    }

    #[test]
    fn clocks_that_are_wrong_together_decide_nothing() {
        let day = 90_000_000;
        let all = verdict(day, day, &[day], Some(0));
        assert_eq!(all, Verdict::Unvouched { off_millis: 90_000_000 });
        assert!(matches!(verdict(-day, -day, &[], Some(0)), Verdict::Unvouched { .. }));
        // One that went along is not enough.
        assert!(matches!(verdict(day, day, &[0], Some(0)), Verdict::Out { .. }));
        assert!(decides(&verdict(0, day, &[day, 0], Some(-60_000))));
    }

    #[test]
    fn a_clock_that_is_moved_is_noticed_at_once() {
        let clock = Clock::system();
        let reference = Reference::new(None, 2_000);
        assert!(reference.may_count(&clock).is_err(), "nobody has vouched yet");
        assert!(reference.keep(Verdict::InLine { postgres_off: None }, &clock));
        assert!(!reference.keep(Verdict::InLine { postgres_off: None }, &clock));
        // Postgres's clock is told of once, not with each verdict, and again when it is right.
        assert!(reference.keep(Verdict::InLine { postgres_off: Some(9) }, &clock));
        assert!(!reference.keep(Verdict::InLine { postgres_off: Some(8) }, &clock));
        assert!(reference.keep(Verdict::InLine { postgres_off: None }, &clock));
        assert!(reference.may_count(&clock).is_ok() && reference.may_decide(&clock).is_ok());
        reference.last.lock().unwrap().at = clock.now().plus_millis(HOUR);
        assert!(reference.may_count(&clock).is_err() && reference.may_decide(&clock).is_err());
        reference.keep(Verdict::Unvouched { off_millis: HOUR }, &clock);
        assert!(reference.may_count(&clock).is_ok() && reference.may_decide(&clock).is_err());
    }
}
