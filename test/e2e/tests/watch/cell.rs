//! One cell of the matrix: a scenario, and the RPCs and places of the watch, each with a fault of
//! its own or none.

use std::time::Duration;

use nodesys_chain::bindings::RewardDistributor;
use nodesys_core::time::Timestamp;
use nodesys_devnet::rpc_proxy::{Fault, RpcProxy};

use crate::guard::{Guard, PATIENCE, PATIENCE_WITH_SILENCE};
use crate::outcome::Outcome;
use crate::places::{Mode, Place};
use crate::scenarios::{Play, Scenario};
use crate::world::World;

/// Interval between two checks; twice that within a pause.
const STEP_MILLIS: u64 = 6 * 3_600_000;

/// An RPC of the watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rpc {
    Whole,
    Pruned,
    Lagging,
    Differing,
    Silent,
    /// Like pruned, but it says so.
    Refusing,
    /// Gone, behind a balancer.
    Down,
    /// Of a small plan: short ranges, few logs.
    Limited,
    /// Of a plan that is used up.
    RateLimited,
    /// Without receipts.
    Receiptless,
    Slow,
    /// Names absurd prices of gas, and an account that can pay them.
    Dear,
}

/// The sources of a watch with the guardian's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    pub rpcs: Vec<Rpc>,
    pub places: Vec<Mode>,
}

/// A cell.
#[derive(Debug, Clone)]
pub struct Cell {
    pub scenario: Scenario,
    /// `None` without a watch: the scenario's own outcome.
    pub watch: Option<Watch>,
}

impl Rpc {
    async fn fault(self, world: &World, play: &Play) -> anyhow::Result<Fault> {
        Ok(match self {
            Self::Whole => Fault::None,
            Self::Pruned => {
                // All but the last day before the scenario.
                let secs = play.first.start().secs() - 86_400;
                let block = world.chain.reader.first_block_at_or_after(secs, 0).await?;
                Fault::Pruned { below: block.map_or(0, |block| block.number) }
            }
            // Half a day, at the four blocks that each step mines.
            Self::Lagging => Fault::Lags { blocks: 8 },
            Self::Differing => Fault::Differs,
            Self::Silent => Fault::Hangs,
            Self::Refusing => match Box::pin(Self::Pruned.fault(world, play)).await? {
                Fault::Pruned { below } => Fault::PrunedSaysSo { below },
                fault => fault,
            },
            Self::Down => Fault::Down,
            Self::Limited => Fault::Limits { blocks: 10, results: 10 },
            Self::RateLimited => Fault::RateLimited,
            Self::Receiptless => Fault::NullReceipts,
            Self::Slow => Fault::Slow(Duration::from_millis(10)),
            Self::Dear => Fault::Dear,
        })
    }
}

/// Runs a cell in a world that stands where its scenario begins.
pub async fn run(cell: &Cell, world: &mut World) -> anyhow::Result<Outcome> {
    let mut play = cell.scenario.play(world).await?;
    let began = world.chain.reader.latest_block().await?.number;
    let upstream = world.chain.url.expose().to_string();
    let (mut rpcs, mut places, mut guard) = (Vec::new(), Vec::new(), None);
    if let Some(watch) = &cell.watch {
        let silent = watch.rpcs.contains(&Rpc::Silent);
        let patience = if silent { PATIENCE_WITH_SILENCE } else { PATIENCE };
        for rpc in &watch.rpcs {
            let proxy = RpcProxy::start(&upstream).await?;
            proxy.set(rpc.fault(world, &play).await?);
            rpcs.push(proxy);
        }
        for mode in &watch.places {
            places.push(Place::start(world.store.clone(), *mode).await?);
        }
        let rpcs: Vec<String> = rpcs.iter().map(RpcProxy::url).collect();
        let places: Vec<String> = places.iter().map(Place::url).collect();
        guard = Some(Guard::start(world, &rpcs, &places, patience).await?);
    }

    let mut outcome = Outcome::default();
    let mut now = world.now().await?;
    while now < until(world, &play, outcome.paused).await? {
        let paused = world.is_paused().await?;
        now = now.plus_millis(if paused { 2 * STEP_MILLIS } else { STEP_MILLIS });
        world.move_to(now).await?;
        play.act(world, now, &rpcs).await?;
        if let Some(guard) = &mut guard {
            for (day, verdict) in guard.step(now).await {
                let said = outcome.said.entry(day).or_default();
                if said.last() != Some(&verdict) {
                    said.push(verdict);
                }
            }
        }
        outcome.paused |= world.is_paused().await?;
    }
    outcome.at_stake = play.at_stake();
    outcome.took_place = play.took_place();
    outcome.unposted = play.unposted(world);
    outcome.read(world, began).await?;
    Ok(outcome)
}

/// The length of the run: with a pause, until its end, unless the thief has lost before.
async fn until(world: &World, play: &Play, paused: bool) -> anyhow::Result<Timestamp> {
    let over = !paused || is_settled(world, play).await?;
    Ok(if over { play.ends() } else { play.ends_after_a_pause() })
}

/// Whether the thief can get nothing more.
async fn is_settled(world: &World, play: &Play) -> anyhow::Result<bool> {
    if !play.has_struck() || !world.state().await?.signer.is_zero() {
        return Ok(false);
    }
    let bound = RewardDistributor::new(world.distributor(), world.chain.reader.rpc());
    for post in &world.ledger.thief {
        if bound.commitOf(post.root).call().await?.activatesAt != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Cell {
    /// Whether one of its RPCs is whole and one of its places is good.
    pub fn can_tell(&self) -> bool {
        self.watch.as_ref().is_none_or(|watch| {
            watch.rpcs.contains(&Rpc::Whole) && watch.places.contains(&Mode::Good)
        })
    }

    /// Whether nothing that its RPCs say is true: the watch then sees nothing, and does nothing.
    pub fn is_lied_to(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| {
            watch.rpcs.iter().all(|rpc| matches!(rpc, Rpc::Differing | Rpc::Silent))
        })
    }

    pub fn name(&self) -> String {
        let (rpcs, places) = self.names();
        format!("{}; RPCs: {rpcs}; places: {places}", self.scenario.name())
    }

    /// Its RPCs and places.
    pub fn names(&self) -> (String, String) {
        let Some(watch) = &self.watch else { return ("none".to_owned(), "none".to_owned()) };
        let rpcs: Vec<String> =
            watch.rpcs.iter().map(|rpc| format!("{rpc:?}").to_lowercase()).collect();
        let places: Vec<&str> = watch.places.iter().map(|mode| mode.name()).collect();
        (rpcs.join(", "), places.join(", "))
    }
}
