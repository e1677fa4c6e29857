//! `start`: from whatever is there to a manager that is ready.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::release::Image;
use nodesys_failpoint::reach;
use nodesys_render::{MANAGER_NAMESPACE, Object};
use serde::Serialize;

use super::apply::{Applied, Change, apply};
use super::connect::client_of;
use super::file::{CLUSTER_JSON, ClusterFile, Driver, Made, Phase};
use super::manager::{Before, Inputs};
use super::preflight::Seen;
use super::running::wait_ready;
use super::steps::Steps;
use super::undo::{Scope, undo};
use super::wanted::{StartArgs, k3s_image_of, pin_of, wanted};
use super::{checks, k3d, k3s, lock, preflight, remove};
use crate::bundle::Bundle;
use crate::exit::Exit;
use crate::output::{self, say};
use crate::setup::Setup;
use crate::workload::{WorkloadsFile, surround};

/// What `start` tells.
#[derive(Debug, Serialize)]
struct Started {
    driver: Driver,
    kubernetes: String,
    manager_image: Image,
    node_key: Address,
    operator: Address,
    /// What was made or changed; empty when all was as it should be.
    changes: Vec<Change>,
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cluster     {}, Kubernetes {}", self.driver, self.kubernetes)?;
        writeln!(f, "manager     {}", self.manager_image)?;
        writeln!(f, "node key    {}", self.node_key)?;
        writeln!(f, "operator    {}", self.operator)?;
        let all: Vec<String> =
            self.changes.iter().map(|it| format!("{} {}", it.object, it.done)).collect();
        match all.as_slice() {
            [] => write!(f, "changes     none: it runs as it should"),
            all => write!(f, "changes     {}", all.join("\n            ")),
        }
    }
}

/// Runs the command.
pub async fn start(setup: &Setup, args: &StartArgs) -> anyhow::Result<Exit> {
    match started(setup, args).await? {
        Some(started) => {
            output::print(setup.format(), &started)?;
            Ok(Exit::Done)
        }
        None => Ok(Exit::Failure),
    }
}

/// Has another manager in this node's cluster, ready; where it does not become so, the one of before
/// is put back and the error ends with 5.
pub async fn change_manager(
    setup: &Setup,
    image: &Image,
    archive: Option<&Path>,
) -> anyhow::Result<()> {
    let args = StartArgs::of_manager(image.clone(), archive.map(Path::to_owned));
    match started(setup, &args).await? {
        Some(_) => Ok(()),
        None => Err(Exit::Failure.because("stopped while the manager was being replaced")),
    }
}

/// Starts it; `None` where the person has stopped it.
async fn started(setup: &Setup, args: &StartArgs) -> anyhow::Result<Option<Started>> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let steps = Steps::new();
    let (mut file, bundle) = wanted(&home, args)?;
    let run = run(setup, &home, &mut file, args, bundle.as_ref(), &steps);
    let ended = tokio::select! {
        ended = run => Some(ended),
        stopped = stopped() => { stopped?; None }
    };
    let Some(ended) = ended else {
        drop(steps);
        say("stopped: nodesys start goes on from here, nodesys uninstall takes it back");
        return Ok(None);
    };
    ended.map(Some)
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

