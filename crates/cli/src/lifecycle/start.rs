//! Starting: from whatever is there to a manager that is ready.
//!
//! Everything is checked before anything is changed, what is about to be made is recorded first, and each
//! step first looks whether it is done. So a run after an interrupted one resumes, and a run after a
//! finished one changes nothing.

use std::path::Path;

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::release::Image;
use nodesys_render::MANAGER_NAMESPACE;
use serde::Serialize;

use crate::cluster::apply::{Applied, Change};
use crate::cluster::connect::client_of;
use crate::cluster::driver::{Contact, Driver, InstallRequest};
use crate::cluster::driver_of;
use crate::cluster::finding::require_good;
use crate::cluster::namespace::wait_gone;
use crate::cluster::preflight;
use crate::cluster::preflight::ClusterReport;
use crate::exit::Exit;
use crate::lifecycle::plan::{InstallPlan, StartRequest};
use crate::lifecycle::undo::{Scope, undo};
use crate::lifecycle::unpack::unpack_bundle;
use crate::manager::deploy::deploy;
use crate::manager::inputs::ManagerInputs;
use crate::manager::previous::PreviousManager;
use crate::node::cluster_file::{CLUSTER_JSON, ClusterFile, DriverKind, Made, Phase};
use crate::node::lock::lock;
use crate::node::workloads::WorkloadsFile;
use crate::output::say;
use crate::progress::Progress;
use crate::setup::Setup;
use crate::workload::sandbox::apply_sandbox;

/// The node that was started.
#[derive(Debug, Serialize)]
pub(crate) struct Started {
    pub(crate) driver: DriverKind,
    pub(crate) kubernetes: String,
    pub(crate) manager_image: Image,
    pub(crate) node_key: Address,
    pub(crate) operator: Address,
    /// The objects that were made or changed; empty when all was as it should be.
    pub(crate) changes: Vec<Change>,
}

/// Starts the node; `None` where the person stopped it.
pub(crate) async fn start(
    setup: &Setup,
    request: &StartRequest,
) -> anyhow::Result<Option<Started>> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let progress = Progress::new();
    let mut plan = InstallPlan::of(&home, request)?;
    let ended = tokio::select! {
        ended = run(setup, &home, &mut plan, &progress) => Some(ended),
        stopped = stopped() => { stopped?; None }
    };
    let Some(ended) = ended else {
        drop(progress);
        say("stopped: nodesys start resumes from here, nodesys uninstall removes what was made");
        return Ok(None);
    };
    ended.map(Some)
}

/// Replaces the manager in this node's cluster, and waits until it is ready; where it does not become so,
/// the previous one is put back and the error ends with 5.
pub(crate) async fn change_manager(
    setup: &Setup,
    image: &Image,
    archive: Option<&Path>,
) -> anyhow::Result<()> {
    let request = StartRequest {
        manager_image: Some(image.clone()),
        image_archives: archive.map(Path::to_owned).into_iter().collect(),
        ..StartRequest::default()
    };
    match start(setup, &request).await? {
        Some(_) => Ok(()),
        None => Err(Exit::Failure.because("stopped while the manager was being replaced")),
    }
}

/// Returns when the person or the system wants an end.
async fn stopped() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate()).context("SIGTERM")?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed.context("Ctrl-C"),
            _ = term.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.context("Ctrl-C")
}

/// The servers that this node talks to.
pub(crate) fn contacts(setup: &Setup) -> Vec<Contact> {
    let url = |text: &str| reqwest::Url::parse(text).ok();
    let mut contacts = Vec::new();
    contacts.extend(setup.settings.backend.as_deref().and_then(url).map(|url| ("backend", url)));
    contacts.extend(setup.settings.rpc.iter().map(|rpc| ("rpc", rpc.expose().clone())));
    contacts
}

async fn run(
    setup: &Setup,
    home: &Path,
    plan: &mut InstallPlan,
    progress: &Progress,
) -> anyhow::Result<Started> {
    progress.doing("reading settings and keys");
    let inputs = ManagerInputs::read(setup).await?;
    progress.done("node", format!("{} of {}", inputs.node_key, inputs.operator));
    let driver = driver_of(plan.file.driver);
    // A problem that is found here has changed nothing yet.
    let looked = if driver.owns_cluster() {
        progress.doing(format!("looking at {}", driver.subject()));
        require_good(progress, &driver.check(&plan.file, &contacts(setup)).await?)?;
        None
    } else {
        Some(look(&mut plan.file, &inputs, progress).await?)
    };
    let creating = !matches!(plan.file.phase, Phase::Running | Phase::Stopped);
    let mut previous = None;
    let step = Installation { home, inputs: &inputs, driver, progress };
    let installed = async {
        let (client, report) = step.cluster(plan, looked).await?;
        let mut changes = step.sandboxes(&client, &mut plan.file, &report).await?;
        if !creating {
            previous = PreviousManager::read(&client).await?.map(|it| (client.clone(), it));
        }
        let objects = inputs.objects(&plan.file)?;
        changes.extend(deploy(&client, &objects, plan.wait_secs, progress).await?);
        anyhow::Ok((report.version, changes))
    };
    let (kubernetes, changes) = match installed.await {
        Ok(installed) => installed,
        Err(error) if creating && !plan.keep => {
            return Err(roll_back(home, &mut plan.file, error, progress).await);
        }
        Err(error) if creating => {
            return Err(error.context("kept as it is; nodesys uninstall removes it"));
        }
        Err(error) => return Err(restore(previous, error, plan, progress).await),
    };
    plan.file.phase = Phase::Running;
    plan.file.write(home)?;
    Ok(Started {
        driver: plan.file.driver,
        kubernetes,
        manager_image: plan.file.manager_image.clone(),
        node_key: inputs.node_key,
        operator: inputs.operator,
        changes,
    })
}

