//! Decides from observations what to run. Pure: no clock, no network, no cluster.
//!
//! Invariants, whatever the chain, the backend, the project's server or the cluster says:
//! - a version runs only if the chain announced it, its delay has passed without a veto, the fetched
//!   bytes have the announced hash, and it stays within the operator's grant;
//! - nothing is removed on an error, an empty or a short answer: only a tombstone in effect removes,
//!   and only up to its own version;
//! - an update that does not become healthy rolls back by itself, and is not tried again.

use std::fmt;

use nodesys_chain::release::WorkloadReleases;
use nodesys_core::ids::Name;
use nodesys_core::release::{Release, Version};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256, U256, keccak256};

use super::ledger::{Ledger, Quarantined, Rollout};
use nodesys_render::Grant;

/// The state of the wanted version in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fitness {
    /// The cluster does not run it yet.
    Absent,
    /// Healthy.
    Fit,
    /// Not healthy, or not yet.
    Unfit(String),
    /// It will not become healthy.
    Failed(String),
}

/// The observations of one workload.
#[derive(Debug)]
pub struct Observation<'a> {
    /// Now.
    pub now: Timestamp,
    /// This node.
    pub node_key: Address,
    /// The workload's name.
    pub workload: &'a Name,
    /// The releases on chain, or the reason they are unknown.
    pub chain: Result<&'a WorkloadReleases, String>,
    /// The version of the deployment in the cluster, by any writer.
    pub live: Option<Version>,
    /// Whether a pod is terminating.
    pub ending: bool,
    /// The runnable release on chain, if it was fetched, or the reason it could not be.
    pub offered: Option<Result<Release, String>>,
    /// The state of the wanted version.
    pub fitness: Fitness,
    /// The operator's grant.
    pub grant: &'a Grant,
}

/// The wanted state of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Nothing has ever been accepted.
    Nothing,
    /// The release of this version in the ledger.
    Release(Version),
    /// Nothing, by a tombstone.
    Remove {
        /// With its persistent volumes.
        volumes: bool,
    },
}

/// Something worth an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutEvent {
    /// The first version.
    Installed(Version),
    /// An update has begun.
    Updating {
        /// The version before.
        from: Version,
        /// The new one.
        to: Version,
    },
    /// The update is accepted.
    Updated(Version),
    /// The update has failed.
    RolledBack {
        /// The bad version.
        from: Version,
        /// The restored version.
        to: Version,
        /// The observed failure.
        why: String,
    },
    /// Removed by a tombstone.
    Removed(Version),
}

/// The plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The ledger from now on.
    pub ledger: Ledger,
    /// The version to run.
    pub run: Run,
    /// The news.
    pub told: Vec<RolloutEvent>,
    /// The problem, for the status.
    pub problem: Option<String>,
    /// The condition waited for, for the status.
    pub waits: Option<String>,
}

/// The version and hash that must be fetched before [`plan`] can decide: the chain's runnable one,
/// unless it is already here, older than the one here, or in quarantine.
pub fn to_fetch(ledger: &Ledger, chain: &WorkloadReleases) -> Option<(Version, B256)> {
    let runnable = chain.runnable?;
    let version = Version::new(runnable.version)?;
    let newer = ledger.wanted().is_none_or(|wanted| version > wanted);
    let tried = is_quarantined(ledger, version, runnable.release_hash);
    (newer && !tried).then_some((version, runnable.release_hash))
}

/// Decides.
pub fn plan(ledger: &Ledger, seen: &Observation<'_>) -> Plan {
    let mut plan = Plan {
        ledger: ledger.clone(),
        run: Run::Nothing,
        told: Vec::new(),
        problem: None,
        waits: None,
    };
    plan.judge_rollout(seen);
    match &seen.chain {
        Err(problem) => plan.problem = Some(problem.clone()),
        Ok(chain) => {
            if plan.obeys_tombstone(seen, chain) {
                return plan;
            }
            plan.consider(seen, chain);
        }
    }
    plan.ledger.prune();
    plan.run = plan.ledger.wanted().map_or(Run::Nothing, Run::Release);
    plan
}