async fn run(
    setup: &Setup,
    home: &Path,
    file: &mut ClusterFile,
    args: &StartArgs,
    bundle: Option<&Bundle>,
    steps: &Steps,
) -> anyhow::Result<Started> {
    steps.doing("reading settings and keys");
    let inputs = Inputs::read(setup).await?;
    steps.done("node", format!("{} of {}", inputs.node_key, inputs.operator));
    // What stands in the way here has changed nothing yet.
    let seen = match file.driver {
        Driver::Existing => Some(look(file, &inputs, steps).await?),
        Driver::K3s => {
            steps.doing("looking at this machine");
            checks::settle(steps, &k3s::look(setup, file, pin_of(file)?).await?)?;
            None
        }
        Driver::K3d => {
            steps.doing("looking at Docker");
            k3s_image_of(file)?;
            checks::settle(steps, &k3d::look(file))?;
            None
        }
    };
    let creating = !matches!(file.phase, Phase::Running | Phase::Stopped);
    let mut before = None;
    let made = async {
        let mut archives = args.image_archive.clone();
        if let Some(bundle) = bundle {
            archives.extend(k3s::unpack(home, file, bundle, steps)?);
        }
        let (archives, wait_secs) = (&archives, args.wait_secs);
        match file.driver {
            Driver::Existing => {}
            Driver::K3s => {
                let pin = &pin_of(file)?.clone();
                let wanted = k3s::Wanted { pin, archives, wait_secs };
                k3s::install(home, file, &wanted, steps).await?;
            }
            Driver::K3d => {
                let image = &k3s_image_of(file)?.clone();
                let wanted = k3d::Wanted { image, archives, wait_secs };
                k3d::install(home, file, &wanted, steps).await?;
            }
        }
        let (client, seen) = match seen {
            Some(seen) => seen,
            None => look(file, &inputs, steps).await?,
        };
        let known =
            |it: &Made| matches!(it, Made::Namespace { name, .. } if name == MANAGER_NAMESPACE);
        if !file.made.iter().any(known) {
            let name = MANAGER_NAMESPACE.to_owned();
            file.will_make(home, Made::Namespace { name, adopted: seen.namespace })?;
        }
        // What surrounds the workloads, which a cluster made anew does not have.
        let mut changes = Vec::new();
        for entry in WorkloadsFile::read(home)?.workloads.iter().filter(|entry| !entry.paused) {
            steps.doing(format!("making room for {}", entry.label()));
            changes.extend(surround(&client, home, file, entry).await?);
        }
        changes.retain(|change| change.done != Applied::Same);
        if !creating {
            before = Before::read(&client).await?.map(|before| (client.clone(), before));
        }
        changes.extend(deploy(&client, &inputs.objects(file)?, args.wait_secs, steps).await?);
        anyhow::Ok((seen.version, changes))
    };
    let (kubernetes, changes) = match made.await {
        Ok(made) => made,
        Err(error) if creating && !args.keep => {
            return Err(roll_back(home, file, error, steps).await);
        }
        Err(error) if creating => {
            return Err(error.context("kept as it is; nodesys uninstall takes it back"));
        }
        Err(error) => return Err(restore(before, error, args, steps).await),
    };
    file.phase = Phase::Running;
    file.write(home)?;
    Ok(Started {
        driver: file.driver,
        kubernetes,
        manager_image: file.manager_image.clone(),
        node_key: inputs.node_key,
        operator: inputs.operator,
        changes,
    })
}

/// Looks at the cluster itself.
async fn look(
    file: &mut ClusterFile,
    inputs: &Inputs,
    steps: &Steps,
) -> anyhow::Result<(kube::Client, Seen)> {
    steps.doing("looking at the cluster");
    let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
    // What an uninstall or a rollback is still taking away is not ours any more.
    remove::gone(&client, MANAGER_NAMESPACE).await?;
    let seen = preflight::look(&client, inputs.node_key).await?;
    checks::settle(steps, &seen.findings)?;
    for range in &seen.own_ranges {
        if !file.local_ranges.iter().any(|known| known.contains(*range)) {
            file.local_ranges.push(*range);
        }
    }
    Ok((client, seen))
}

/// Applies the objects and waits until the manager is ready; what was changed.
async fn deploy(
    client: &kube::Client,
    objects: &[Object],
    wait_secs: u64,
    steps: &Steps,
) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for object in objects {
        steps.doing(format!("applying {object}"));
        let change = apply(client, object).await?;
        if change.done != Applied::Same {
            steps.done(&change.object, &change.done);
            changes.push(change);
        }
    }
    if changes.is_empty() {
        steps.done("objects", "all are as they should be");
    }
    reach("manager:applied");
    steps.doing("waiting for the manager");
    wait_ready(client, steps, wait_secs).await?;
    reach("manager:ready");
    Ok(changes)
}

/// Takes back what a failed create made; what was fetched stays, so that the next one goes on.
async fn roll_back(
    home: &Path,
    file: &mut ClusterFile,
    error: anyhow::Error,
    steps: &Steps,
) -> anyhow::Error {
    if let Err(problem) = undo(home, file, Scope::FailedCreate, steps).await {
        return error.context(format!(
            "it could not be taken back either ({problem:#}): run nodesys uninstall"
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
        Ok(()) => error.context("all of it is taken back (--keep leaves it)"),
        Err(problem) => error.context(format!("cluster.json cannot be changed: {problem:#}")),
    }
}

/// Puts the manager that ran before an update back.
async fn restore(
    before: Option<(kube::Client, Before)>,
    error: anyhow::Error,
    args: &StartArgs,
    steps: &Steps,
) -> anyhow::Error {
    let Some((client, before)) = before.filter(|_| !args.keep) else {
        return error.context("the manager is left as it is now");
    };
    steps.doing("putting the manager back that ran before");
    let back = deploy(&client, &before.objects(), args.wait_secs, steps).await;
    match back {
        Ok(_) => error.context("the manager that ran before is put back, and is ready"),
        Err(again) => {
            error.context(format!("the manager that ran before is put back, but: {again:#}"))
        }
    }
}