/// The steps of an installation, and what all of them need.
struct Installation<'a> {
    home: &'a Path,
    inputs: &'a ManagerInputs,
    driver: &'a dyn Driver,
    progress: &'a Progress,
}

impl Installation<'_> {
    /// Installs the cluster, and looks at it where that was not done before.
    async fn cluster(
        &self,
        plan: &mut InstallPlan,
        looked: Option<(kube::Client, ClusterReport)>,
    ) -> anyhow::Result<(kube::Client, ClusterReport)> {
        let mut archives = plan.archives.clone();
        if let Some(bundle) = &plan.bundle {
            archives.extend(unpack_bundle(self.home, &mut plan.file, bundle, self.progress)?);
        }
        let request = InstallRequest { archives: &archives, wait_secs: plan.wait_secs };
        self.driver.install(self.home, &mut plan.file, &request, self.progress).await?;
        match looked {
            Some(looked) => Ok(looked),
            None => look(&mut plan.file, self.inputs, self.progress).await,
        }
    }

    /// Records the manager's namespace, and makes the sandboxes of the workloads, which a new cluster
    /// does not have.
    async fn sandboxes(
        &self,
        client: &kube::Client,
        file: &mut ClusterFile,
        report: &ClusterReport,
    ) -> anyhow::Result<Vec<Change>> {
        let known =
            |it: &Made| matches!(it, Made::Namespace { name, .. } if name == MANAGER_NAMESPACE);
        if !file.made.iter().any(known) {
            let name = MANAGER_NAMESPACE.to_owned();
            file.will_make(self.home, Made::Namespace { name, adopted: report.namespace })?;
        }
        let mut changes = Vec::new();
        for entry in WorkloadsFile::read(self.home)?.workloads.iter().filter(|it| !it.paused) {
            self.progress.doing(format!("making the sandbox of {}", entry.label()));
            changes.extend(apply_sandbox(client, self.home, file, entry).await?);
        }
        changes.retain(|change| change.done != Applied::Same);
        Ok(changes)
    }
}

/// Looks at the cluster itself.
async fn look(
    file: &mut ClusterFile,
    inputs: &ManagerInputs,
    progress: &Progress,
) -> anyhow::Result<(kube::Client, ClusterReport)> {
    progress.doing("looking at the cluster");
    let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
    // What an uninstall or a rollback is still taking away is not ours any more.
    wait_gone(&client, MANAGER_NAMESPACE).await?;
    let seen = preflight::look(&client, inputs.node_key).await?;
    require_good(progress, &seen.findings)?;
    for range in &seen.own_ranges {
        if !file.local_ranges.iter().any(|known| known.contains(*range)) {
            file.local_ranges.push(*range);
        }
    }
    Ok((client, seen))
}

/// Takes back what a failed create made; what was fetched stays, so that the next one goes on.
async fn roll_back(
    home: &Path,
    file: &mut ClusterFile,
    error: anyhow::Error,
    progress: &Progress,
) -> anyhow::Error {
    if let Err(problem) = undo(home, file, Scope::FailedCreate, progress).await {
        return error.context(format!(
            "it could not be removed either ({problem:#}): run nodesys uninstall"
        ));
    }
    file.made.retain(|made| matches!(made, Made::Cache { .. }));
    let kept = if file.made.is_empty() {
        std::fs::remove_file(home.join(CLUSTER_JSON)).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error.into()),
        })
    } else {
        file.write(home)
    };
    match kept {
        Ok(()) => error.context("everything was removed again (--keep leaves it)"),
        Err(problem) => error.context(format!("cluster.json cannot be changed: {problem:#}")),
    }
}

/// Puts the previous manager back.
async fn restore(
    before: Option<(kube::Client, PreviousManager)>,
    error: anyhow::Error,
    plan: &InstallPlan,
    progress: &Progress,
) -> anyhow::Error {
    let Some((client, before)) = before.filter(|_| !plan.keep) else {
        return error.context("the manager is left as it is now");
    };
    progress.doing("restoring the previous manager");
    let back = deploy(&client, &before.objects(), plan.wait_secs, progress).await;
    match back {
        Ok(_) => error.context("the previous manager is restored, and is ready"),
        Err(again) => error.context(format!("the previous manager is restored, but: {again:#}")),
    }
}
