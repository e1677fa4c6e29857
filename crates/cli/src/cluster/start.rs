//! `start`: from whatever is there to a manager that is ready.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::release::Image;
use nodesys_manager::render::{Cidr, MANAGER_NAMESPACE, Object};
use serde::Serialize;

use super::apply::{Applied, Change, apply};
use super::connect::client_of;
use super::file::{ClusterFile, Driver, Made, Phase};
use super::manager::{Before, Inputs};
use super::running::wait_ready;
use super::steps::Steps;
use super::{checks, lock, preflight, remove};
use crate::exit::Exit;
use crate::output::{self, say};
use crate::setup::Setup;
use crate::workload::{WorkloadsFile, surround};

/// Options of `start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys start --driver existing --kubeconfig admin.yaml \\
      --manager-image registry.example.org/nodesys-manager@sha256:<64 hex digits>
  nodesys start                               # again: goes on, mends, or changes nothing
  nodesys start --manager-image registry.example.org/nodesys-manager@sha256:<another>

Needs a paired node and the settings chain_id, registry, backend and rpc. Flags are kept, so a later
start needs none. Ctrl-C leaves a state from which start goes on.")]
pub struct StartArgs {
    /// How this node has its cluster; needed the first time.
    #[arg(long, value_enum)]
    pub driver: Option<Driver>,
    /// Driver existing: how the cluster is reached.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Driver existing: the kubeconfig's context [default: its current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The manager's image by digest; needed the first time, and to change it.
    #[arg(long, value_name = "IMAGE")]
    pub manager_image: Option<Image>,
    /// A public address range of this node's own networks, which workloads must not reach; may be
    /// given more than once. Public addresses of the nodes are found by themselves.
    #[arg(long, value_name = "RANGE")]
    pub local_range: Vec<Cidr>,
    /// How long the manager may take to become ready.
    #[arg(long, value_name = "SECS", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(10..=3600))]
    pub wait_secs: u64,
    /// Leave a failed create as it is, to look at it.
    #[arg(long)]
    pub keep: bool,
}

