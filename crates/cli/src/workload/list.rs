//! `workload list` and `workload status`.

use std::fmt;

use nodesys_core::message::Status as Health;
use nodesys_core::{Address, U256};
use serde::Serialize;

use super::command::WorkloadRef;
use super::live::{Lease, Managed, lease, managed};
use super::{WorkloadEntry, WorkloadsFile};
use crate::cluster::connect;
use crate::exit::Exit;
use crate::output::{self, clean, table};
use crate::setup::Setup;
use crate::{node_key, pair};

/// How a workload is.
#[derive(Debug, Serialize)]
struct Line {
    workload: String,
    project: Address,
    collection: Address,
    #[serde(with = "nodesys_core::message::decimal")]
    token_id: U256,
    paused: bool,
    /// By the backend.
    lease: Lease,
    /// By the manager; `null` where it says nothing of it.
    manager: Option<Managed>,
    /// What is not well; empty when all is.
    problems: Vec<String>,
}

impl Line {
    fn of(entry: &WorkloadEntry, lease: Lease, managed: &Result<Vec<Managed>, String>) -> Self {
        let manager = managed.as_ref().ok().and_then(|all| entry.among(all)).cloned();
        let mut line = Self {
            workload: entry.label(),
            project: entry.project,
            collection: entry.collection,
            token_id: entry.token_id,
            paused: entry.paused,
            lease,
            manager,
            problems: Vec::new(),
        };
        line.problems = line.find_problems(managed.as_ref().err());
        line
    }

    fn find_problems(&self, silent: Option<&String>) -> Vec<String> {
        if self.paused {
            return Vec::new();
        }
        let mut problems = Vec::new();
        if let Lease::Unknown { why } = &self.lease {
            problems.push(format!("the lease is not known: {why}"));
        }
        if let Some(why) = silent {
            problems.push(format!("the manager says nothing: {why}"));
            return problems;
        }
        let Some(manager) = &self.manager else {
            problems.push(
                "the manager does not know it: run nodesys start, which tells it again".to_owned(),
            );
            return problems;
        };
        if let Some(problem) = &manager.lease_problem {
            problems.push(format!("no lease: {}", clean_words(problem)));
        } else if matches!(self.lease, Lease::None) {
            problems.push("nobody holds the lease yet".to_owned());
        }
        let well = matches!(manager.status, Health::Healthy | Health::Updating);
        if !well && !matches!(self.lease, Lease::Standby { .. }) {
            problems.push(format!("it is {}", word(manager.status)));
        }
        if let Some(release) = &manager.release {
            let told = [("release", &release.problem), ("pod", &release.trouble)];
            for (what, words) in told {
                if let Some(words) = words {
                    problems.push(format!("{what}: {}", clean_words(words)));
                }
            }
            for changed in &release.changed {
                problems.push(format!("changed in the cluster: {}", clean_words(changed)));
            }
        }
        problems
    }

    fn version(&self) -> String {
        let release = self.manager.as_ref().and_then(|it| it.release.as_ref());
        match release.map(|it| (&it.current, &it.rollout)) {
            Some((Some(current), Some(next))) => format!("{current} -> {next}"),
            Some((Some(one), None) | (None, Some(one))) => one.clone(),
            _ => "-".to_owned(),
        }
    }

    fn health(&self) -> &'static str {
        match &self.manager {
            _ if self.paused => "paused",
            Some(manager) => word(manager.status),
            None => "-",
        }
    }
}

/// Words of another program, fit for a terminal.
fn clean_words(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

const fn word(status: Health) -> &'static str {
    match status {
        Health::Healthy => "healthy",
        Health::Starting => "starting",
        Health::Degraded => "degraded",
        Health::Down => "down",
        Health::Updating => "updating",
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct List(Vec<Line>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no workloads: nodesys workload add PROJECT/WORKLOAD adds one");
        }
        let mut table = table(&["workload", "license", "version", "lease", "health", "problem"]);
        for line in &self.0 {
            table.add_row([
                line.workload.clone(),
                format!("{}/{}", line.collection, line.token_id),
                line.version(),
                line.lease.to_string(),
                line.health().to_owned(),
                line.problems.first().cloned().unwrap_or_default(),
            ]);
        }
        write!(f, "{table}")
    }
}

/// This node's key, as far as it is known here.
fn own_node(setup: &Setup) -> Option<Address> {
    let own = setup.node_key_file().ok().and_then(|path| node_key::read(&path).ok());
    own.map(|key| key.address()).or_else(|| pair::kept(setup).map(|it| it.authorization.node_key))
}

async fn what_manager_says(setup: &Setup) -> Result<Vec<Managed>, String> {
    let asked = async {
        let cluster = connect(setup).await?;
        managed(&cluster.client).await
    };
    asked.await.map_err(|error| format!("{error:#}"))
}

