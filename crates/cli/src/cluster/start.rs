//! `start`: from whatever is there to a manager that is ready.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::release::Image;
use nodesys_failpoint::reach;
use nodesys_manager::render::{Cidr, MANAGER_NAMESPACE, Object};
use serde::Serialize;

use super::apply::{Applied, Change, apply};
use super::connect::client_of;
use super::file::{CLUSTER_JSON, ClusterFile, Driver, Made, Phase};
use super::k3s::pin::{Arch, Pin};
use super::manager::{Before, Inputs};
use super::preflight::Seen;
use super::running::wait_ready;
use super::steps::Steps;
use super::undo::{Scope, undo};
use super::{checks, k3d, k3s, lock, preflight, remove};
use crate::bundle::Bundle;
use crate::exit::Exit;
use crate::output::{self, say};
use crate::setup::Setup;

/// Options of `start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo nodesys start --driver k3s --k3s-pin k3s.json \\
      --manager-image registry.example.org/nodesys-manager@sha256:<64 hex digits>
  nodesys start --driver existing --kubeconfig admin.yaml \\
      --manager-image registry.example.org/nodesys-manager@sha256:<64 hex digits>
  sudo nodesys start --bundle node.bundle --bundle-signer 0x00000000000000000000000000000000000000a1
  nodesys start                               # again: goes on, mends, or changes nothing
  nodesys start --manager-image registry.example.org/nodesys-manager@sha256:<another>

Needs a paired node and the settings chain_id, registry, backend and rpc. Flags are kept, so a later
start needs none. Ctrl-C leaves a state from which start goes on.")]
pub struct StartArgs {
    /// How this node has its cluster; needed the first time.
    #[arg(long, value_enum)]
    pub driver: Option<Driver>,
    /// Driver k3s: which k3s, by hash (see docs/platforms.md); needed the first time, and to change it.
    #[arg(long, value_name = "FILE")]
    pub k3s_pin: Option<PathBuf>,
    /// Driver k3s: a bundle to install from, without a network (see nodesys bundle).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["k3s_pin", "k3s_image", "manager_image"])]
    pub bundle: Option<PathBuf>,
    /// The address that must have signed the bundle; kept after the first time.
    #[arg(long, value_name = "ADDRESS", requires = "bundle")]
    pub bundle_signer: Option<Address>,
    /// Driver k3d: the image of k3s by digest; needed the first time.
    #[arg(long, value_name = "IMAGE")]
    pub k3s_image: Option<Image>,
    /// Drivers k3s and k3d: a tarball of images to load into the node, such as the manager's; may be given more
    /// than once.
    #[arg(long, value_name = "FILE")]
    pub image_archive: Vec<PathBuf>,
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
    #[arg(long, value_name = "SECS", default_value_t = WAIT_SECS)]
    #[arg(value_parser = clap::value_parser!(u64).range(10..=3600))]
    pub wait_secs: u64,
    /// Leave a failed create as it is, to look at it.
    #[arg(long)]
    pub keep: bool,
}

/// How long the manager may take where nobody says it.
const WAIT_SECS: u64 = 300;

