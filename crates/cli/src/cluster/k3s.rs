//! The driver `k3s`: one node of k3s as a service of this machine.
//!
//! What is put on the machine is written down before it is made, each step first looks whether it is
//! done, and only files with the pinned hash are run. `places` says where everything lies; the tests
//! run the program in a mount namespace where these places are their own.

mod download;
mod files;
mod host;
pub mod pin;
mod places;
mod teardown;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use nodesys_clock::Clock;
use nodesys_failpoint::reach;

use super::checks::{Finding, Verdict};
use super::connect::client_of;
use super::file::{ClusterFile, Made};
use super::running::pause;
use super::steps::Steps;
use super::survey::Fix;
use crate::exit::Exit;
use crate::setup::Setup;
pub use download::hash_of;
pub(crate) use files::put;
pub(super) use files::unpack;
use files::{cached, have, place, place_archive, read};
pub use files::{fetch, fetch_pinned};
use pin::{Arch, Pin};
pub(super) use places::KUBECONFIG;
pub(crate) use places::UNITS;
use places::{
    CACHE, CONFIG, FIREWALL_UNIT, IMAGES, PROGRAM, RULES, UNIT, config, firewall_unit, rules,
    trees, unit,
};
pub(super) use teardown::take_back;

/// What is installed.
pub(super) struct Wanted<'a> {
    pub(super) pin: &'a Pin,
    /// Tarballs of images that shall be on the node, the manager's among them.
    pub(super) archives: &'a [PathBuf],
    pub(super) wait_secs: u64,
}

/// Looks at the machine and its network; nothing is changed.
pub(super) async fn look(
    setup: &Setup,
    file: &ClusterFile,
    pin: &Pin,
) -> anyhow::Result<Vec<Finding>> {
    let running = is_active();
    let mut findings = host::machine(file, running);
    if findings.iter().any(|it| it.check == "rights" && it.verdict == Verdict::Bad) {
        // The rest would only say so again.
        return Ok(findings);
    }
    let url = |text: &str| reqwest::Url::parse(text).ok();
    let mut urls = Vec::new();
    urls.extend(setup.settings.backend.as_deref().and_then(url).map(|url| ("backend", url)));
    urls.extend(setup.settings.rpc.iter().map(|rpc| ("rpc", rpc.expose().clone())));
    let program_there =
        Path::new(PROGRAM).exists() || cached(pin, &pin.k3s, Path::new(CACHE)).exists();
    if !program_there {
        let fetched = pin.k3s.urls.first().filter(|url| url.scheme().starts_with("http"));
        urls.extend(fetched.map(|url| (host::DOWNLOAD, url.clone())));
    }
    findings.extend(host::network(&urls).await);
    Ok(findings)
}

/// Installs and starts k3s, or goes on with that; its API answers and its node is ready after it.
pub(super) async fn install(
    home: &Path,
    file: &mut ClusterFile,
    wanted: &Wanted<'_>,
    steps: &Steps,
) -> anyhow::Result<()> {
    let Wanted { pin, archives, wait_secs } = wanted;
    let arch = Arch::here()?;
    file.k3s = Some((*pin).clone());
    file.will_make(home, Made::Cache { path: CACHE.into() })?;
    std::fs::create_dir_all(CACHE).with_context(|| format!("cannot make {CACHE}"))?;
    let program = have(pin, &pin.k3s, "k3s", steps).await?;
    download::is_for(&program, arch)?;
    let images = match &pin.images {
        Some(images) => Some(have(pin, images, "the images of k3s", steps).await?),
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
                Verdict::Good => steps.done("unit", finding.found),
                _ => steps.warn(finding.found),
            }
        }
        command("systemctl", &["daemon-reload"])?;
    }
    file.will_make(home, Made::Unit { name: FIREWALL_UNIT.to_owned() })?;
    enable(FIREWALL_UNIT, rules_changed, steps)?;
    reach("k3s:firewall");
    file.will_make(home, Made::Unit { name: UNIT.to_owned() })?;
    let was_active = is_active();
    enable(UNIT, changed, steps)?;
    reach("k3s:started");
    wait_ready(file, *wait_secs, steps).await?;
    if was_active && !changed {
        // A k3s that runs has read its folder of images before these were there.
        for archive in loaded {
            steps.doing("loading images");
            let path = archive.display().to_string();
            command(PROGRAM, &["ctr", "--namespace", "k8s.io", "images", "import", &path])?;
        }
    }
    reach("k3s:ready");
    Ok(())
}

