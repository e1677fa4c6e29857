//! One cell of the matrix: a scenario, an RPC that lies in one way beside one that does not, a place
//! that fails in one way before one that does not. It is run to the scenario's end, and what came of it
//! is read from the chain, not from what the watch says.

use std::collections::{BTreeMap, BTreeSet};

use alloy::consensus::Transaction as _;
use alloy::eips::BlockNumberOrTag;
use alloy::network::TransactionResponse as _;
use alloy::providers::Provider as _;
use alloy::sol_types::SolCall as _;
use nodesys_contracts::bindings::RewardDistributor;
use nodesys_contracts::bindings::RewardDistributor::{
    cancelCall, disableSignerCall, pauseCall, revokeCall,
};
use nodesys_contracts::project::{DistributorEvent, distributor_events};
use nodesys_core::ids::Amount;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{B256, U256};
use nodesys_devnet::deploy::TOKEN;
use nodesys_devnet::rpc_proxy::{Fault, RpcProxy};

use crate::guard::{Guard, Verdict};
use crate::places::{Mode, Place};
use crate::scenarios::{Play, Scenario};
use crate::signer::key;
use crate::world::{THIEF, World};

/// Between two looks; within a pause, twice that.
const STEP_MILLIS: u64 = 6 * 3_600_000;

/// The first of the watch's two RPCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rpc {
    Whole,
    Pruned,
    Lagging,
    Differing,
    Silent,
}

pub const RPCS: [Rpc; 5] = [Rpc::Whole, Rpc::Pruned, Rpc::Lagging, Rpc::Differing, Rpc::Silent];

/// Whether anybody watches, by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Nobody does: what the scenario comes to by itself.
    Nobody,
    /// Somebody with the guardian's key does.
    By(Rpc, Mode),
}

/// A cell.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub scenario: Scenario,
    pub watch: Watch,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the watch said of each day, one after the other.
    said: BTreeMap<UtcDay, Vec<Verdict>>,
    /// What the guardian sent, in order, and whether it was refused.
    sent: Vec<String>,
    /// What the thief was paid.
    lost: Amount,
    /// What it can be paid where nobody watches.
    at_stake: Amount,
    /// Honest days that were revoked.
    revoked: BTreeSet<UtcDay>,
    /// Whether the signer was disabled.
    disabled: bool,
    /// Whether posts were paused at any time.
    paused: bool,
    /// What honest days owe and nobody could claim at the end.
    unpaid: Amount,
    /// Days that an honest owner could not post.
    unposted: u32,
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
        })
    }
}

/// Runs a cell in a world that stands where its scenario begins.
pub async fn run(cell: Cell, world: &mut World) -> anyhow::Result<Outcome> {
    let mut play = cell.scenario.play(world).await?;
    let began = world.chain.reader.latest_block().await?.number;
    let upstream = world.chain.url.expose().to_string();
    let rpcs = [RpcProxy::start(&upstream).await?, RpcProxy::start(&upstream).await?];
    let (mut places, mut guard) = (Vec::new(), None);
    if let Watch::By(rpc, mode) = cell.watch {
        rpcs[0].set(rpc.fault(world, &play).await?);
        for mode in [mode, Mode::Good] {
            places.push(Place::start(world.store.clone(), mode).await?);
        }
        let rpcs: Vec<String> = rpcs.iter().map(RpcProxy::url).collect();
        let places: Vec<String> = places.iter().map(Place::url).collect();
        guard = Some(Guard::start(world, &rpcs, &places).await?);
    }

    let mut outcome = Outcome::default();
    let mut now = world.now().await?;
    while now < until(world, &play, outcome.paused).await? {
        let paused = is_paused(world).await?;
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
        outcome.paused |= is_paused(world).await?;
    }
    outcome.at_stake = play.at_stake();
    outcome.unposted = play.unposted(world);
    outcome.read(world, began).await?;
    Ok(outcome)
}

/// How long it is played: with a pause, until that is over, unless the thief has lost before.
async fn until(world: &World, play: &Play, paused: bool) -> anyhow::Result<Timestamp> {
    let over = !paused || is_settled(world, play).await?;
    Ok(if over { play.ends() } else { play.ends_after_a_pause() })
}

async fn is_paused(world: &World) -> anyhow::Result<bool> {
    let bound = RewardDistributor::new(world.distributor(), world.chain.reader.rpc());
    Ok(bound.isPaused().call().await?)
}

/// Whether the thief can get nothing any more.
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

