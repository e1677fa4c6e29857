//! The watch in a cell: one check at each moment, with the guardian's key. Only this file knows the
//! watch's interface.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodesys_chain::{Provider, RpcUrl};
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_sdk::audit::AuditRange;
pub use nodesys_sdk::audit::Verdict;
use nodesys_sdk::bundles::{BundleSource, Places};
use nodesys_sdk::client::Client;
use nodesys_sdk::guardian::Guardian;
use nodesys_sdk::watch::Watch;

use crate::world::World;

/// Time limit of an RPC or a place: all are on this machine, which may be busy.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The same where an RPC never answers: it is waited for at each look.
pub const PATIENCE_WITH_SILENCE: Duration = Duration::from_millis(600);

/// A running watch.
pub struct Guard {
    watch: Watch,
    guardian: Guardian,
}

impl Guard {
    /// Starts it over these RPCs and places, each of which has `patience` to answer.
    pub async fn start(
        world: &World,
        rpcs: &[String],
        places: &[String],
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let rpcs: Vec<RpcUrl> = rpcs.iter().map(|url| url.parse()).collect::<Result<_, _>>()?;
        let (chain, key) = (Some(DEVELOPMENT_CHAIN_ID), &world.people.guardian.key);
        let provider = Provider::connect_all_within(&rpcs, chain, Some(key), patience).await?;
        let mut sources = Vec::new();
        for place in places {
            let client = Client::new(place)?.with_timeout(patience);
            sources.push(BundleSource::Server(Box::new(client)));
        }
        let project = world.project.clone();
        let distributor = project.distributor;
        let range = AuditRange::default();
        let watch = Watch::new(&provider, project, Places::new(sources), range, BTreeSet::new());
        Ok(Self { watch, guardian: Guardian::new(provider, distributor, 0, patience) })
    }

    /// Checks once, and takes the due steps.
    pub async fn step(&mut self, now: Timestamp) -> BTreeMap<UtcDay, Verdict> {
        let look = self.watch.look(now).await;
        for taken in self.guardian.act(&look).await {
            if let Some(problem) = taken.problem {
                eprintln!("{now} {}: {problem}", taken.step);
            }
        }
        look.posts.iter().map(|post| (post.day, post.verdict)).collect()
    }
}