/// Runs `list`.
pub(super) async fn list(setup: &Setup) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let managed = match file.workloads.is_empty() {
        true => Ok(Vec::new()),
        false => what_manager_says(setup).await,
    };
    let node = own_node(setup);
    let mut lines = Vec::with_capacity(file.workloads.len());
    for entry in &file.workloads {
        lines.push(Line::of(entry, lease(setup, entry, node).await, &managed));
    }
    output::print(setup.format(), &List(lines))?;
    Ok(Exit::Done)
}

/// Runs `status`; 5 where something is not well.
pub(super) async fn status(setup: &Setup, workload: &WorkloadRef) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = workload.find(&file)?;
    let managed = what_manager_says(setup).await;
    let line = Line::of(entry, lease(setup, entry, own_node(setup)).await, &managed);
    output::print(setup.format(), &Status(&line))?;
    Ok(if line.problems.is_empty() { Exit::Done } else { Exit::Unhealthy })
}

#[derive(Serialize)]
#[serde(transparent)]
struct Status<'a>(&'a Line);

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0;
        writeln!(f, "workload     {}", line.workload)?;
        writeln!(f, "license      {}/{}", line.collection, line.token_id)?;
        writeln!(f, "lease        {}", line.lease)?;
        writeln!(f, "version      {}", line.version())?;
        write!(f, "health       {}", line.health())?;
        if let Some(manager) = &line.manager {
            if let Some(secs) = manager.heard_secs_ago {
                write!(f, ", heard {secs} s ago")?;
            }
            if let Some(work) = &manager.work {
                write!(f, "\nwork         {work}")?;
            }
            if let Some(detail) = &manager.detail {
                write!(f, "\nit says      {}", clean(detail))?;
            }
            if let Some(result) = &manager.last_result {
                write!(f, "\nlast minute  {result}")?;
            }
            if let Some(release) = &manager.release {
                if let Some(waits) = &release.waits {
                    write!(f, "\nwaits for    {}", clean_words(waits))?;
                }
                for (version, why) in &release.quarantined {
                    write!(f, "\nquarantined  version {version}: {}", clean_words(why))?;
                }
                if let Some(read) = &release.chain_read {
                    write!(f, "\nchain read   {read}")?;
                }
            }
        }
        for problem in &line.problems {
            write!(f, "\nproblem      {problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::workload::tests::entry;

    fn managed(change: impl FnOnce(&mut Value)) -> Result<Vec<Managed>, String> {
        let mut body = json!({
            "name": "alpha", "collection": Address::repeat_byte(1), "token_id": "7",
            "license_hash": nodesys_core::B256::ZERO, "lease": "held", "fence": "1",
            "lease_problem": null, "last_result": "credited", "status": "healthy",
            "heard_secs_ago": 3, "work": "17", "detail": null,
            "release": {
                "current": "1", "rollout": null, "announced": null, "quarantined": {},
                "problem": null, "waits": null, "trouble": null, "changed": [], "chain_read": null,
            },
        });
        change(&mut body);
        Ok(vec![serde_json::from_value(body).unwrap()])
    }

    fn held() -> Lease {
        Lease::Held { fence: "1".to_owned() }
    }

    #[test]
    fn what_is_not_well_is_told_and_a_standby_or_a_pause_is_well() {
        let alpha = entry("alpha", 1);
        let line = Line::of(&alpha, held(), &managed(|_| ()));
        assert_eq!(line.problems, [""; 0]);
        assert_eq!((line.version().as_str(), line.health()), ("1", "healthy"));

        let one = |lease, managed: &Result<Vec<Managed>, String>, part: &str| {
            let problems = Line::of(&alpha, lease, managed).problems;
            assert!(problems.len() == 1 && problems[0].contains(part), "{problems:?}");
        };
        one(held(), &managed(|it| it["status"] = "down".into()), "it is down");
        one(Lease::None, &managed(|_| ()), "nobody holds the lease");
        one(held(), &managed(|it| it["token_id"] = "8".into()), "does not know it");
        one(held(), &Err("away".to_owned()), "the manager says nothing: away");
        let why = "no answer".to_owned();
        one(Lease::Unknown { why }, &managed(|_| ()), "not known: no answer");
        one(
            held(),
            &managed(|it| it["release"]["problem"] = "a\u{1b}b".into()),
            "release: a\u{fffd}b",
        );

        let holder = Address::repeat_byte(9);
        let standby = Line::of(
            &alpha,
            Lease::Standby { holder },
            &managed(|it| it["status"] = "down".into()),
        );
        assert_eq!(standby.problems, [""; 0]);
        assert_eq!(standby.lease.to_string(), "standby (0x09090909… holds it)");
        let paused = WorkloadEntry { paused: true, ..alpha };
        let paused = Line::of(&paused, Lease::None, &Ok(Vec::new()));
        assert_eq!((paused.health(), paused.problems.len()), ("paused", 0));
    }
}
