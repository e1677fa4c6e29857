//! The watch is watched: what it needs in an emergency is checked at the start, every hour, and by
//! `--check`.

use std::fmt;

use alloy::eips::BlockId;
use nodesys_chain::Provider;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_core::bundle::{BUNDLE_JSON, ProjectInfo};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, U256};
use nodesys_sdk::bundles::Places;
use nodesys_sdk::guardian::Step;
use nodesys_sdk::watch::{Look, Post};
use serde::Serialize;

use crate::output::{decimal, table};

/// Gas of a pause, a disabled signer and a revocation of a month of days, with room.
const EMERGENCY_GAS: u64 = 1_500_000;

/// A newest block that is older than this is behind.
const BEHIND_SECS: u64 = 600;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    #[serde(skip)]
    pub(crate) at_secs: u64,
}

impl Check {
    pub(crate) fn of(name: &str, at_secs: u64, problem: Option<String>, fix: &str) -> Self {
        let fix = problem.is_some().then(|| fix.to_owned());
        Self { name: name.to_owned(), ok: problem.is_none(), problem, fix, at_secs }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let (Some(problem), Some(fix)) = (&self.problem, &self.fix) {
            write!(f, ": {problem}; {fix}")?;
        }
        Ok(())
    }
}

/// The subjects of the checks.
pub(crate) struct Checks {
    provider: Provider,
    project: ProjectInfo,
    places: Places,
    guardian: Option<Address>,
    /// Whether blocks come by themselves; a development chain makes them when it is told to.
    steady: bool,
}

impl Checks {
    pub(crate) const fn new(
        provider: Provider,
        project: ProjectInfo,
        places: Places,
        guardian: Option<Address>,
        steady: bool,
    ) -> Self {
        Self { provider, project, places, guardian, steady }
    }

    /// All of them.
    pub(crate) async fn run(&self, look: &Look) -> Vec<Check> {
        let now = look.now_secs;
        let mut checks = self.rpcs(now).await;
        let alone = (self.provider.sources() == 1)
            .then(|| "one RPC alone proves nothing: only the pause is armed".to_owned());
        let fix = "name a second --rpc, of another provider";
        checks.push(Check::of("two RPCs", now, alone, fix));
        checks.extend(self.places(now).await);
        if let Some(account) = self.guardian {
            checks.extend(self.guardian(account, look).await);
        }
        checks
    }

    async fn rpcs(&self, now: u64) -> Vec<Check> {
        let mut checks = Vec::new();
        for provider in self.provider.each() {
            let problem = match provider.latest_block().await {
                Err(error) => Some(error.to_string()),
                Ok(block) if self.steady && block.secs + BEHIND_SECS < now => Some(format!(
                    "its newest block is of {}, {} s behind",
                    Timestamp::from_secs(block.secs),
                    now - block.secs
                )),
                Ok(_) => None,
            };
            let name = format!("RPC {}", provider.url());
            checks.push(Check::of(&name, now, problem, "see its provider, or name another --rpc"));
        }
        checks
    }

    /// Each place by itself has the newest posted bundle.
    async fn places(&self, now: u64) -> Vec<Check> {
        let head = self
            .provider
            .call(self.project.distributor, &RewardDistributor::headCall {}, BlockId::latest())
            .await;
        let Ok(head) = head else { return Vec::new() };
        let Some(day) = UtcDay::from_epoch(head.epoch).filter(|_| !head.commitHash.is_zero())
        else {
            return Vec::new();
        };
        let mut checks = Vec::new();
        for source in self.places.sources() {
            let alone = Places::from(source.clone());
            let (project, commit) = (self.project.distributor, Some(head.commitHash));
            let found = alone.bundle_of(project, day, commit).await;
            let problem = found.err().map(|error| format!("{error} ({BUNDLE_JSON} of {day})"));
            let name = format!("place {}", source.place());
            checks.push(Check::of(&name, now, problem, "publish the day there, or name another"));
        }
        checks
    }

    async fn guardian(&self, account: Address, look: &Look) -> Vec<Check> {
        let now = look.now_secs;
        let mut checks = Vec::new();
        let Some(control) = look.control else { return checks };
        let is_owner = control.owner == account;
        let role = (control.guardian != account && !is_owner).then(|| {
            format!("{account} is neither the guardian ({}) nor the owner", control.guardian)
        });
        let fix = "give the keystore of the guardian, or let the owner appoint this one";
        checks.push(Check::of("guardian's role", now, role, fix));
        let spent = (control.pause_spent && !is_owner)
            .then(|| "its one pause is spent: in doubt the signer is disabled instead".to_owned());
        let fix = "the owner renews it: nodesys-master project now --renew-guardian-pause";
        checks.push(Check::of("guardian's pause", now, spent, fix));
        let gas = self.provider.price_and_balance("the guardian's gas", account).await;
        let problem = match gas {
            Err(error) => Some(error.to_string()),
            Ok((price, balance)) => {
                let needed = U256::from(EMERGENCY_GAS) * U256::from(price) * U256::from(2);
                (balance < needed).then(|| {
                    format!(
                        "{account} has {} of the chain's coin, an emergency may cost {}",
                        decimal(balance, 18),
                        decimal(needed, 18)
                    )
                })
            }
        };
        checks.push(Check::of("guardian's gas", now, problem, "send it some"));
        checks
    }
}

/// The report of `--check`.
#[derive(Debug, Serialize)]
pub(crate) struct CheckReport {
    checks: Vec<Check>,
    /// Posts that are not known to hold.
    posts: Vec<Post>,
    /// Steps that a guardian would take now.
    due: Vec<Step>,
    problems: Vec<String>,
}

impl CheckReport {
    pub(crate) fn of(checks: Vec<Check>, due: Vec<Step>, look: &Look) -> Self {
        let (posts, problems) = (look.posts.clone(), look.problems.clone());
        Self { checks, posts, due, problems }
    }

    pub(crate) fn is_well(&self) -> bool {
        self.checks.iter().all(|check| check.ok) && self.due.is_empty()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = table(&["check", "result", "problem", "fix"]);
        for check in &self.checks {
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            let result = if check.ok { "good" } else { "FAILS" };
            rows.add_row([
                check.name.clone(),
                result.to_owned(),
                text(&check.problem),
                text(&check.fix),
            ]);
        }
        write!(f, "{rows}")?;
        for post in &self.posts {
            write!(f, "\n{}: {}", post.day, post.verdict)?;
        }
        for step in &self.due {
            write!(f, "\ndue now: {step}")?;
        }
        for problem in &self.problems {
            write!(f, "\nnote: {problem}")?;
        }
        Ok(())
    }
}
