//! `info`: the node's parts, from its files and, where it answers, its cluster.

use std::fmt;
use std::path::PathBuf;

use nodesys_core::Address;
use nodesys_core::release::Image;
use serde::Serialize;

use crate::cluster::connect::{client_of, cluster_error};
use crate::exit::Exit;
use crate::node::cluster_file::{ClusterFile, DriverKind, Phase};
use crate::node::workloads::WorkloadsFile;
use crate::setup::Setup;
use crate::{node, output};

/// Options of `info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys info
  nodesys info -o json")]
pub struct InfoArgs {}

#[derive(Debug, Serialize)]
struct NodeInfo {
    version: &'static str,
    platform: String,
    home: PathBuf,
    node_key: Option<Address>,
    operator: Option<Address>,
    cluster: Option<ClusterInfo>,
    workloads: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ClusterInfo {
    driver: DriverKind,
    kubeconfig: PathBuf,
    context: Option<String>,
    phase: Phase,
    manager_image: Image,
    local_ranges: Vec<String>,
    /// The server's version; null where it does not answer.
    kubernetes: Option<String>,
    problem: Option<String>,
}

impl fmt::Display for NodeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or_none<T: ToString>(value: Option<&T>) -> String {
            value.map_or_else(|| "none".to_owned(), ToString::to_string)
        }
        writeln!(f, "nodesys     {} ({})", self.version, self.platform)?;
        writeln!(f, "home        {}", self.home.display())?;
        writeln!(f, "node key    {}", or_none(self.node_key.as_ref()))?;
        writeln!(f, "operator    {}", or_none(self.operator.as_ref()))?;
        match &self.cluster {
            None => writeln!(f, "cluster     none: run nodesys start")?,
            Some(cluster) => {
                let shown = cluster.kubernetes.clone().or_else(|| cluster.problem.clone());
                writeln!(f, "cluster     {}, {}", cluster.driver, or_none(shown.as_ref()))?;
                let context = cluster.context.as_deref().unwrap_or("(current)");
                writeln!(f, "kubeconfig  {}, context {context}", cluster.kubeconfig.display())?;
                writeln!(f, "manager     {}", cluster.manager_image)?;
                let ranges = cluster.local_ranges.join(", ");
                if !ranges.is_empty() {
                    writeln!(f, "own ranges  {ranges}")?;
                }
            }
        }
        match self.workloads.as_slice() {
            [] => write!(f, "workloads   none"),
            all => write!(f, "workloads   {}", all.join(", ")),
        }
    }
}

/// Runs the command.
pub async fn run(setup: &Setup, InfoArgs {}: &InfoArgs) -> anyhow::Result<Exit> {
    let home = setup.home()?;
    let kept = setup.authorization().map(|kept| kept.authorization);
    let key = setup.node_key_file().ok().and_then(|path| node::key::read(&path).ok());
    let node_key = key.map(|key| key.address()).or_else(|| kept.as_ref().map(|it| it.node_key));
    let cluster = match ClusterFile::read(home)? {
        None => None,
        Some(file) => Some(of(file).await),
    };
    let workloads = WorkloadsFile::read(home)?.workloads;
    let info = NodeInfo {
        version: env!("CARGO_PKG_VERSION"),
        platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        home: home.to_owned(),
        node_key,
        operator: kept.filter(|kept| Some(kept.node_key) == node_key).map(|kept| kept.operator),
        cluster,
        workloads: workloads.iter().map(|it| format!("{}/{}", it.project_name, it.name)).collect(),
    };
    output::print(setup.format(), &info)?;
    Ok(Exit::Done)
}

async fn of(file: ClusterFile) -> ClusterInfo {
    let asked = async {
        let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
        client.apiserver_version().await.map_err(|error| cluster_error("its version", error))
    };
    let (kubernetes, problem) = match asked.await {
        Ok(version) => (Some(version.git_version), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    ClusterInfo {
        driver: file.driver,
        kubeconfig: file.kubeconfig,
        context: file.context,
        phase: file.phase,
        manager_image: file.manager_image,
        local_ranges: file.local_ranges.iter().map(ToString::to_string).collect(),
        kubernetes,
        problem,
    }
}