impl Plan {
    /// Ends an update that has passed its gate, or has failed.
    fn judge_rollout(&mut self, seen: &Observation<'_>) {
        let (Some(mut rollout), Some(current)) = (self.ledger.rollout, self.ledger.current) else {
            return;
        };
        let Some(release) = self.ledger.accepted.get(&rollout.version) else { return };
        match judge(&mut rollout, release, &seen.fitness, seen.now) {
            Verdict::Wait => self.ledger.rollout = Some(rollout),
            Verdict::Good => {
                self.ledger.current = Some(rollout.version);
                self.ledger.rollout = None;
                self.told.push(RolloutEvent::Updated(rollout.version));
            }
            Verdict::Bad(why) => {
                let quarantined =
                    Quarantined { release_hash: release.hash(), why: why.clone(), at: seen.now };
                self.ledger.quarantined.insert(rollout.version, quarantined);
                self.ledger.rollout = None;
                self.told.push(RolloutEvent::RolledBack {
                    from: rollout.version,
                    to: current,
                    why,
                });
            }
        }
    }

    /// Whether a tombstone in effect covers all that is here.
    fn obeys_tombstone(&mut self, seen: &Observation<'_>, chain: &WorkloadReleases) -> bool {
        let Some(tombstone) = chain.tombstone else { return false };
        let Some(version) = Version::new(tombstone.version) else { return false };
        match self.ledger.wanted().or(seen.live) {
            Some(here) if here <= version => self.told.push(RolloutEvent::Removed(version)),
            // Nothing here, and nothing to come: what a stopped manager left is removed now.
            None if chain.runnable.is_none() && self.ledger.removed_up_to.is_some() => {}
            _ => return false,
        }
        self.ledger = Ledger {
            quarantined: std::mem::take(&mut self.ledger.quarantined),
            removed_up_to: Some(version),
            ..Ledger::default()
        };
        self.run = Run::Remove { volumes: tombstone.removes_volumes };
        self.waits = Some(format!("removed by tombstone {version}"));
        true
    }

    /// Accepts the chain's runnable release, or gives the reason not to.
    fn consider(&mut self, seen: &Observation<'_>, chain: &WorkloadReleases) {
        // What runs without an entry (a ledger that was lost) is not taken away either.
        let here = self.ledger.wanted().or(seen.live);
        let runnable = chain.runnable.and_then(|it| Version::new(it.version).map(|v| (v, it)));
        let Some((version, runnable)) = runnable else {
            match (here, chain.announced) {
                (Some(here), _) => {
                    self.problem = Some(format!(
                        "the chain lists no release that may run, but version {here} runs here: \
                         it is kept; compare the RPC with another"
                    ));
                }
                (None, Some(announced)) => {
                    let from = Timestamp::from_secs(announced.runnable_at);
                    let version = announced.version;
                    self.waits = Some(format!("version {version} may run from {from} on"));
                }
                (None, None) => self.waits = Some("no release is announced yet".to_owned()),
            }
            return;
        };
        match here {
            Some(here) if version < here => {
                self.problem = Some(format!(
                    "the chain lists version {version} as the newest, but version {here} runs \
                     here: it is kept; compare the RPC with another"
                ));
            }
            Some(here) if version == here && self.ledger.wanted().is_some() => {
                let known = self.ledger.accepted.get(&here).map(Release::hash);
                if known != Some(runnable.release_hash) {
                    self.problem = Some(format!(
                        "the chain now lists another hash for version {here}: what runs is kept; \
                         compare the RPC with another"
                    ));
                }
            }
            _ => {
                // The chain's time counts where this machine's is behind it.
                let time = seen.now.max(Timestamp::from_secs(chain.block.secs));
                if let Err(held_up) = self.accept(seen, time, version, &runnable) {
                    match held_up {
                        HeldUp::Wait(words) => self.waits = Some(words),
                        HeldUp::Problem(words) => self.problem = Some(words),
                    }
                }
            }
        }
    }

