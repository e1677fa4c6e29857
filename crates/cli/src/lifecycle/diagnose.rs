//! The checks of `doctor`, and the fixes that it can run by itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use nodesys_core::Address;
use nodesys_core::time::Timestamp;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};

use crate::cluster::apply::apply;
use crate::cluster::connect::client_of;
use crate::cluster::driver_of;
use crate::cluster::finding::{Finding, Fix, Verdict};
use crate::cluster::pods::trouble_of;
use crate::cluster::preflight;
use crate::lifecycle::start::contacts;
use crate::manager::inputs::ManagerInputs;
use crate::manager::readiness::{is_ready, manager_pods};
use crate::network::JoinPlan;
use crate::node::cluster_file::{ClusterFile, Phase};
use crate::node::config::CONFIG_JSON;
use crate::node::network_file;
use crate::output::moment;
use crate::setup::Setup;
use crate::status::{self, clock};
use crate::system::complaint;

/// An authorisation that ends sooner is told of.
const RENEW_SECS: u64 = 14 * 86_400;

/// Runs a fix.
pub async fn run_fix(setup: &Setup, fix: &Fix) -> anyhow::Result<()> {
    match fix {
        Fix::Run(words) => {
            let (program, rest) = words.split_first().context("no program")?;
            let output = Command::new(program).args(rest).output().context("it cannot be run")?;
            ensure!(output.status.success(), "{}", complaint(&words.join(" "), &output));
            Ok(())
        }
        Fix::ApplyManager => {
            let file = ClusterFile::read(setup.home()?)?.context("there is no cluster")?;
            let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
            for object in ManagerInputs::read(setup).await?.objects(&file)? {
                apply(&client, &object).await?;
            }
            Ok(())
        }
    }
}

/// Checks everything that a node needs; a check that cannot be made is a finding too.
pub async fn diagnose(setup: &Setup) -> anyhow::Result<Vec<Finding>> {
    let home = setup.home()?;
    let mut findings = keys(setup).await;
    if let Ok(clock) = setup.clock().await {
        findings.push(match clock::problem(setup, clock.now()).await {
            None => Finding::good("clock", "nobody says that it is wrong"),
            Some(words) => Finding::bad("clock", words, "set it: timedatectl set-ntp true"),
        });
    }
    findings.extend(network(setup).await?);
    let inputs = ManagerInputs::read(setup).await;
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
            findings.push(Finding::bad("cluster", format!("{error:#}"), "as the message says"));
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

/// Whether the joined network announces another file by now.
async fn network(setup: &Setup) -> anyhow::Result<Option<Finding>> {
    if network_file::read(setup.home()?)?.is_none() {
        return Ok(None);
    }
    Ok(Some(match JoinPlan::of(setup, None, &[]).await {
        Ok(JoinPlan { changes: Some(changes), .. }) if !changes.is_empty() => {
            let all: Vec<&str> = changes.iter().map(|change| change.what).collect();
            let found = format!("its file has changed: {}", all.join(", "));
            Finding::warning("network", found, "run nodesys join")
        }
        Ok(plan) => Finding::good("network", format!("{}, as announced", plan.fetched.file.name)),
        Err(error) => {
            let fix = "see nodesys status; a file from elsewhere: nodesys join --from FILE";
            Finding::warning("network", format!("{error:#}"), fix)
        }
    }))
}

/// The machine, where the cluster is of its own.
async fn machine(setup: &Setup, file: &ClusterFile) -> anyhow::Result<Vec<Finding>> {
    driver_of(file.driver).diagnose(file, &contacts(setup)).await
}

fn phase(phase: Phase) -> Finding {
    match phase {
        Phase::Running => Finding::good("phase", "started"),
        Phase::Starting => Finding::bad("phase", "a start was interrupted", "run nodesys start"),
        Phase::Stopped => Finding::bad("phase", "it is stopped", "run nodesys start"),
        Phase::Leaving => {
            Finding::bad("phase", "an uninstall was interrupted", "run nodesys uninstall again")
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
        findings.extend(secret("settings file", &home.join(CONFIG_JSON)));
    }
    let now = match setup.clock().await {
        Ok(clock) => clock.now().secs(),
        Err(error) => return vec![Finding::bad("clock", format!("{error:#}"), "check --clock")],
    };
    if let Some(kept) = setup.authorization() {
        let (ends, shown) = (kept.authorization.not_after, moment(kept.authorization.not_after));
        findings.push(if ends > now + RENEW_SECS {
            Finding::good("authorisation", format!("until {shown}"))
        } else {
            Finding::warning("authorisation", format!("ends at {shown}"), "pair the node again")
        });
        findings.extend(ended(setup, kept.authorization.node_key, Timestamp::from_secs(now)).await);
    }
    findings
}

/// Where the backend says that the authorisation has ended; nothing where it does not answer.
async fn ended(setup: &Setup, node_key: Address, now: Timestamp) -> Option<Finding> {
    let view = setup.backend().ok()?.node(node_key).await.ok()?;
    let words = status::node::ended(&view, now)?;
    Some(Finding::bad("authorisation", words, "pair the node again"))
}

/// A file with a secret is its owner's alone.
fn secret(check: &'static str, path: &Path) -> Option<Finding> {
    let exposed = nodesys_service::secret::exposed(&std::fs::metadata(path).ok()?);
    let shown = path.display();
    let Some(mode) = exposed else {
        return Some(Finding::good(check, format!("{shown} is its owner's alone")));
    };
    let fix = format!("chmod 600 {shown}");
    let words = ["chmod", "600", &shown.to_string()].map(str::to_owned).to_vec();
    let finding = Finding::bad(check, format!("others may read {shown} (mode {mode:04o})"), fix);
    Some(finding.with(Fix::Run(words)))
}

/// The cluster, and the manager in it.
async fn in_cluster(
    file: &ClusterFile,
    inputs: Option<&ManagerInputs>,
) -> anyhow::Result<Vec<Finding>> {
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
