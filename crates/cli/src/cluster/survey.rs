//! What `doctor` looks at, and what it can put right by itself.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};
use serde::Serialize;

use super::apply::apply;
use super::checks::{Finding, Verdict};
use super::connect::client_of;
use super::file::{ClusterFile, Driver, Phase};
use super::manager::Inputs;
use super::running::{is_ready, manager_pods, trouble_of};
use super::{k3d, k3s, preflight};
use crate::pair;
use crate::setup::Setup;

/// An authorisation that ends sooner is told of.
const RENEW_SECS: u64 = 14 * 86_400;

/// Something that loses nothing and can be done without asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fix {
    /// A program of the machine.
    Run(Vec<String>),
    /// Apply the manager's objects again.
    ApplyManager,
}

impl Fix {
    pub(super) fn run(words: &str) -> Self {
        Self::Run(words.split_whitespace().map(str::to_owned).collect())
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(words) => f.write_str(&words.join(" ")),
            Self::ApplyManager => f.write_str("apply the manager's objects"),
        }
    }
}

/// Does it.
pub async fn run_fix(setup: &Setup, fix: &Fix) -> anyhow::Result<()> {
    match fix {
        Fix::Run(words) => {
            let (program, rest) = words.split_first().context("no program")?;
            let output = Command::new(program).args(rest).output().context("it cannot be run")?;
            let complaint = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{}", complaint.trim());
            Ok(())
        }
        Fix::ApplyManager => {
            let file = ClusterFile::read(setup.home()?)?.context("there is no cluster")?;
            let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
            for object in Inputs::read(setup).await?.objects(&file)? {
                apply(&client, &object).await?;
            }
            Ok(())
        }
    }
}

/// Looks at everything; what cannot be looked at is a finding too.
pub async fn survey(setup: &Setup) -> anyhow::Result<Vec<Finding>> {
    let home = setup.home()?;
    let mut findings = keys(setup).await;
    let inputs = Inputs::read(setup).await;
    findings.push(match &inputs {
        Ok(_) => Finding::good("settings", "complete"),
        Err(error) => Finding::bad("settings", format!("{error:#}"), "see nodesys config show"),
    });
    let file = match ClusterFile::read(home) {
        Ok(Some(file)) => file,
        Ok(None) => {
            findings.push(Finding::bad("cluster", "there is none yet", "run nodesys start"));
            return Ok(findings);
        }
        Err(error) => {
            findings.push(Finding::bad("cluster", format!("{error:#}"), "as it says"));
            return Ok(findings);
        }
    };
    findings.extend(machine(setup, &file).await?);
    findings.push(phase(file.phase));
    if file.phase == Phase::Stopped {
        return Ok(findings);
    }
    match in_cluster(&file, inputs.ok().as_ref()).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::bad(
            "cluster",
            format!("{error:#}"),
            "see that it runs, then nodesys start",
        )),
    }
    Ok(findings)
}

fn phase(phase: Phase) -> Finding {
    match phase {
        Phase::Running => Finding::good("phase", "started"),
        Phase::Starting => Finding::bad("phase", "a start has not ended", "run nodesys start"),
        Phase::Stopped => Finding::bad("phase", "it is stopped", "run nodesys start"),
        Phase::Leaving => {
            Finding::bad("phase", "an uninstall has not ended", "run nodesys uninstall again")
        }
    }
}

/// Files that hold secrets, and the authorisation.
async fn keys(setup: &Setup) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(path) = setup.node_key_file() {
        findings.extend(secret("node key", &path));
    }
    if let Ok(home) = setup.home() {
        findings.extend(secret("settings file", &home.join(crate::config::CONFIG_JSON)));
    }
    let now = match setup.clock().await {
        Ok(clock) => clock.now().secs(),
        Err(error) => return vec![Finding::bad("clock", format!("{error:#}"), "check --clock")],
    };
    if let Some(kept) = pair::kept(setup) {
        let (ends, shown) =
            (kept.authorization.not_after, crate::output::moment(kept.authorization.not_after));
        findings.push(if ends > now + RENEW_SECS {
            Finding::good("authorisation", format!("until {shown}"))
        } else {
            Finding::warning("authorisation", format!("ends at {shown}"), "pair the node again")
        });
    }
    findings
}

/// A file with a secret is its owner's alone.
fn secret(check: &'static str, path: &Path) -> Option<Finding> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    let shown = path.display();
    Some(if mode & 0o077 == 0 {
        Finding::good(check, format!("{shown} is its owner's alone"))
    } else {
        let fix = format!("chmod 600 {shown}");
        let words = ["chmod", "600", &shown.to_string()].map(str::to_owned).to_vec();
        Finding::bad(check, format!("others may read {shown} (mode {mode:04o})"), fix)
            .with(Fix::Run(words))
    })
}

/// The machine, where the cluster is of its own.
async fn machine(setup: &Setup, file: &ClusterFile) -> anyhow::Result<Vec<Finding>> {
    Ok(match file.driver {
        Driver::Existing => Vec::new(),
        Driver::K3d => k3d::look(file),
        Driver::K3s => match &file.k3s {
            Some(pin) => {
                let mut findings = k3s::look(setup, file, pin).await?;
                findings.extend(k3s::services(pin));
                findings
            }
            None => {
                vec![Finding::bad("k3s", "nobody said which", "run nodesys start --k3s-pin FILE")]
            }
        },
    })
}

/// The cluster, and the manager in it.
async fn in_cluster(file: &ClusterFile, inputs: Option<&Inputs>) -> anyhow::Result<Vec<Finding>> {
    let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
    let Some(inputs) = inputs else { return Ok(Vec::new()) };
    let mut findings = preflight::look(&client, inputs.node_key).await?.findings;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
    let check = "manager";
    let found = deployments.get_opt(MANAGER).await.context("the manager")?;
    findings.push(match found {
        None => {
            Finding::bad(check, "it is not deployed", "run nodesys start").with(Fix::ApplyManager)
        }
        Some(deployment) if is_ready(&deployment) => Finding::good(check, "ready"),
        Some(_) => {
            let pods = manager_pods(&client).await?;
            let why =
                pods.iter().find_map(trouble_of).map_or("its pod starts".into(), |it| it.words);
            Finding::bad(check, format!("not ready: {why}"), "see nodesys logs; run nodesys start")
                .with(Fix::ApplyManager)
        }
    });
    findings.retain(|it| it.check != "storage" || it.verdict == Verdict::Good);
    Ok(findings)
}
