//! The watch as a cell runs it: one look at each moment, with the guardian's key at hand. This is the
//! only place that knows how the watch is called.

use std::collections::BTreeMap;

use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_contracts::Provider;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_sdk::bundles::BundleSource;
use nodesys_sdk::watch::{Watcher, stop};

use crate::world::World;

/// What the watch says of a posted day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It was recomputed.
    Holds,
    /// It cannot be recomputed yet, or not by what can be had.
    CannotTell,
    /// It is proven wrong.
    DoesNotHold,
}

impl Verdict {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::CannotTell => "cannot tell",
            Self::DoesNotHold => "does not hold",
        }
    }
}

/// A running watch.
pub struct Guard {
    watcher: Watcher,
    guardian: Provider,
    /// It ends with the first alarm.
    ended: bool,
}

impl Guard {
    /// Starts it over these RPCs and places.
    pub async fn start(world: &World, rpcs: &[String], places: &[String]) -> anyhow::Result<Self> {
        let key = &world.people.guardian.key;
        let chain = Some(DEVELOPMENT_CHAIN_ID);
        let guardian = Provider::connect_with_key(&rpcs[0].parse()?, chain, key).await?;
        let sources: Result<_, _> = places.iter().map(|place| BundleSource::parse(place)).collect();
        let source = BundleSource::FirstOf(sources?);
        let (registry, distributor) = (world.project.registry, world.distributor());
        let watcher = Watcher::new(guardian.clone(), registry, distributor, source, 0, 0);
        Ok(Self { watcher, guardian, ended: false })
    }

    /// Looks once, and does what it finds right to do.
    pub async fn step(&mut self, _now: Timestamp) -> BTreeMap<UtcDay, Verdict> {
        if self.ended {
            return BTreeMap::new();
        }
        // What is passing is tried again at the next step.
        let Ok(seen) = self.watcher.look().await else { return BTreeMap::new() };
        let mut said: BTreeMap<UtcDay, Verdict> = BTreeMap::new();
        said.extend(seen.held.into_iter().map(|day| (day, Verdict::Holds)));
        said.extend(seen.waiting.into_iter().map(|(day, _)| (day, Verdict::CannotTell)));
        if let Some(alarm) = seen.alarm {
            self.ended = true;
            said.insert(alarm.day, Verdict::DoesNotHold);
            let distributor = self.watcher.distributor;
            let stopped = stop(&self.guardian, distributor, alarm.commit_hash, 0).await;
            if let Err(error) = stopped {
                eprintln!("the guardian's work ended: {error}");
            }
        }
        said
    }
}
