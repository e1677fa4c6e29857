//! What `start` is asked for: the flags, and what was kept of earlier ones.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::cidr::Cidr;
use nodesys_core::release::Image;

use super::file::{ClusterFile, Driver, Phase};
use super::k3s::pin::{Arch, Pin};
use super::{k3d, k3s};
use crate::bundle::Bundle;
use crate::exit::Exit;

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
        Self { bundle: Some(bundle), bundle_signer, ..Self::nothing() }
    }

    /// Of another manager, and else as nobody says anything.
    pub(super) fn of_manager(image: Image, archive: Option<PathBuf>) -> Self {
        let image_archive = archive.into_iter().collect();
        Self { manager_image: Some(image), image_archive, ..Self::nothing() }
    }

    const fn nothing() -> Self {
        Self {
            driver: None,
            k3s_pin: None,
            bundle: None,
            bundle_signer: None,
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

/// What is wanted: what was there, and what the flags say.
pub(super) fn wanted(
    home: &Path,
    args: &StartArgs,
) -> anyhow::Result<(ClusterFile, Option<Bundle>)> {
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

/// Which k3s; an error that names the flag where nobody said.
pub(super) fn pin_of(file: &ClusterFile) -> anyhow::Result<&Pin> {
    let missing = || Exit::Usage.because("--k3s-pin is missing: say which k3s, by its hash");
    file.k3s.as_ref().ok_or_else(missing)
}

/// Which image of k3s; an error that names the flag where nobody said.
pub(super) fn k3s_image_of(file: &ClusterFile) -> anyhow::Result<&Image> {
    let missing = || Exit::Usage.because("--k3s-image is missing: give k3s' image, by its digest");
    file.k3s_image.as_ref().ok_or_else(missing)
}
