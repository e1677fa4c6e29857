//! The verbs of `workload`.

use std::fmt;
use std::str::FromStr;

use clap::Subcommand;
use nodesys_core::ids::{Name, ParseError};

use super::add::{AddArgs, add};
use super::change::{pause, remove, restart, resume};
use super::describe::describe;
use super::list::{list, status};
use super::logs::{LogsArgs, logs};
use super::{WorkloadEntry, WorkloadsFile};
use crate::exit::Exit;
use crate::setup::Setup;

/// Verbs of `workload`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  nodesys workload add acme/render
  nodesys workload list
  nodesys workload logs render --follow
  nodesys workload remove render")]
pub enum WorkloadCommand {
    /// Run a project's workload on this node, under a license.
    ///
    /// Finds the project in the registry and pins it, checks the license on chain over this machine's
    /// own RPC, shows what the workload may do, and asks. Again it changes nothing, or asks for what a
    /// newer release wants more.
    #[command(after_help = "\
Examples:
  nodesys workload add acme/render                  # the one license that the operator may run
  nodesys workload add acme/render --license 7
  nodesys workload add acme/render --license 7 --yes -o json
  nodesys workload add acme/render --release-url https://releases.example.org/acme")]
    Add(AddArgs),
    /// The workloads of this node: version, lease, health.
    #[command(after_help = "\
Examples:
  nodesys workload list
  nodesys workload list -o json")]
    List,
    /// How one workload is; ends with 5 when it is not well.
    #[command(after_help = "\
Examples:
  nodesys workload status render
  nodesys workload status acme/render -o json")]
    Status {
        /// Which one, as `workload list` names it.
        #[arg(value_name = "WORKLOAD")]
        workload: WorkloadRef,
    },
    /// What a workload writes.
    #[command(after_help = "\
Examples:
  nodesys workload logs render
  nodesys workload logs render --follow --lines 10
  nodesys workload logs render --previous          # of the run before, after a crash")]
    Logs(LogsArgs),
    /// What a workload may do, and what the cluster has of it: pods, volumes, quota, events.
    #[command(after_help = "\
Examples:
  nodesys workload describe render
  nodesys workload describe render -o json")]
    Describe {
        /// Which one, as `workload list` names it.
        #[arg(value_name = "WORKLOAD")]
        workload: WorkloadRef,
    },
    /// End a workload's pods; new ones start at once.
    #[command(after_help = "\
Example:
  nodesys workload restart render")]
    Restart {
        /// Which one, as `workload list` names it.
        #[arg(value_name = "WORKLOAD")]
        workload: WorkloadRef,
    },
    /// Take a workload off this node, with its volumes and all that is in them.
    #[command(after_help = "\
Examples:
  nodesys workload remove render
  nodesys workload remove render --yes

The lease ends by itself ten and a half minutes after the last heartbeat that carried it.")]
    Remove {
        /// Which one, as `workload list` names it.
        #[arg(value_name = "WORKLOAD")]
        workload: WorkloadRef,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Stop a workload until `workload resume`; its volumes stay, and it earns nothing.
    #[command(after_help = "\
Example:
  nodesys workload pause render")]
    Pause {
        /// Which one, as `workload list` names it.
        #[arg(value_name = "WORKLOAD")]
        workload: WorkloadRef,
    },
    /// Let a paused workload run again.
    #[command(after_help = "\
Example:
  nodesys workload resume render")]
    Resume {
        /// Which one, as `workload list` names it.
        #[arg(value_name = "WORKLOAD")]
        workload: WorkloadRef,
    },
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &WorkloadCommand) -> anyhow::Result<Exit> {
    match command {
        WorkloadCommand::Add(args) => add(setup, args).await,
        WorkloadCommand::List => list(setup).await,
        WorkloadCommand::Status { workload } => status(setup, workload).await,
        WorkloadCommand::Logs(args) => logs(setup, args).await,
        WorkloadCommand::Describe { workload } => describe(setup, workload).await,
        WorkloadCommand::Restart { workload } => restart(setup, workload).await,
        WorkloadCommand::Remove { workload, yes } => remove(setup, workload, *yes).await,
        WorkloadCommand::Pause { workload } => pause(setup, workload).await,
        WorkloadCommand::Resume { workload } => resume(setup, workload).await,
    }
}

/// A project's workload: `PROJECT/WORKLOAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectWorkload {
    pub(super) project: Name,
    pub(super) workload: Name,
}

impl FromStr for ProjectWorkload {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad =
            || ParseError::new("workload", "expected PROJECT/WORKLOAD, as in acme/render", text);
        let (project, workload) = text.split_once('/').ok_or_else(bad)?;
        Ok(Self {
            project: project.parse().map_err(|_| bad())?,
            workload: workload.parse().map_err(|_| bad())?,
        })
    }
}

impl fmt::Display for ProjectWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.workload)
    }
}

/// A workload of this node: `WORKLOAD`, or `PROJECT/WORKLOAD` where two projects have one of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRef {
    project: Option<Name>,
    workload: Name,
}

impl FromStr for WorkloadRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.contains('/') {
            let ProjectWorkload { project, workload } = text.parse()?;
            return Ok(Self { project: Some(project), workload });
        }
        let workload = text.parse().map_err(|_| {
            ParseError::new("workload", "expected WORKLOAD or PROJECT/WORKLOAD, as in render", text)
        })?;
        Ok(Self { project: None, workload })
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project {
            Some(project) => write!(f, "{project}/{}", self.workload),
            None => write!(f, "{}", self.workload),
        }
    }
}

impl WorkloadRef {
    /// The one entry that is meant; an error that ends with 3 where there is none.
    pub(super) fn find<'a>(&self, file: &'a WorkloadsFile) -> anyhow::Result<&'a WorkloadEntry> {
        let mut found = file.workloads.iter().filter(|entry| {
            entry.name == self.workload
                && self.project.as_ref().is_none_or(|project| *project == entry.project_name)
        });
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (Some(one), Some(other)) => Err(Exit::Usage.because(format!(
                "{self} may be {} or {}: name one of them",
                one.label(),
                other.label()
            ))),
            (None, _) => {
                let known: Vec<String> = file.workloads.iter().map(WorkloadEntry::label).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(Exit::NotFound.because(format!(
                    "this node has no workload {self}; it has {known}. nodesys workload add \
                     PROJECT/WORKLOAD adds one"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::tests::entry;

    #[test]
    fn a_workload_is_named_by_itself_or_with_its_project() {
        let mut other = entry("beta", 2);
        other.project_name = "other".parse().unwrap();
        let mut same = entry("alpha", 3);
        same.project_name = "other".parse().unwrap();
        let file = WorkloadsFile { workloads: vec![entry("alpha", 1), other, same] };
        let find =
            |text: &str| text.parse::<WorkloadRef>().unwrap().find(&file).map(WorkloadEntry::label);
        assert_eq!(find("beta").unwrap(), "other/beta");
        assert_eq!(find("acme/alpha").unwrap(), "acme/alpha");
        let error = find("alpha").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(error.to_string().contains("acme/alpha or other/alpha"), "{error}");
        let error = find("gamma").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::NotFound);
        assert!(
            error.to_string().contains("it has acme/alpha, other/beta, other/alpha"),
            "{error}"
        );
        for bad in ["", "/", "a/", "/a", "a/b/c", "A", "a b"] {
            assert!(bad.parse::<WorkloadRef>().is_err(), "{bad}");
        }
        assert!("alpha".parse::<ProjectWorkload>().is_err());
    }
}
