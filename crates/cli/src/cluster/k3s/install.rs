//! Installing and starting k3s as a service of this machine.
//!
//! What is put on the machine is recorded before it is made, each step first looks whether it is done, and
//! only files with the pinned hash are run.

use std::path::Path;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use nodesys_clock::Clock;
use nodesys_failpoint::reach;

use super::files::{is_for, place, place_archive, read};
use super::host;
use super::places::{
    CACHE, CONFIG, FIREWALL_UNIT, IMAGES, PROGRAM, RULES, UNIT, config, firewall_unit, rules,
    trees, unit,
};
use super::service::is_active;
use crate::cluster::connect::client_of;
use crate::cluster::driver::InstallRequest;
use crate::cluster::finding::Verdict;
use crate::cluster::pods::node_is_ready;
use crate::download::pin::{self, Pin};
use crate::download::pinned::fetch_into;
use crate::exit::Exit;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::progress::Progress;
use crate::system::{UNITS, command, nft, pause};

/// Installs and starts k3s, or goes on with that; its API answers and its node is ready after it.
pub(crate) async fn install(
    home: &Path,
    file: &mut ClusterFile,
    pin: &Pin,
    request: &InstallRequest<'_>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let InstallRequest { archives, wait_secs } = request;
    let arch = pin::here()?;
    file.k3s = Some(pin.clone());
    file.will_make(home, Made::Cache { path: CACHE.into() })?;
    std::fs::create_dir_all(CACHE).with_context(|| format!("cannot make {CACHE}"))?;
    let program = fetch_into(pin, &pin.k3s, Path::new(CACHE), "k3s", progress).await?;
    is_for(&program, arch)?;
    let images = match &pin.images {
        Some(images) => {
            Some(fetch_into(pin, images, Path::new(CACHE), "the images of k3s", progress).await?)
        }
        None => None,
    };
    reach("k3s:downloaded");

    for tree in trees() {
        file.will_make(home, tree)?;
    }
    let mut changed = place(home, file, PROGRAM, &read(&program)?, 0o755)?;
    reach("k3s:program");
    std::fs::create_dir_all(IMAGES).with_context(|| format!("cannot make {IMAGES}"))?;
    let mut loaded = Vec::new();
    for archive in images.iter().chain(archives.iter()) {
        let name = archive.file_name().context("the image archive has no name")?.to_owned();
        let goal = Path::new(IMAGES).join(name);
        if place_archive(archive, &goal)? {
            loaded.push(goal);
        }
    }
    reach("k3s:images");
    changed |= place(home, file, CONFIG, config().as_bytes(), 0o600)?;
    reach("k3s:config");

    let nft = nft().context("the program nft is missing: apt-get install nftables")?;
    let rules_changed = place(home, file, RULES, rules().as_bytes(), 0o644)?;
    let firewall_path = format!("{UNITS}/{FIREWALL_UNIT}");
    let unit_path = format!("{UNITS}/{UNIT}");
    let mut units = place(home, file, &firewall_path, firewall_unit(&nft).as_bytes(), 0o644)?;
    units |= place(home, file, &unit_path, unit().as_bytes(), 0o644)?;
    reach("k3s:units");
    if units {
        for path in [&firewall_path, &unit_path] {
            let finding = host::verify_unit(path);
            match finding.verdict {
                Verdict::Good => progress.done("unit", finding.found),
                _ => progress.warn(finding.found),
            }
        }
        command("systemctl", &["daemon-reload"])?;
    }
    file.will_make(home, Made::Unit { name: FIREWALL_UNIT.to_owned() })?;
    enable(FIREWALL_UNIT, rules_changed, progress)?;
    reach("k3s:firewall");
    file.will_make(home, Made::Unit { name: UNIT.to_owned() })?;
    let was_active = is_active();
    enable(UNIT, changed, progress)?;
    reach("k3s:started");
    wait_ready(file, *wait_secs, progress).await?;
    if was_active && !changed {
        // A k3s that runs has read its folder of images before these were there.
        for archive in loaded {
            progress.doing("loading images");
            let path = archive.display().to_string();
            command(PROGRAM, &["ctr", "--namespace", "k8s.io", "images", "import", &path])?;
        }
    }
    reach("k3s:ready");
    Ok(())
}

/// Makes a unit be enabled and run, anew where its files changed.
fn enable(name: &str, anew: bool, progress: &Progress) -> anyhow::Result<()> {
    progress.doing(format!("starting {name}"));
    command("systemctl", &["enable", name])?;
    // Not waited for here: what is waited for is the node.
    let verb = if anew { "restart" } else { "start" };
    command("systemctl", &[verb, "--no-block", name])?;
    progress.done("service", format!("{name} is started"));
    Ok(())
}

/// Waits until the API answers and the node takes pods.
async fn wait_ready(
    file: &ClusterFile,
    patience_secs: u64,
    progress: &Progress,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    progress.doing("waiting for k3s");
    loop {
        let problem = match node_ready(&file.kubeconfig).await {
            Ok(true) => {
                let secs = (clock.monotonic_millis() - began) / 1000;
                progress.done("k3s", format!("its node is ready after {secs} s"));
                return Ok(());
            }
            Ok(false) => "its node is not ready".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        let failed = command("systemctl", &["is-failed", "--quiet", UNIT]).is_ok();
        if failed || clock.monotonic_millis() - began > patience_secs * 1000 {
            let logs = command("journalctl", &["--no-pager", "--lines", "15", "--unit", UNIT]);
            let logs =
                logs.map(|text| format!("\nthe end of its log:\n{text}")).unwrap_or_default();
            let how = if failed { "it ends" } else { "it is not ready in time" };
            return Err(Exit::Unhealthy.because(format!(
                "k3s does not run: {how}; {problem}; see journalctl -u {UNIT}{logs}"
            )));
        }
        pause(500).await;
    }
}

/// Whether the API answers and its node takes pods.
pub(crate) async fn node_ready(kubeconfig: &Path) -> anyhow::Result<bool> {
    ensure!(kubeconfig.exists(), "it has not written {}", kubeconfig.display());
    let client = client_of(kubeconfig, None).await?;
    let nodes: Api<Node> = Api::all(client);
    let nodes = nodes.list(&ListParams::default()).await.context("its API does not answer")?;
    Ok(nodes.items.iter().any(node_is_ready))
}
