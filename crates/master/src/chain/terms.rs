//! `project announce-terms|terms`: terms on chain before the days for which they count.
//!
//! Announced is the hash of the terms as a day's bundle has them, so a bundle proves by itself which
//! announcement is its own.

use std::fmt;

use anyhow::ensure;
use clap::Args;
use nodesys_chain::bindings::ProjectRegistry::announceTermsCall;
use nodesys_chain::project::announced_terms;
use nodesys_core::ids::Name;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use serde::Serialize;

use super::project::{RegisteredProject, find};
use super::registry::RegistryWriter;
use super::tx::{SendArgs, TxSender, TxView};
use crate::config::Settings;

/// When announced terms begin.
#[derive(Debug, Args)]
pub struct AnnounceArgs {
    /// The first day of the terms, which has not begun.
    #[arg(long, value_name = "DAY")]
    from: UtcDay,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// Terms that were announced.
#[derive(Debug, Serialize)]
struct AnnouncedView {
    hash: B256,
    from: u64,
    block_number: u64,
    transaction: B256,
    /// Whether they are those of the file of --terms, if one is given.
    ours: Option<bool>,
}

/// A project's announcements, in their order.
#[derive(Debug, Serialize)]
pub(crate) struct TermsView {
    project: Address,
    name: Name,
    announced: Vec<AnnouncedView>,
}

impl fmt::Display for TermsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "project      {} ({})", self.project, self.name)?;
        if self.announced.is_empty() {
            write!(f, "\nterms        none announced")?;
        }
        for one in &self.announced {
            let day = UtcDay::from_epoch(one.from);
            let day = day.map_or_else(|| format!("day {}", one.from), |day| day.to_string());
            write!(f, "\nfrom {day}  {} in block {}", one.hash, one.block_number)?;
            if one.ours == Some(true) {
                write!(f, ", the file of --terms")?;
            }
        }
        Ok(())
    }
}

/// Announces the terms of `--terms`.
pub(crate) async fn announce(
    settings: &Settings,
    tx: &TxSender,
    args: &AnnounceArgs,
) -> anyhow::Result<TxView> {
    let hash = settings.read_terms()?.hash();
    let writer = RegistryWriter::of(settings, tx).await?;
    let provider = &writer.sender.provider;
    let RegisteredProject { registry, address: project, name, .. } =
        find(settings, provider).await?;
    let from_day = args.from.epoch();
    let first = settings.first_block.unwrap_or(0);
    let known = announced_terms(provider, registry, project, first).await?;
    // A later announcement for the same or an earlier day takes its place.
    let last = known.iter().rev().find(|one| one.event.fromDay <= from_day);
    let done =
        last.is_some_and(|last| (last.event.termsHash, last.event.fromDay) == (hash, from_day));
    let begins = args.from.start();
    if !done {
        let now = Timestamp::from_secs(provider.latest_block().await?.secs);
        ensure!(
            begins > now,
            "--from {} has begun: terms are announced before their first day",
            args.from
        );
    }
    let entry = format!("terms {hash} of {name} from {} on", args.from);
    let call = announceTermsCall { project, termsHash: hash, fromDay: from_day };
    writer.record(entry, done, call).await
}

/// Lists the announcements.
pub(crate) async fn list(settings: &Settings) -> anyhow::Result<TermsView> {
    let provider = settings.provider().await?;
    let RegisteredProject { registry, address, name, .. } = find(settings, &provider).await?;
    let ours = match settings.terms {
        Some(_) => Some(settings.read_terms()?.hash()),
        None => None,
    };
    let first = settings.first_block.unwrap_or(0);
    let announced = announced_terms(&provider, registry, address, first).await?;
    let view = |logged: nodesys_chain::logs::Logged<_>| {
        let nodesys_chain::bindings::ProjectRegistry::TermsAnnounced { termsHash, fromDay, .. } =
            logged.event;
        AnnouncedView {
            hash: termsHash,
            from: fromDay,
            block_number: logged.block_number,
            transaction: logged.transaction,
            ours: ours.map(|ours| ours == termsHash),
        }
    };
    Ok(TermsView { project: address, name, announced: announced.into_iter().map(view).collect() })
}
