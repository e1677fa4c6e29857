//! The driver `k3s`: one node of k3s as a service of this machine.
//!
//! `places` says where everything lies; the tests run the program in a mount namespace where these places
//! are their own.

mod files;
mod host;
mod install;
mod network;
pub(crate) mod places;
mod service;
mod teardown;

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::cluster::driver::{Contact, Driver, InstallRequest};
use crate::cluster::finding::{Finding, Verdict};
use crate::download::pin::Pin;
use crate::download::pinned::cached;
use crate::exit::Exit;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::progress::Progress;
pub(super) use install::node_ready;
use places::{CACHE, PROGRAM};

/// Looks at the machine and its network; nothing is changed.
async fn check(
    file: &ClusterFile,
    pin: &Pin,
    contacts: &[Contact],
) -> anyhow::Result<Vec<Finding>> {
    let running = service::is_active();
    let mut findings = host::machine(file, running);
    if findings.iter().any(|it| it.check == "rights" && it.verdict == Verdict::Bad) {
        // The rest would only say so again.
        return Ok(findings);
    }
    let mut urls = contacts.to_vec();
    let program_there =
        Path::new(PROGRAM).exists() || cached(pin, &pin.k3s, Path::new(CACHE)).exists();
    if !program_there {
        let fetched = pin.k3s.urls.first().filter(|url| url.scheme().starts_with("http"));
        urls.extend(fetched.map(|url| (network::DOWNLOAD, url.clone())));
    }
    findings.extend(network::look(&urls).await);
    Ok(findings)
}

/// The driver.
pub(crate) struct K3s;

#[async_trait(?Send)]
impl Driver for K3s {
    fn kubeconfig(&self, _: &Path) -> Option<PathBuf> {
        Some(places::KUBECONFIG.into())
    }

    fn owns_cluster(&self) -> bool {
        true
    }

    fn shares_host_network(&self) -> bool {
        true
    }

    fn subject(&self) -> &'static str {
        "this machine"
    }

    async fn check(
        &self,
        file: &ClusterFile,
        contacts: &[Contact],
    ) -> anyhow::Result<Vec<Finding>> {
        check(file, pin_of(file)?, contacts).await
    }

    async fn diagnose(
        &self,
        file: &ClusterFile,
        contacts: &[Contact],
    ) -> anyhow::Result<Vec<Finding>> {
        let Some(pin) = &file.k3s else {
            let fix = "run nodesys start --k3s-pin FILE";
            return Ok(vec![Finding::bad("k3s", "no release of it is pinned", fix)]);
        };
        let mut findings = check(file, pin, contacts).await?;
        findings.extend(service::services(pin));
        Ok(findings)
    }

    async fn install(
        &self,
        home: &Path,
        file: &mut ClusterFile,
        request: &InstallRequest<'_>,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let pin = pin_of(file)?.clone();
        install::install(home, file, &pin, request, progress).await
    }

    fn is_running(&self) -> bool {
        service::is_active()
    }

    fn stop(&self, progress: &Progress) -> anyhow::Result<bool> {
        service::stop(progress)
    }

    fn remove(&self, made: &Made, progress: &Progress) -> anyhow::Result<bool> {
        teardown::take_back(made, progress)
    }
}

/// The pinned release of k3s; an error that names the flag where there is none.
fn pin_of(file: &ClusterFile) -> anyhow::Result<&Pin> {
    let missing =
        || Exit::Usage.because("--k3s-pin is missing: it names the k3s to install, by hash");
    file.k3s.as_ref().ok_or_else(missing)
}
