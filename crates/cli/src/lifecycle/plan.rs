//! The plan of an installation: the operator's choices, and what was kept of earlier ones.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::cidr::Cidr;
use nodesys_core::release::Image;
use nodesys_sdk::network::NetworkFile;

use crate::bundle::archive::Bundle;
use crate::cluster::driver_of;
use crate::download::pin::{self, Arch};
use crate::exit::Exit;
use crate::node::cluster_file::{ClusterFile, DriverKind, Phase};
use crate::node::network_file;

/// How long the manager may take where nobody says it.
pub(crate) const WAIT_SECS: u64 = 300;

/// The operator's choices at a start. What is left out stays as it was.
#[derive(Debug, Clone)]
pub(crate) struct StartRequest {
    pub(crate) driver: Option<DriverKind>,
    pub(crate) k3s_pin: Option<PathBuf>,
    pub(crate) bundle: Option<PathBuf>,
    pub(crate) bundle_signer: Option<Address>,
    pub(crate) k3s_image: Option<Image>,
    pub(crate) image_archives: Vec<PathBuf>,
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) context: Option<String>,
    pub(crate) manager_image: Option<Image>,
    pub(crate) local_ranges: Vec<Cidr>,
    pub(crate) wait_secs: u64,
    /// Whether a failed first start is left as it is.
    pub(crate) keep: bool,
}

impl Default for StartRequest {
    fn default() -> Self {
        Self {
            driver: None,
            k3s_pin: None,
            bundle: None,
            bundle_signer: None,
            k3s_image: None,
            image_archives: Vec::new(),
            kubeconfig: None,
            context: None,
            manager_image: None,
            local_ranges: Vec::new(),
            wait_secs: WAIT_SECS,
            keep: false,
        }
    }
}

/// The installation to be made, or to be brought to.
pub(crate) struct InstallPlan {
    /// The cluster as it shall be.
    pub(crate) file: ClusterFile,
    /// The bundle to install from.
    pub(crate) bundle: Option<Bundle>,
    /// Tarballs of images to load.
    pub(crate) archives: Vec<PathBuf>,
    pub(crate) wait_secs: u64,
    pub(crate) keep: bool,
}

impl InstallPlan {
    /// Of the cluster that is there and of the operator's choices.
    pub(crate) fn of(home: &Path, request: &StartRequest) -> anyhow::Result<Self> {
        let absolute = |path: &Path| {
            std::path::absolute(path).with_context(|| format!("the path {}", path.display()))
        };
        let kubeconfig = request.kubeconfig.as_deref().map(absolute).transpose()?;
        let there = ClusterFile::read(home)?;
        let kept_signer = there.as_ref().and_then(|file| file.bundle_signer);
        let signer = request.bundle_signer.or(kept_signer);
        let bundle = request.bundle.as_deref().map(|path| open_bundle(path, signer)).transpose()?;
        let mut file = match there {
            Some(file) => {
                require_same_cluster(&file, request, kubeconfig.as_deref())?;
                file
            }
            None => {
                let network = network_file::read(home)?.map(|kept| kept.file);
                new_cluster(home, request, kubeconfig, bundle.as_ref(), network.as_ref())?
            }
        };
        require_own_flags(&file, request)?;
        if let Some(path) = &request.k3s_pin {
            file.k3s = Some(pin::read(path, pin::here()?)?);
        }
        if let Some(image) = &request.k3s_image {
            if file.k3s_image.as_ref().is_some_and(|there| there != image) {
                return Err(Exit::Usage.because(
                    "the container has another image of k3s: nodesys uninstall --keep-keys, then start",
                ));
            }
            file.k3s_image = Some(image.clone());
        }
        if let Some(bundle) = &bundle {
            take_bundle(&mut file, bundle, signer)?;
        }
        if let Some(image) = &request.manager_image {
            file.manager_image.clone_from(image);
        }
        if !request.local_ranges.is_empty() {
            file.local_ranges.clone_from(&request.local_ranges);
        }
        let archives = request.image_archives.clone();
        Ok(Self { file, bundle, archives, wait_secs: request.wait_secs, keep: request.keep })
    }
}

fn missing(what: &str, how: &str) -> anyhow::Error {
    Exit::Usage.because(format!("{what} is missing: {how}"))
}

