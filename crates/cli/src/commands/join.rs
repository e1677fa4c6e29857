//! `join`: takes a network's settings from its file, by the hash on chain.

use std::fmt;

use nodesys_sdk::network::{Announced, NetworkId, Place};
use serde::Serialize;

use crate::exit::Exit;
use crate::network::{Change, JoinPlan};
use crate::node::cluster_file::ClusterFile;
use crate::node::config::SettingKey;
use crate::output::{self, say};
use crate::prompt::confirm;
use crate::setup::Setup;

/// Options of `join`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys join eip155:8453:0x5fbdb2315678afecb367f032d93f642f64180aa3 --rpc https://rpc.example.org
  nodesys join --dry-run          # has the network changed?
  nodesys join                    # take what has changed
  nodesys join --from network.json --from https://mirror.example.org/network.json

The hash is read from the chain over your own RPC, so the file may come from anywhere. A changed URL is
taken without a question: it has waited on chain for 7 days. A changed image, k3s or root of updates is
shown, and taken with a yes only. Settings that you have set otherwise stay. Then: nodesys pair, nodesys
start, nodesys workload add.")]
pub struct JoinArgs {
    /// The network: its chain and registry, as eip155:<chain id>:<address of ProjectRegistry> [default: the one
    /// that was joined].
    #[arg(value_name = "NETWORK")]
    network: Option<NetworkId>,
    /// A file or URL that has the network file, tried before the announced one; may be given more than once.
    #[arg(long, value_name = "FILE|URL", value_parser = Place::parse)]
    from: Vec<Place>,
    /// Show what would be done; write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// What joining did.
#[derive(Serialize)]
struct JoinView<'a> {
    network: String,
    name: String,
    file: &'a Announced,
    /// Announced for later; it may still be cancelled.
    waiting: Option<&'a Announced>,
    backends: Vec<&'a str>,
    rpc_hints: Vec<&'a str>,
    first_block: String,
    manager_image: Option<String>,
    k3s: Option<&'a str>,
    updates: Option<&'a str>,
    /// Null at the first time.
    changes: Option<&'a [Change]>,
    /// Settings that are written.
    written: &'a [SettingKey],
    /// Settings of yours that differ, and stay.
    kept: &'a [SettingKey],
    /// False with --dry-run.
    done: bool,
}

impl<'a> JoinView<'a> {
    fn of(plan: &'a JoinPlan, done: bool) -> Self {
        let file = &plan.fetched.file;
        Self {
            network: file.id().to_string(),
            name: file.name.to_string(),
            file: &plan.announced,
            waiting: plan.waiting.as_ref(),
            backends: file.backends.iter().map(reqwest::Url::as_str).collect(),
            rpc_hints: file.rpc.iter().map(reqwest::Url::as_str).collect(),
            first_block: file.first_block.to_string(),
            manager_image: file.manager_image.as_ref().map(ToString::to_string),
            k3s: file.k3s.as_ref().map(|pin| pin.version.as_str()),
            updates: file.updates.as_ref().map(|updates| updates.repository.as_str()),
            changes: plan.changes.as_deref(),
            written: &plan.merged.written,
            kept: &plan.merged.kept,
            done,
        }
    }
}

impl fmt::Display for JoinView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "network       {}, {}", self.name, self.network)?;
        writeln!(f, "file          {}", self.file)?;
        writeln!(f, "backends      {}", self.backends.join(" "))?;
        if !self.rpc_hints.is_empty() {
            writeln!(f, "RPC hints     {}", self.rpc_hints.join(" "))?;
        }
        writeln!(f, "first block   {}", self.first_block)?;
        let rest = [("manager image", &self.manager_image.as_deref()), ("k3s", &self.k3s)];
        for (what, value) in rest.into_iter().chain([("updates", &self.updates)]) {
            if let Some(value) = value {
                writeln!(f, "{what:<13} {value}")?;
            }
        }
        match self.changes {
            None => {}
            Some([]) => writeln!(f, "changes       none since it was joined")?,
            Some(changes) => {
                for (nth, change) in changes.iter().enumerate() {
                    writeln!(f, "{:<13} {change}", if nth == 0 { "changes" } else { "" })?;
                }
            }
        }
        if let Some(waiting) = self.waiting {
            writeln!(f, "waiting       {waiting}")?;
        }
        let list = |keys: &[SettingKey]| match keys {
            [] => "none".to_owned(),
            keys => keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let written = if self.done { "written" } else { "would be written" };
        write!(f, "settings      {written}: {}", list(self.written))?;
        if !self.kept.is_empty() {
            write!(f, "; kept as you set them: {}", list(self.kept))?;
        }
        Ok(())
    }
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &JoinArgs) -> anyhow::Result<Exit> {
    let plan = JoinPlan::of(setup, args.network, &args.from).await?;
    if !args.dry_run {
        if plan.needs_yes() {
            // What is agreed to is shown first, to the person; the answer comes when it is done.
            say(JoinView::of(&plan, false));
            confirm("Take this network's file?", args.yes)?;
        }
        plan.apply(setup)?;
    }
    output::print(setup.format(), &JoinView::of(&plan, !args.dry_run))?;
    if !args.dry_run && !plan.merged.written.is_empty() {
        say(match ClusterFile::read(setup.home()?)? {
            None => "next: nodesys pair request, then nodesys start (see nodesys pair --help)",
            Some(_) => "next: nodesys start, which gives the manager its new settings",
        });
    }
    Ok(Exit::Done)
}