impl Outcome {
    /// Reads from the chain what happened since `began`, after everybody has claimed what they can.
    async fn read(&mut self, world: &World, began: u64) -> anyhow::Result<()> {
        world.claim_all().await?;
        let reader = &world.chain.reader;
        let newest = reader.latest_block().await?.number;
        let guardian = world.people.guardian.address();
        for number in began + 1..=newest {
            let at = BlockNumberOrTag::Number(number);
            let block = reader.rpc().get_block_by_number(at).full().await?;
            let transactions = block.map(|block| block.transactions.into_transactions());
            for transaction in transactions.into_iter().flatten() {
                if transaction.from() != guardian {
                    continue;
                }
                let receipt = reader.rpc().get_transaction_receipt(transaction.tx_hash()).await?;
                let took = receipt.is_some_and(|receipt| receipt.status());
                let name = name_of(transaction.input());
                self.sent.push(if took { name.to_owned() } else { format!("{name} (refused)") });
            }
        }
        let honest: BTreeMap<B256, UtcDay> =
            world.ledger.honest.iter().map(|post| (post.hash, post.day)).collect();
        let events = distributor_events(reader, world.distributor(), began + 1, newest).await?;
        for logged in &events {
            match &logged.event {
                DistributorEvent::Revoked(revoked) => {
                    self.revoked.extend(honest.get(&revoked.commitHash));
                }
                DistributorEvent::SignerDisabled(_) => self.disabled = true,
                _ => {}
            }
        }
        self.lost = amount(world.balance(key(THIEF).address()).await?);
        if let Some(last) = world.ledger.honest.last() {
            for person in world.earners() {
                let due = last.tree.proof(&person.address()).map(|proof| proof.cumulative);
                let paid = world.claimed(person.address()).await?;
                let owed = due.unwrap_or_default().checked_sub(paid).unwrap_or_default();
                self.unpaid = Amount::new(self.unpaid.get() + owed.get());
            }
        }
        Ok(())
    }

    /// What of the rule does not hold.
    pub fn violations(&self, cell: Cell) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |holds: bool, words: String| {
            if !holds {
                found.push(format!("{}: {words}", cell.name()));
            }
        };
        if cell.scenario.is_honest() {
            let days: Vec<String> = self.revoked.iter().map(UtcDay::to_string).collect();
            check(days.is_empty(), format!("honest days were revoked: {}", days.join(", ")));
            check(!self.disabled, "an honest signer was disabled".to_owned());
            let unpaid = tokens(self.unpaid);
            check(self.unpaid == Amount::ZERO, format!("{unpaid} tokens stayed unpaid"));
            check(self.unposted == 0, format!("{} days stayed unposted", self.unposted));
        } else if cell.watch == Watch::Nobody {
            // Not less either: else there would be nothing to watch.
            let (lost, stake) = (self.lost, self.at_stake);
            check(lost == stake, format!("the thief got {lost} wei, {stake} were at stake"));
        } else {
            check(self.lost == Amount::ZERO, format!("the thief got {} tokens", tokens(self.lost)));
        }
        found
    }

    /// A row of the table.
    pub fn row(&self, cell: Cell) -> String {
        let (rpc, place) = match cell.watch {
            Watch::Nobody => ("nobody".to_owned(), "watches".to_owned()),
            Watch::By(rpc, mode) => (format!("{rpc:?}").to_lowercase(), mode.name().to_owned()),
        };
        let sent = if self.sent.is_empty() { "-".to_owned() } else { self.sent.join(", ") };
        format!(
            "| {} | {rpc} | {place} | {} | {sent} | {} | {} |",
            cell.scenario.name(),
            self.verdict(),
            self.lost,
            tokens(self.unpaid),
        )
    }

    fn verdict(&self) -> String {
        let unusual: Vec<String> = self
            .said
            .iter()
            .filter(|(_, said)| **said != [Verdict::Holds])
            .map(|(day, said)| {
                let said: Vec<&str> = said.iter().map(|verdict| verdict.words()).collect();
                format!("{day} {}", said.join(", then "))
            })
            .collect();
        match (self.said.is_empty(), unusual.is_empty()) {
            (true, _) => "-".to_owned(),
            (false, true) => format!("{} days hold", self.said.len()),
            (false, false) => unusual.join("; "),
        }
    }
}

impl Cell {
    pub fn name(self) -> String {
        match self.watch {
            Watch::Nobody => format!("{}, nobody watches", self.scenario.name()),
            Watch::By(rpc, mode) => {
                let rpc = format!("{rpc:?}").to_lowercase();
                format!("{}, {rpc} RPC, {} place", self.scenario.name(), mode.name())
            }
        }
    }
}

fn name_of(input: &[u8]) -> &'static str {
    match input.get(..4) {
        Some(selector) if selector == pauseCall::SELECTOR => "pause",
        Some(selector) if selector == disableSignerCall::SELECTOR => "disableSigner",
        Some(selector) if selector == revokeCall::SELECTOR => "revoke",
        Some(selector) if selector == cancelCall::SELECTOR => "cancel",
        _ => "something else",
    }
}

fn amount(wei: U256) -> Amount {
    Amount::from_u256(wei).unwrap_or_default()
}

/// Whole tokens, rounded down.
fn tokens(amount: Amount) -> u128 {
    amount.get() / TOKEN
}