    fn accept(
        &mut self,
        seen: &Observation<'_>,
        time: Timestamp,
        version: Version,
        announced: &nodesys_chain::release::AnnouncedRelease,
    ) -> Result<(), HeldUp> {
        let problem = |words: String| HeldUp::Problem(format!("version {version}: {words}"));
        if let Some(bad) = self.ledger.quarantined.get(&version)
            && bad.release_hash == announced.release_hash
        {
            return Err(problem(format!("not run again, it failed at {}: {}", bad.at, bad.why)));
        }
        let release = match &seen.offered {
            None => return Err(HeldUp::Wait(format!("version {version} is to be fetched"))),
            Some(Err(words)) => return Err(problem(words.clone())),
            Some(Ok(release)) => release,
        };
        // The hash binds the document; the document must be what it was announced as.
        if release.hash() != announced.release_hash {
            return Err(problem("the release at hand has another hash".to_owned()));
        }
        if (release.version(), release.workload()) != (version, seen.workload) {
            let (found, of) = (release.version(), release.workload());
            return Err(problem(format!(
                "announced for {}, but the document says version {found} of {of}",
                seen.workload
            )));
        }
        seen.grant.covers(release).map_err(|beyond| problem(beyond.to_string()))?;
        match self.ledger.current {
            None => {
                self.ledger.current = Some(version);
                self.told.push(RolloutEvent::Installed(version));
            }
            Some(from) => {
                let begins = begins(announced.runnable_at, release, seen.node_key);
                if time < begins {
                    let words = format!("version {version} begins on this node at {begins}");
                    return Err(HeldUp::Wait(words));
                }
                // The quota has room for one pod beside the one that runs: an update that finds
                // none would be blamed on its release.
                if seen.ending {
                    let words = format!("version {version} begins once a pod that ends has ended");
                    return Err(HeldUp::Wait(words));
                }
                let rollout = Rollout { version, begun: None, healthy_since: None };
                self.ledger.rollout = Some(rollout);
                self.told.push(RolloutEvent::Updating { from, to: version });
            }
        }
        self.ledger.accepted.insert(version, release.clone());
        Ok(())
    }
}

/// The reason a release is not accepted now.
enum HeldUp {
    Wait(String),
    Problem(String),
}

fn is_quarantined(ledger: &Ledger, version: Version, hash: B256) -> bool {
    ledger.quarantined.get(&version).is_some_and(|bad| bad.release_hash == hash)
}

/// This node's start time for a release: each node has its own moment within `stagger_secs`, by a
/// hash nobody can choose.
pub fn begins(runnable_at_secs: u64, release: &Release, node_key: Address) -> Timestamp {
    let span = u64::from(release.update().stagger_secs) + 1;
    let seed = [release.hash().as_slice(), node_key.as_slice()].concat();
    let offset = U256::from_be_bytes(keccak256(seed).0) % U256::from(span);
    Timestamp::from_secs(runnable_at_secs.saturating_add(offset.to::<u64>()))
}

enum Verdict {
    Wait,
    Good,
    Bad(String),
}

/// The outcome of an update, from its state.
fn judge(rollout: &mut Rollout, release: &Release, fitness: &Fitness, now: Timestamp) -> Verdict {
    let update = release.update();
    let passed = |since: Timestamp, secs: u32| now.millis_since(since) >= u64::from(secs) * 1000;
    if *fitness == Fitness::Absent {
        return Verdict::Wait;
    }
    let begun = *rollout.begun.get_or_insert(now);
    match fitness {
        Fitness::Absent => Verdict::Wait,
        Fitness::Failed(why) => Verdict::Bad(why.clone()),
        Fitness::Fit => {
            let since = *rollout.healthy_since.get_or_insert(now);
            if passed(since, update.gate_secs) { Verdict::Good } else { Verdict::Wait }
        }
        Fitness::Unfit(why) => {
            rollout.healthy_since = None;
            if passed(begun, update.deadline_secs) {
                let secs = update.deadline_secs;
                Verdict::Bad(format!("not healthy within {secs} s: {why}"))
            } else {
                Verdict::Wait
            }
        }
    }
}

impl RolloutEvent {
    /// The event's reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Installed(_) => "Installed",
            Self::Updating { .. } => "Updating",
            Self::Updated(_) => "Updated",
            Self::RolledBack { .. } => "RolledBack",
            Self::Removed(_) => "Removed",
        }
    }
}

impl fmt::Display for RolloutEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed(version) => write!(f, "version {version} is run, the first here"),
            Self::Updating { from, to } => write!(f, "from version {from} to version {to}"),
            Self::Updated(version) => write!(f, "version {version} is good"),
            Self::RolledBack { from, to, why } => {
                write!(f, "version {from} is in quarantine, back to version {to}: {why}")
            }
            Self::Removed(version) => write!(f, "removed by tombstone {version}"),
        }
    }
}

#[cfg(test)]
mod tests;
