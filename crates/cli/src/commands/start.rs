//! `start`: makes this node run.

use std::fmt;
use std::path::PathBuf;

use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::cidr::Cidr;
use nodesys_core::release::Image;

use crate::exit::Exit;
use crate::lifecycle::plan::StartRequest;
use crate::lifecycle::plan::WAIT_SECS;
use crate::lifecycle::start::Started;
use crate::lifecycle::start::start;
use crate::node::cluster_file::DriverKind;
use crate::output;
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
  nodesys start                               # safe to re-run: resumes, repairs, or does nothing
  nodesys start --manager-image registry.example.org/nodesys-manager@sha256:<another>

Needs a paired node and the settings chain_id, registry, backend and rpc. Flags are remembered, so
later starts need none. After Ctrl-C, run start again to resume.")]
pub struct StartArgs {
    /// The kind of cluster; required at the first start.
    #[arg(long, value_enum)]
    pub driver: Option<DriverKind>,
    /// Driver k3s: the file that pins k3s by hash (see docs/platforms.md); required at the first start, and to
    /// change it.
    #[arg(long, value_name = "FILE")]
    pub k3s_pin: Option<PathBuf>,
    /// Driver k3s: a bundle to install from, without a network (see nodesys bundle).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["k3s_pin", "k3s_image", "manager_image"])]
    pub bundle: Option<PathBuf>,
    /// The address that must have signed the bundle; remembered.
    #[arg(long, value_name = "ADDRESS", requires = "bundle")]
    #[arg(value_parser = address)]
    pub bundle_signer: Option<Address>,
    /// Driver k3d: the image of k3s by digest; required at the first start.
    #[arg(long, value_name = "IMAGE")]
    pub k3s_image: Option<Image>,
    /// Drivers k3s and k3d: a tarball of images to load into the node, such as the manager's; may be given more
    /// than once.
    #[arg(long, value_name = "FILE")]
    pub image_archive: Vec<PathBuf>,
    /// Driver existing: the cluster's kubeconfig.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Driver existing: the kubeconfig's context [default: the current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The manager's image by digest; required at the first start, and to change it.
    #[arg(long, value_name = "IMAGE")]
    pub manager_image: Option<Image>,
    /// A public address range of this node's own networks, which workloads must not reach; may be
    /// given more than once. The nodes' own public addresses are added automatically.
    #[arg(long, value_name = "RANGE")]
    pub local_range: Vec<Cidr>,
    /// How long the manager may take to become ready.
    #[arg(long, value_name = "SECS", default_value_t = WAIT_SECS)]
    #[arg(value_parser = clap::value_parser!(u64).range(10..=3600))]
    pub wait_secs: u64,
    /// Keep a failed first start as it is, for inspection.
    #[arg(long)]
    pub keep: bool,
}

impl StartArgs {
    fn request(&self) -> StartRequest {
        StartRequest {
            driver: self.driver,
            k3s_pin: self.k3s_pin.clone(),
            bundle: self.bundle.clone(),
            bundle_signer: self.bundle_signer,
            k3s_image: self.k3s_image.clone(),
            image_archives: self.image_archive.clone(),
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            manager_image: self.manager_image.clone(),
            local_ranges: self.local_range.clone(),
            wait_secs: self.wait_secs,
            keep: self.keep,
        }
    }
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &StartArgs) -> anyhow::Result<Exit> {
    run_start(setup, &args.request()).await
}

/// Starts the node, and prints how it ended.
pub(crate) async fn run_start(setup: &Setup, request: &StartRequest) -> anyhow::Result<Exit> {
    match start(setup, request).await? {
        Some(started) => {
            output::print(setup.format(), &started)?;
            Ok(Exit::Done)
        }
        None => Ok(Exit::Failure),
    }
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
            [] => write!(f, "changes     none: everything runs as it should"),
            all => write!(f, "changes     {}", all.join("\n            ")),
        }
    }
}