/// What `start` tells.
#[derive(Debug, Serialize)]
struct Started {
    driver: Driver,
    kubernetes: String,
    manager_image: Image,
    node_key: nodesys_core::Address,
    operator: nodesys_core::Address,
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
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let steps = Steps::new();
    let mut file = wanted(&home, args)?;
    let run = run(setup, &home, &mut file, args, &steps);
    let ended = tokio::select! {
        ended = run => Some(ended),
        stopped = stopped() => { stopped?; None }
    };
    let Some(ended) = ended else {
        drop(steps);
        say("stopped: nodesys start goes on from here, nodesys uninstall takes it back");
        return Ok(Exit::Failure);
    };
    drop(steps);
    output::print(setup.format(), &ended?)?;
    Ok(Exit::Done)
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

/// What is wanted: what was there, and what the flags say.
fn wanted(home: &Path, args: &StartArgs) -> anyhow::Result<ClusterFile> {
    let given = |what: &str, how: &str| Exit::Usage.because(format!("{what} is missing: {how}"));
    let absolute = |path: &Path| {
        std::path::absolute(path).with_context(|| format!("the path {}", path.display()))
    };
    let kubeconfig = args.kubeconfig.as_deref().map(absolute).transpose()?;
    let mut file = match ClusterFile::read(home)? {
        Some(file) => {
            let other = |what: &str, there: String, said: String| {
                Exit::Usage.because(format!(
                    "this node's cluster has the {what} {there}, not {said}: leave the flag out, or \
                     run nodesys uninstall --keep-keys first"
                ))
            };
            if file.phase == Phase::Leaving {
                let words =
                    "an uninstall has begun and not ended: run nodesys uninstall again first";
                return Err(Exit::Failure.because(words));
            }
            if let Some(driver) = args.driver.filter(|driver| *driver != file.driver) {
                return Err(other("driver", file.driver.to_string(), driver.to_string()));
            }
            if let Some(path) = kubeconfig.filter(|path| *path != file.kubeconfig) {
                let there = file.kubeconfig.display().to_string();
                return Err(other("kubeconfig", there, path.display().to_string()));
            }
            if args.context.is_some() && args.context != file.context {
                let there = file.context.clone().unwrap_or_else(|| "(current)".to_owned());
                let said = args.context.clone().unwrap_or_default();
                return Err(other("context", there, said));
            }
            file
        }
        None => {
            let driver = args.driver.ok_or_else(|| given("--driver", "existing"))?;
            let kubeconfig = match driver {
                Driver::Existing => kubeconfig.ok_or_else(|| {
                    given("--kubeconfig", "the driver existing needs the cluster's kubeconfig")
                })?,
            };
            let image = args.manager_image.clone().ok_or_else(|| {
                given("--manager-image", "give the manager's image, by its digest")
            })?;
            let mut file = ClusterFile::new(driver, kubeconfig, image);
            file.context.clone_from(&args.context);
            file
        }
    };
    if let Some(image) = &args.manager_image {
        file.manager_image.clone_from(image);
    }
    if !args.local_range.is_empty() {
        file.local_ranges.clone_from(&args.local_range);
    }
    Ok(file)
}

async fn run(
    setup: &Setup,
    home: &Path,
    file: &mut ClusterFile,
    args: &StartArgs,
    steps: &Steps,
) -> anyhow::Result<Started> {
    steps.doing("reading settings and keys");
    let inputs = Inputs::read(setup).await?;
    steps.done("node", format!("{} of {}", inputs.node_key, inputs.operator));
    steps.doing("connecting");
    let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
    steps.doing("looking at the cluster");
    // What an uninstall or a rollback is still taking away is not ours any more.
    remove::gone(&client, MANAGER_NAMESPACE).await?;
    let seen = preflight::look(&client, inputs.node_key).await?;
    checks::settle(steps, &seen.findings)?;
    for range in &seen.own_ranges {
        if !file.local_ranges.iter().any(|known| known.contains(*range)) {
            file.local_ranges.push(*range);
        }
    }

    let creating = !matches!(file.phase, Phase::Running | Phase::Stopped);
    if !file
        .made
        .iter()
        .any(|it| matches!(it, Made::Namespace { name, .. } if name == MANAGER_NAMESPACE))
    {
        let name = MANAGER_NAMESPACE.to_owned();
        file.will_make(home, Made::Namespace { name, adopted: seen.namespace })?;
    }
    // What surrounds the workloads, which a cluster made anew does not have.
    let mut around = Vec::new();
    for entry in WorkloadsFile::read(home)?.workloads.iter().filter(|entry| !entry.paused) {
        steps.doing(format!("making room for {}", entry.label()));
        around.extend(surround(&client, home, file, entry).await?);
    }
    around.retain(|change| change.done != Applied::Same);
    let objects = inputs.objects(file)?;
    let before = if creating { None } else { Before::read(&client).await? };
    let ended = deploy(&client, &objects, args.wait_secs, steps).await;
    let changes = match ended {
        Ok(changes) => around.into_iter().chain(changes).collect(),
        Err(error) if creating && !args.keep => {
            return Err(roll_back(&client, home, file, error).await);
        }
        Err(error) if creating => {
            return Err(error.context("kept as it is; nodesys uninstall takes it back"));
        }
        Err(error) => return Err(restore(&client, before, error, args, steps).await),
    };
    file.phase = Phase::Running;
    file.write(home)?;
    Ok(Started {
        driver: file.driver,
        kubernetes: seen.version,
        manager_image: file.manager_image.clone(),
        node_key: inputs.node_key,
        operator: inputs.operator,
        changes,
    })
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
    steps.doing("waiting for the manager");
    wait_ready(client, steps, wait_secs).await?;
    Ok(changes)
}

/// Takes back what a failed create made.
async fn roll_back(
    client: &kube::Client,
    home: &Path,
    file: &mut ClusterFile,
    error: anyhow::Error,
) -> anyhow::Error {
    for made in file.made.iter().rev() {
        match made {
            Made::Namespace { adopted: true, .. } => {}
            Made::Namespace { name, adopted: false } => {
                if let Err(problem) = remove::namespace(client, name).await {
                    return error.context(format!(
                        "it could not be taken back either ({problem:#}): run nodesys uninstall"
                    ));
                }
            }
        }
    }
    match std::fs::remove_file(home.join(super::file::CLUSTER_JSON)) {
        Ok(()) => error.context("all of it is taken back (--keep leaves it)"),
        Err(problem) => error.context(format!("cluster.json cannot be removed: {problem}")),
    }
}

/// Puts the manager that ran before an update back.
async fn restore(
    client: &kube::Client,
    before: Option<Before>,
    error: anyhow::Error,
    args: &StartArgs,
    steps: &Steps,
) -> anyhow::Error {
    let Some(before) = before.filter(|_| !args.keep) else {
        return error.context("the manager is left as it is now");
    };
    steps.doing("putting the manager back that ran before");
    let back = deploy(client, &before.objects(), args.wait_secs, steps).await;
    match back {
        Ok(_) => error.context("the manager that ran before is put back, and is ready"),
        Err(again) => {
            error.context(format!("the manager that ran before is put back, but: {again:#}"))
        }
    }
}