impl StartArgs {
    /// Of a bundle, and else as nobody says anything.
    pub fn of_bundle(bundle: PathBuf, bundle_signer: Option<Address>) -> Self {
        Self {
            driver: None,
            k3s_pin: None,
            bundle: Some(bundle),
            bundle_signer,
            k3s_image: None,
            image_archive: Vec::new(),
            kubeconfig: None,
            context: None,
            manager_image: None,
            local_range: Vec::new(),
            wait_secs: WAIT_SECS,
            keep: false,
        }
    }
}

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
fn wanted(home: &Path, args: &StartArgs) -> anyhow::Result<(ClusterFile, Option<Bundle>)> {
    let given = |what: &str, how: &str| Exit::Usage.because(format!("{what} is missing: {how}"));
    let absolute = |path: &Path| {
        std::path::absolute(path).with_context(|| format!("the path {}", path.display()))
    };
    let kubeconfig = args.kubeconfig.as_deref().map(absolute).transpose()?;
    let there = ClusterFile::read(home)?;
    let signer = args.bundle_signer.or(there.as_ref().and_then(|file| file.bundle_signer));
    let bundle = match &args.bundle {
        None => None,
        Some(path) => {
            let signer = signer.ok_or_else(|| {
                given("--bundle-signer", "say whose signature the bundle must have")
            })?;
            Some(Bundle::open(path, signer)?)
        }
    };
    let mut file = match there {
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
            let of_bundle = args.bundle.as_ref().map(|_| Driver::K3s);
            let driver = args.driver.or(of_bundle);
            let driver = driver.ok_or_else(|| given("--driver", "k3s, k3d or existing"))?;
            let kubeconfig = match driver {
                Driver::Existing => kubeconfig.ok_or_else(|| {
                    given("--kubeconfig", "the driver existing needs the cluster's kubeconfig")
                })?,
                Driver::K3s => k3s::KUBECONFIG.into(),
                Driver::K3d => home.join(k3d::KUBECONFIG),
            };
            let image = bundle.as_ref().map(|bundle| bundle.manifest.manager_image.clone());
            let image = image.or_else(|| args.manager_image.clone()).ok_or_else(|| {
                given("--manager-image", "give the manager's image, by its digest")
            })?;
            let mut file = ClusterFile::new(driver, kubeconfig, image);
            file.context.clone_from(&args.context);
            file
        }
    };
    belongs(&file, args)?;
    if let Some(path) = &args.k3s_pin {
        file.k3s = Some(Pin::read(path, Arch::here()?)?);
    }
    if let Some(image) = &args.k3s_image {
        if file.k3s_image.as_ref().is_some_and(|there| there != image) {
            return Err(Exit::Usage.because(
                "the container has another image of k3s: nodesys uninstall --keep-keys, then start",
            ));
        }
        file.k3s_image = Some(image.clone());
    }
    if let Some(bundle) = &bundle {
        let here = Arch::here()?;
        if bundle.manifest.arch != here {
            return Err(Exit::Usage.because(format!(
                "the bundle is for {}, and this machine is {here}: get one for {here}",
                bundle.manifest.arch
            )));
        }
        file.k3s = Some(bundle.manifest.pin()?);
        file.manager_image.clone_from(&bundle.manifest.manager_image);
        file.bundle_signer = signer;
    }
    if let Some(image) = &args.manager_image {
        file.manager_image.clone_from(image);
    }
    if !args.local_range.is_empty() {
        file.local_ranges.clone_from(&args.local_range);
    }
    Ok((file, bundle))
}

/// A flag of another driver is a mistake, not something to pass over.
fn belongs(file: &ClusterFile, args: &StartArgs) -> anyhow::Result<()> {
    use Driver::{Existing, K3d, K3s};
    for (of, given, flag) in [
        (&[K3s][..], args.k3s_pin.is_some(), "--k3s-pin"),
        (&[K3s], args.bundle.is_some(), "--bundle"),
        (&[K3d], args.k3s_image.is_some(), "--k3s-image"),
        (&[K3s, K3d], !args.image_archive.is_empty(), "--image-archive"),
        (&[Existing], args.kubeconfig.is_some(), "--kubeconfig"),
        (&[Existing], args.context.is_some(), "--context"),
    ] {
        if given && !of.contains(&file.driver) {
            let of: Vec<String> = of.iter().map(ToString::to_string).collect();
            return Err(Exit::Usage.because(format!(
                "{flag} is for the driver {}, and this node's is {}: leave it out",
                of.join(" or "),
                file.driver
            )));
        }
    }
    Ok(())
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
        if !creating {
            before = Before::read(&client).await?.map(|before| (client.clone(), before));
        }
        let changes = deploy(&client, &inputs.objects(file)?, args.wait_secs, steps).await?;
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

fn pin_of(file: &ClusterFile) -> anyhow::Result<&Pin> {
    let missing = || Exit::Usage.because("--k3s-pin is missing: say which k3s, by its hash");
    file.k3s.as_ref().ok_or_else(missing)
}

fn k3s_image_of(file: &ClusterFile) -> anyhow::Result<&Image> {
    let missing = || Exit::Usage.because("--k3s-image is missing: give k3s' image, by its digest");
    file.k3s_image.as_ref().ok_or_else(missing)
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
