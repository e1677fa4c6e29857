//! The argument that names a workload, and the report of a change.

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;
use crate::workload::name::WorkloadRef;

/// The workload that a verb is about.
#[derive(Debug, clap::Args)]
pub struct WorkloadArgs {
    /// The workload, as `workload list` names it.
    #[arg(value_name = "WORKLOAD")]
    pub workload: WorkloadRef,
}

/// A change that was made.
#[derive(Debug, Serialize)]
struct ChangeReport {
    workload: String,
    /// In one word.
    done: &'static str,
    /// A note.
    #[serde(skip)]
    words: String,
}

impl fmt::Display for ChangeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.workload, self.done, self.words)
    }
}

pub(crate) fn report_change(
    setup: &Setup,
    workload: String,
    done: &'static str,
    words: &str,
) -> anyhow::Result<Exit> {
    output::print(setup.format(), &ChangeReport { workload, done, words: words.to_owned() })?;
    Ok(Exit::Done)
}
