//! Observing everything besides the workload itself: the chain, the operator's objects, the
//! release's bytes.
//!
//! Each is read on its own schedule, and failures are kept as text for the plan and the status.

use nodesys_chain::release::WorkloadReleases;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, U256, keccak256};

use super::backoff::backoff_secs;
use super::ledger::Ledger;
use super::objects::Compared;
use super::{Controller, REFRESH_SECS, plan};
use nodesys_render::Object;
use nodesys_render::sandbox::Sandbox;

impl Controller {
    pub(super) async fn read_chain(&mut self, i: usize, now: Timestamp) {
        let work = &mut self.works[i];
        let read = self.chain.read(work.placement.project, &work.placed.workload).await;
        work.reads += 1;
        let next_secs = match read {
            Ok(found) => {
                work.chain_failures = 0;
                work.chain_read = Some(now);
                let soon = takes_effect_in(&found).unwrap_or(u64::MAX);
                work.chain = Ok(found);
                spread_secs(self.node_key, work.reads).min(soon)
            }
            Err(error) => {
                work.chain_failures = work.chain_failures.saturating_add(1);
                work.chain = Err(format!("{error:#}"));
                backoff_secs(work.chain_failures)
            }
        };
        work.chain_due = now.plus_millis(next_secs * 1000);
    }

    /// Compares the operator's objects with their rendered form. Differences are reported, never
    /// changed.
    pub(super) async fn read_sandbox(&mut self, i: usize) {
        let work = &self.works[i];
        let sandbox = Sandbox {
            project: work.placement.project,
            workload: &work.placed.workload,
            grant: &work.placement.grant,
            local_ranges: &self.local_ranges,
        };
        let mut changed = Vec::new();
        // Roles are not the manager's to read.
        let readable = |object: &&Object| !object.kind().starts_with("Role");
        for object in sandbox.objects().iter().filter(readable) {
            match self.objects.compare(object).await {
                Ok(Compared::Same) => {}
                Ok(Compared::Missing) => changed.push(format!("{object} is missing")),
                Ok(Compared::Differs(field)) => {
                    changed.push(format!("{object} differs at {field}"));
                }
                Err(error) => changed.push(format!("{error:#}")),
            }
        }
        if !changed.is_empty() && changed != work.changed {
            let note = changed.join("; ");
            tracing::warn!(workload = %work.placed.workload, note, "the sandbox was changed");
            self.objects.tell(&work.namespace, true, "SandboxChanged", note).await;
        }
        self.works[i].changed = changed;
    }

    pub(super) async fn fetch(&mut self, i: usize, ledger: &Ledger, now: Timestamp) {
        let work = &mut self.works[i];
        let wanted = work.chain.as_ref().ok().and_then(|chain| plan::to_fetch(ledger, chain));
        let Some((_, hash)) = wanted else {
            (work.offered, work.fetch_problem, work.fetch_failures) = (None, None, 0);
            return;
        };
        if work.offered.as_ref().is_some_and(|release| release.hash() == hash) {
            return;
        }
        work.offered = None;
        if now < work.fetch_due && work.fetch_problem.is_some() {
            return;
        }
        match self.fetcher.release(&work.placement.release_urls, hash).await {
            Ok(release) => {
                (work.offered, work.fetch_problem, work.fetch_failures) = (Some(release), None, 0);
            }
            Err(error) => {
                work.fetch_failures = work.fetch_failures.saturating_add(1);
                work.fetch_due = now.plus_millis(backoff_secs(work.fetch_failures) * 1000);
                work.fetch_problem = Some(format!("{error:#}"));
            }
        }
    }
}

/// Seconds until an announced release or tombstone takes effect: the next check is then.
fn takes_effect_in(found: &WorkloadReleases) -> Option<u64> {
    let release = found.announced.map(|it| it.runnable_at);
    let tombstone = found.announced_tombstone.map(|it| it.effective_at);
    let left = |at: u64| at.checked_sub(found.block.secs).filter(|secs| *secs > 0);
    [release, tombstone].into_iter().flatten().filter_map(left).min().map(|secs| secs + 1)
}

/// Ten minutes give or take a tenth, so that nodes do not ask all at once: by the node and the
/// number of the read, since nothing here is random.
fn spread_secs(node_key: Address, read: u64) -> u64 {
    let seed = keccak256([node_key.as_slice(), &read.to_be_bytes()].concat());
    let tenth = REFRESH_SECS / 10;
    let offset = U256::from_be_bytes(seed.0) % U256::from(2 * tenth + 1);
    REFRESH_SECS - tenth + offset.to::<u64>()
}

#[cfg(test)]
mod tests {
    use nodesys_chain::BlockRef;
    use nodesys_chain::release::{AnnouncedRelease, AnnouncedTombstone};
    use nodesys_core::B256;

    use super::*;

    #[test]
    fn what_takes_effect_next_is_looked_at_then_release_or_tombstone() {
        let announced = |at| AnnouncedRelease {
            version: 1,
            release_hash: B256::ZERO,
            announced_at: 0,
            runnable_at: at,
        };
        let tombstone = |at| AnnouncedTombstone {
            version: 2,
            removes_volumes: false,
            announced_at: 0,
            effective_at: at,
        };
        let of = |release: Option<u64>, stone: Option<u64>| {
            takes_effect_in(&WorkloadReleases {
                block: BlockRef { number: 1, hash: B256::ZERO, secs: 100 },
                release_key: None,
                release_delay_secs: 0,
                runnable: None,
                announced: release.map(announced),
                tombstone: None,
                announced_tombstone: stone.map(tombstone),
            })
        };
        assert_eq!((of(None, None), of(Some(100), Some(7))), (None, None));
        assert_eq!(of(Some(160), None), Some(61));
        assert_eq!(of(Some(90), Some(105)), Some(6));
        assert_eq!(of(Some(103), Some(105)), Some(4));
    }

    #[test]
    fn reads_are_spread() {
        let secs: Vec<u64> =
            (0..200).map(|read| spread_secs(Address::repeat_byte(1), read)).collect();
        assert!(secs.iter().all(|secs| (540..=660).contains(secs)), "{secs:?}");
        assert!(secs.iter().min() < Some(&550) && secs.iter().max() > Some(&650));
    }
}