/// Whether the services run, and from the program that was pinned.
pub(super) fn services(pin: &Pin) -> Vec<Finding> {
    let again = "run nodesys start";
    let mut findings = Vec::new();
    findings.push(match hash_of(Path::new(PROGRAM)) {
        Ok(hash) if hash == pin.k3s.sha256 => Finding::good("k3s", pin.version.clone()),
        Ok(hash) => Finding::bad("k3s", format!("{PROGRAM} is not the pinned one ({hash})"), again),
        Err(error) => Finding::bad("k3s", format!("{error:#}"), again),
    });
    for unit in [FIREWALL_UNIT, UNIT] {
        let active = command("systemctl", &["is-active", "--quiet", unit]).is_ok();
        findings.push(if active {
            Finding::good("service", format!("{unit} runs"))
        } else {
            let fix = format!("systemctl start {unit}");
            Finding::bad("service", format!("{unit} does not run"), fix.clone())
                .with(Fix::run(&fix))
        });
    }
    let loaded = nft().map(|nft| command(&nft, &["list", "table", "inet", "nodesys"]));
    findings.push(match loaded {
        Some(Ok(_)) => Finding::good("firewall", "its rules are loaded"),
        _ => {
            let fix = format!("systemctl restart {FIREWALL_UNIT}");
            let found = "pods may reach this machine: the rules are not loaded";
            Finding::bad("firewall", found, fix.clone()).with(Fix::run(&fix))
        }
    });
    findings
}

/// Ends the service; pods end with it by [`teardown`].
pub(super) fn stop(steps: &Steps) -> anyhow::Result<bool> {
    let was = is_active();
    if was {
        command("systemctl", &["stop", UNIT])?;
        teardown::end_pods(steps)?;
    }
    Ok(was)
}

/// Makes a unit be enabled and run, anew where its files changed.
fn enable(name: &str, anew: bool, steps: &Steps) -> anyhow::Result<()> {
    steps.doing(format!("starting {name}"));
    command("systemctl", &["enable", name])?;
    // Not waited for here: what is waited for is the node.
    let verb = if anew { "restart" } else { "start" };
    command("systemctl", &[verb, "--no-block", name])?;
    steps.done("service", format!("{name} is started"));
    Ok(())
}

/// Whether the service runs.
pub(super) fn is_active() -> bool {
    command("systemctl", &["is-active", "--quiet", UNIT]).is_ok()
}

/// Waits until the API answers and the node takes pods.
async fn wait_ready(file: &ClusterFile, patience_secs: u64, steps: &Steps) -> anyhow::Result<()> {
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    steps.doing("waiting for k3s");
    loop {
        let problem = match node_ready(&file.kubeconfig).await {
            Ok(true) => {
                let secs = (clock.monotonic_millis() - began) / 1000;
                steps.done("k3s", format!("its node is ready after {secs} s"));
                return Ok(());
            }
            Ok(false) => "its node is not ready".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        let failed = command("systemctl", &["is-failed", "--quiet", UNIT]).is_ok();
        if failed || clock.monotonic_millis() - began > patience_secs * 1000 {
            let logs = command("journalctl", &["--no-pager", "--lines", "15", "--unit", UNIT]);
            let logs = logs.map(|text| format!("\nits last words:\n{text}")).unwrap_or_default();
            let how = if failed { "it ends" } else { "it is not ready in time" };
            return Err(Exit::Unhealthy.because(format!(
                "k3s does not run: {how}; {problem}; see journalctl -u {UNIT}{logs}"
            )));
        }
        pause(500).await;
    }
}

/// Whether the API answers and its node takes pods.
pub(super) async fn node_ready(kubeconfig: &Path) -> anyhow::Result<bool> {
    ensure!(kubeconfig.exists(), "it has not written {}", kubeconfig.display());
    let client = client_of(kubeconfig, None).await?;
    let nodes: Api<Node> = Api::all(client);
    let nodes = nodes.list(&ListParams::default()).await.context("its API does not answer")?;
    Ok(nodes.items.iter().any(|node| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
    }))
}

/// Where nft is.
fn nft() -> Option<String> {
    let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];
    let paths = folders.map(|folder| format!("{folder}/nft"));
    paths.into_iter().find(|path| Path::new(path).exists())
}

/// Runs a program of the machine to its end; what it printed, or what it complained of.
pub(crate) fn command(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(words).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    ensure!(
        output.status.success(),
        "{program} {} ended with {}: {}",
        words.join(" "),
        output.status,
        text(&output.stderr)
    );
    Ok(text(&output.stdout))
}
