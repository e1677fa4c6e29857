//! The driver `k3d`: k3s in a container of Docker, for machines that are not Linux or not to be changed.
//!
//! Only the `docker` program is used, with the image of k3s pinned by digest. The container, its volume
//! and a kubeconfig in the home folder are all there is.

mod lines;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use nodesys_clock::Clock;
use nodesys_core::release::Image;

use super::k3s::node_ready;
use crate::cluster::driver::{Contact, Driver, InstallRequest};
use crate::cluster::finding::Finding;
use crate::exit::Exit;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::node::file::replace;
use crate::progress::Progress;
use crate::system::{complaint, pause};
use lines::NAME;

/// The kubeconfig's name in the home folder.
const KUBECONFIG: &str = "kubeconfig.yaml";

/// The driver.
pub(crate) struct K3d;

#[async_trait(?Send)]
impl Driver for K3d {
    fn kubeconfig(&self, home: &Path) -> Option<PathBuf> {
        Some(home.join(KUBECONFIG))
    }

    fn owns_cluster(&self) -> bool {
        true
    }

    fn subject(&self) -> &'static str {
        "Docker"
    }

    async fn check(&self, file: &ClusterFile, _: &[Contact]) -> anyhow::Result<Vec<Finding>> {
        image_of(file)?;
        Ok(check(file))
    }

    async fn diagnose(&self, file: &ClusterFile, _: &[Contact]) -> anyhow::Result<Vec<Finding>> {
        Ok(check(file))
    }

    async fn install(
        &self,
        home: &Path,
        file: &mut ClusterFile,
        request: &InstallRequest<'_>,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let image = image_of(file)?.clone();
        install(home, file, &image, request, progress).await
    }

    fn is_running(&self) -> bool {
        docker(&lines::state()).is_ok_and(|state| state == "running")
    }

    fn stop(&self, _: &Progress) -> anyhow::Result<bool> {
        let runs = self.is_running();
        if runs {
            docker(&lines::stop())?;
        }
        Ok(runs)
    }

    fn remove(&self, made: &Made, _: &Progress) -> anyhow::Result<bool> {
        match made {
            Made::Container => remove(),
            Made::Namespace { .. } => Ok(false),
            other => bail!("{other} is not this driver's: cluster.json was changed by somebody"),
        }
    }
}

/// The image of k3s; an error that names the flag where there is none.
fn image_of(file: &ClusterFile) -> anyhow::Result<&Image> {
    let missing = || Exit::Usage.because("--k3s-image is missing: give k3s' image, by its digest");
    file.k3s_image.as_ref().ok_or_else(missing)
}

/// Looks at Docker; nothing is changed.
fn check(file: &ClusterFile) -> Vec<Finding> {
    let info = ["info", "--format", "{{.ServerVersion}} {{.MemTotal}}"].map(str::to_owned);
    let told = match docker(&info) {
        Ok(told) => told,
        Err(error) => {
            let fix =
                "start Docker (Docker Desktop on macOS and Windows), and be allowed to use it";
            return vec![Finding::bad("Docker", format!("{error:#}"), fix)];
        }
    };
    let (version, memory) = told.split_once(' ').unwrap_or((&told, "0"));
    let mut findings = vec![Finding::good("Docker", version)];
    let mib = memory.parse::<u64>().unwrap_or(0) >> 20;
    findings.push(if mib < 1800 {
        let fix = "give it 2 GiB or more in Docker Desktop's settings";
        Finding::warning("memory", format!("Docker has {mib} MiB"), fix)
    } else {
        Finding::good("memory", format!("Docker has {mib} MiB"))
    });
    let ours = file.made.contains(&Made::Container);
    if docker(&lines::state()).is_ok() && !ours {
        let fix = format!("remove it (docker rm --force {NAME}), or use its home folder");
        let found = format!("a container {NAME} is there that is not this node's");
        findings.push(Finding::bad("room", found, fix));
    }
    findings.push(Finding::warning(
        "isolation",
        "no rule of this machine keeps pods off Docker's own network",
        "on Linux the driver k3s has such rules",
    ));
    findings
}