fn open_bundle(path: &Path, signer: Option<Address>) -> anyhow::Result<Bundle> {
    let signer = signer
        .ok_or_else(|| missing("--bundle-signer", "give the address of the bundle's signer"))?;
    Bundle::open(path, signer)
}

/// A cluster that is there stays the one that it is.
fn require_same_cluster(
    file: &ClusterFile,
    request: &StartRequest,
    kubeconfig: Option<&Path>,
) -> anyhow::Result<()> {
    let other = |what: &str, there: String, given: String| {
        Exit::Usage.because(format!(
            "this node's cluster has the {what} {there}, not {given}: leave the flag out, or run \
             nodesys uninstall --keep-keys first"
        ))
    };
    if file.phase == Phase::Leaving {
        let words = "an uninstall was interrupted: run nodesys uninstall again first";
        return Err(Exit::Failure.because(words));
    }
    if let Some(driver) = request.driver.filter(|driver| *driver != file.driver) {
        return Err(other("driver", file.driver.to_string(), driver.to_string()));
    }
    if let Some(path) = kubeconfig.filter(|path| *path != file.kubeconfig) {
        let there = file.kubeconfig.display().to_string();
        return Err(other("kubeconfig", there, path.display().to_string()));
    }
    if request.context.is_some() && request.context != file.context {
        let there = file.context.clone().unwrap_or_else(|| "(current)".to_owned());
        let given = request.context.clone().unwrap_or_default();
        return Err(other("context", there, given));
    }
    Ok(())
}

fn new_cluster(
    home: &Path,
    request: &StartRequest,
    kubeconfig: Option<PathBuf>,
    bundle: Option<&Bundle>,
    network: Option<&NetworkFile>,
) -> anyhow::Result<ClusterFile> {
    // What the joined network has for this machine serves where nothing else is said.
    let pin = || network.and_then(|file| file.k3s.as_ref()?.of(Arch::here()?));
    let pinned = pin().filter(|_| cfg!(target_os = "linux")).map(|_| DriverKind::K3s);
    let of_bundle = bundle.map(|_| DriverKind::K3s);
    let driver = request.driver.or(of_bundle).or(pinned);
    let driver = driver.ok_or_else(|| missing("--driver", "k3s, k3d or existing"))?;
    let own = driver_of(driver).kubeconfig(home);
    let kubeconfig = own.or(kubeconfig).ok_or_else(|| {
        missing("--kubeconfig", "the driver existing needs the cluster's kubeconfig")
    })?;
    let image = bundle.map(|bundle| bundle.manifest.manager_image.clone());
    let image = image.or_else(|| request.manager_image.clone());
    let image = image.or_else(|| network.and_then(|file| file.manager_image.clone()));
    let image = image
        .ok_or_else(|| missing("--manager-image", "give the manager's image, by its digest"))?;
    let mut file = ClusterFile::new(driver, kubeconfig, image);
    file.context.clone_from(&request.context);
    if driver == DriverKind::K3s {
        file.k3s = pin();
    }
    Ok(file)
}

fn take_bundle(
    file: &mut ClusterFile,
    bundle: &Bundle,
    signer: Option<Address>,
) -> anyhow::Result<()> {
    let here = pin::here()?;
    if bundle.manifest.arch != here {
        return Err(Exit::Usage.because(format!(
            "the bundle is for {}, and this machine is {here}: get one for {here}",
            bundle.manifest.arch
        )));
    }
    file.k3s = Some(bundle.manifest.pin()?);
    file.manager_image.clone_from(&bundle.manifest.manager_image);
    file.bundle_signer = signer;
    Ok(())
}

/// A flag of another driver is a mistake, so it is refused.
fn require_own_flags(file: &ClusterFile, request: &StartRequest) -> anyhow::Result<()> {
    use DriverKind::{Existing, K3d, K3s};
    for (of, given, flag) in [
        (&[K3s][..], request.k3s_pin.is_some(), "--k3s-pin"),
        (&[K3s], request.bundle.is_some(), "--bundle"),
        (&[K3d], request.k3s_image.is_some(), "--k3s-image"),
        (&[K3s, K3d], !request.image_archives.is_empty(), "--image-archive"),
        (&[Existing], request.kubeconfig.is_some(), "--kubeconfig"),
        (&[Existing], request.context.is_some(), "--context"),
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
