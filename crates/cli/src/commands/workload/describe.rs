//! `workload describe`: a workload's grant, and its objects in the cluster.

use std::fmt;

use super::report::WorkloadArgs;
use crate::exit::Exit;
use crate::output::{self, clean};
use crate::setup::Setup;
use crate::workload::consent::grant_lines;
use crate::workload::describe::{
    EventLine, PodLine, QuotaLine, VolumeLine, WorkloadDescription, describe_workload,
};

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &WorkloadArgs) -> anyhow::Result<Exit> {
    output::print(setup.format(), &describe_workload(setup, &args.workload).await?)?;
    Ok(Exit::Done)
}

impl fmt::Display for WorkloadDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paused = if self.paused { " (paused)" } else { "" };
        writeln!(f, "workload   {}{paused}", self.workload)?;
        writeln!(f, "project    {}", self.project)?;
        writeln!(f, "license    {}/{}", self.collection, self.token_id)?;
        write!(f, "namespace  {}", self.namespace)?;
        for url in &self.release_urls {
            write!(f, "\nreleases   {url}")?;
        }
        for (name, line) in grant_lines(&self.grant) {
            write!(f, "\n{name:<10} {line}")?;
        }
        for pod in &self.pods {
            let version = pod.version.as_deref().unwrap_or("?");
            let PodLine { name, phase, restarts, .. } = pod;
            write!(f, "\npod        {name}: version {version}, {phase}, {restarts} restarts")?;
            if let Some(trouble) = &pod.trouble {
                write!(f, "\n           {}", clean_line(trouble))?;
            }
        }
        for VolumeLine { name, phase, size } in &self.volumes {
            write!(f, "\nvolume     {name}: {size}, {phase}")?;
        }
        for QuotaLine { resource, used, hard } in &self.quota {
            write!(f, "\nquota      {resource}: {used} of {hard}")?;
        }
        for EventLine { time, reason, message } in &self.events {
            write!(f, "\nevent      {time} {} {}", clean(reason), clean_line(message))?;
        }
        Ok(())
    }
}

fn clean_line(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
