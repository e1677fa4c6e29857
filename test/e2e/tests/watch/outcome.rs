//! The outcome of a cell, read from the chain and not from the watch's output; and the rule for it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::consensus::Transaction as _;
use alloy::eips::BlockNumberOrTag;
use alloy::network::TransactionResponse as _;
use alloy::providers::Provider as _;
use alloy::sol_types::SolCall as _;
use nodesys_chain::bindings::RewardDistributor::{
    cancelCall, disableSignerCall, pauseCall, revokeCall,
};
use nodesys_chain::project::{DistributorEvent, distributor_events};
use nodesys_core::ids::Amount;
use nodesys_core::time::UtcDay;
use nodesys_core::{B256, U256};
use nodesys_devnet::deploy::TOKEN;

use crate::cell::Cell;
use crate::guard::Verdict;
use crate::signer::key;
use crate::world::{THIEF, World};

/// The outcome.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The watch's verdicts on each day, in order.
    pub said: BTreeMap<UtcDay, Vec<Verdict>>,
    /// The guardian's transactions, in order, and whether each was refused.
    sent: Vec<String>,
    /// Payments to the thief.
    lost: Amount,
    /// Most that the thief can be paid without a watch.
    pub at_stake: Amount,
    /// Whether there was something to stop.
    pub took_place: bool,
    /// Honest days that were revoked.
    revoked: BTreeSet<UtcDay>,
    /// Honest days that the watch judged not to hold.
    accused: BTreeSet<UtcDay>,
    /// Whether the signer was disabled.
    disabled: bool,
    /// Whether posts were paused at any time.
    pub paused: bool,
    /// Unclaimable debt of honest days at the end.
    unpaid: Amount,
    /// Days that an honest owner could not post.
    pub unposted: u32,
}

impl Outcome {
    /// Reads the events since `began` from the chain, after everybody has claimed all they can.
    pub async fn read(&mut self, world: &World, began: u64) -> anyhow::Result<()> {
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
        let days: BTreeSet<UtcDay> = honest.values().copied().collect();
        let accused = |(_, said): &(&UtcDay, &Vec<Verdict>)| said.contains(&Verdict::DoesNotHold);
        let accused = self.said.iter().filter(accused).map(|(day, _)| *day);
        self.accused = accused.filter(|day| days.contains(day)).collect();
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

    /// The violations of the rule.
    pub fn violations(&self, cell: &Cell) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |holds: bool, words: String| {
            if !holds {
                found.push(format!("{}: {words}", cell.name()));
            }
        };
        check(self.took_place || !cell.can_tell(), "the thief's post was refused".to_owned());
        for day in &self.accused {
            check(false, format!("{day} is honest, and was said not to hold"));
        }
        if cell.scenario.is_honest() && !cell.can_tell() {
            // A doubt that stays may end in a revocation, never in the word that a day does not hold.
        } else if cell.scenario.is_honest() {
            let days: Vec<String> = self.revoked.iter().map(UtcDay::to_string).collect();
            check(days.is_empty(), format!("honest days were revoked: {}", days.join(", ")));
            check(!self.disabled, "an honest signer was disabled".to_owned());
            let unpaid = tokens(self.unpaid);
            check(self.unpaid == Amount::ZERO, format!("{unpaid} tokens stayed unpaid"));
            check(self.unposted == 0, format!("{} days stayed unposted", self.unposted));
        } else if cell.watch.is_none() {
            // Not less either: else there would be nothing to watch.
            let (lost, stake) = (self.lost, self.at_stake);
            check(lost == stake, format!("the thief got {lost} wei, {stake} were at stake"));
        } else if !cell.is_lied_to() {
            check(self.lost == Amount::ZERO, format!("the thief got {} tokens", tokens(self.lost)));
        }
        found
    }

    /// A row of the table.
    pub fn row(&self, cell: &Cell) -> String {
        let (rpcs, places) = cell.names();
        let sent = if self.sent.is_empty() { "-".to_owned() } else { self.sent.join(", ") };
        format!(
            "| {} | {rpcs} | {places} | {} | {sent} | {} | {} |",
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
                let said: Vec<String> = said.iter().map(|verdict| verdict.to_string()).collect();
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
