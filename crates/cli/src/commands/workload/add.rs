//! `workload add`: shows what a workload may do, asks, and adds it.

use std::fmt;

use reqwest::Url;
use serde::Serialize;

use crate::cluster::apply::Change;
use crate::cluster::connect::connect;
use crate::exit::Exit;
use crate::node::lock::lock;
use crate::output::{self, say};
use crate::prompt::confirm;
use crate::setup::Setup;
use crate::workload::add::{place_workload, propose};
use crate::workload::consent::{ConsentSummary, grant_lines};
use crate::workload::name::ProjectWorkload;
use crate::workload::registry::AddRequest;

/// Options of `workload add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The project's name in the registry, and its workload's.
    #[arg(value_name = "PROJECT/WORKLOAD")]
    pub workload: ProjectWorkload,
    /// The license: its token, or as `license show` takes it. May be left out if the operator may
    /// run exactly one.
    #[arg(long, value_name = "ID")]
    pub license: Option<String>,
    /// A server of the project's releases, asked before the backend; may be given more than once.
    #[arg(long, value_name = "URL")]
    pub release_url: Vec<Url>,
    /// Agree without being asked.
    #[arg(long)]
    pub yes: bool,
}

/// A workload that was added.
#[derive(Debug, Serialize)]
struct Added {
    #[serde(flatten)]
    summary: ConsentSummary,
    /// Whether it was there already, under the same grant.
    already: bool,
    changes: Vec<Change>,
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConsentSummary { project_name, workload, .. } = &self.summary;
        let what = if self.already { "there already" } else { "added" };
        write!(f, "{project_name}/{workload} {what}")?;
        for Change { object, done } in &self.changes {
            write!(f, "\n  {object} {done}")?;
        }
        write!(f, "\nnodesys workload status {workload} shows its progress")
    }
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &AddArgs) -> anyhow::Result<Exit> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let mut cluster = connect(&home).await?;
    let request = AddRequest {
        workload: args.workload.clone(),
        license: args.license.clone(),
        release_urls: args.release_url.clone(),
    };
    let proposal = propose(setup, &request).await?;
    let already = proposal.already;
    if !already {
        say(&proposal.summary);
        if let Some(before) = &proposal.previous_grant {
            say("you agreed to this before:");
            for (name, line) in grant_lines(before) {
                say(format!("  {name:<10} {line}"));
            }
        }
        confirm("Run it on this node?", args.yes)?;
    }
    let (summary, changes) = place_workload(setup, &mut cluster, proposal).await?;
    output::print(setup.format(), &Added { summary, already, changes })?;
    Ok(Exit::Done)
}