/// Makes the container run, or goes on with that; its API answers and its node is ready after it.
async fn install(
    home: &Path,
    file: &mut ClusterFile,
    image: &Image,
    request: &InstallRequest<'_>,
    progress: &Progress,
) -> anyhow::Result<()> {
    file.k3s_image = Some(image.clone());
    file.will_make(home, Made::Container)?;
    progress.doing("starting the container");
    match docker(&lines::state()).ok().as_deref() {
        None => {
            docker(&lines::create(image, free_port()?))?;
            progress.done("container", "made");
        }
        Some("running") => progress.done("container", "it runs"),
        Some(_) => {
            docker(&lines::start())?;
            progress.done("container", "started");
        }
    }
    wait_ready(file, request.wait_secs, progress).await?;
    docker(&lines::folder())?;
    for archive in request.archives {
        let name = archive.file_name().and_then(|name| name.to_str());
        let name = name.context("the image archive has no name")?;
        progress.doing(format!("loading {name}"));
        docker(&lines::copy(&archive.display().to_string(), name))?;
        docker(&lines::load(name))?;
        progress.done("images", format!("{name} is loaded"));
    }
    Ok(())
}

/// Runs docker to its end; what it printed, or what it complained of.
fn docker(words: &[String]) -> anyhow::Result<String> {
    let output = Command::new("docker").args(words).output().map_err(|error| {
        Exit::Failure.because(format!("docker cannot be run ({error}): install and start Docker"))
    })?;
    let verb = words.first().map_or("", String::as_str);
    ensure!(output.status.success(), "{}", complaint(&format!("docker {verb}"), &output));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A port of this machine that nobody has now.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr().context("no port is free")?.port())
}

async fn wait_ready(
    file: &ClusterFile,
    patience_secs: u64,
    progress: &Progress,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    progress.doing("waiting for k3s");
    loop {
        let ready = match write_kubeconfig(&file.kubeconfig) {
            Ok(()) => node_ready(&file.kubeconfig).await,
            Err(error) => Err(error),
        };
        let waited = clock.monotonic_millis() - began;
        match ready {
            Ok(true) => {
                progress.done("k3s", format!("its node is ready after {} s", waited / 1000));
                return Ok(());
            }
            problem if waited > patience_secs * 1000 => {
                let problem = problem.err().map(|error| format!("{error:#}")).unwrap_or_default();
                let logs = docker(&lines::logs()).unwrap_or_default();
                return Err(Exit::Unhealthy.because(format!(
                    "k3s is not ready in time: {problem}\nthe end of its log:\n{logs}"
                )));
            }
            _ => pause(1000).await,
        }
    }
}

/// The container's own kubeconfig, with the address that this machine reaches it by.
fn write_kubeconfig(path: &Path) -> anyhow::Result<()> {
    let text = docker(&lines::kubeconfig())?;
    let published = docker(&lines::published())?;
    let address = published.lines().next().context("the API's port is not published")?;
    replace(path, text.replace("127.0.0.1:6443", address).as_bytes())
}

/// Removes container and volume; whether the container was there.
fn remove() -> anyhow::Result<bool> {
    let there = docker(&lines::state()).is_ok();
    if there {
        docker(&lines::remove())?;
    }
    docker(&lines::remove_volume())?;
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_as_committed() {
        let image: Image =
            format!("docker.io/rancher/k3s@sha256:{}", "a".repeat(64)).parse().unwrap();
        let all = [
            lines::state(),
            lines::create(&image, 45_678),
            lines::start(),
            lines::kubeconfig(),
            lines::published(),
            lines::folder(),
            lines::copy("/tmp/a folder/manager.tar", "manager.tar"),
            lines::load("manager.tar"),
            lines::logs(),
            lines::stop(),
            lines::remove(),
            lines::remove_volume(),
        ];
        let all: Vec<String> = all.map(|words| format!("docker {words:?}")).to_vec();
        insta::assert_snapshot!("lines", all.join("\n"));
    }
}
