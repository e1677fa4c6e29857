//! The thin main; everything is in the library.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nodesys_devnet::{ClusterParts, demo};

const EXAMPLES: &str = "\
Examples:
  scripts/demo
  scripts/demo --serve
  scripts/demo --kubernetes

Run it by scripts/demo, which builds what it needs and says where Postgres and anvil are.";

/// A whole network on this machine, for the demo and the tests.
#[derive(Debug, Parser)]
#[command(name = "nodesys-devnet", version, after_help = EXAMPLES, subcommand_required = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole path from license to claim, two UTC days long.
    Demo {
        /// Leave everything running afterwards; endpoints.json in the folder has the addresses.
        #[arg(long)]
        serve: bool,
        /// The folder for all files; files of an earlier run are removed.
        #[arg(long, value_name = "DIR", default_value = "target/demo")]
        dir: PathBuf,
        /// Run node 1 in a real cluster, from inside its network: scripts/demo --kubernetes.
        #[arg(long, requires_all = ["cluster_dir", "manager_image", "workload_image"])]
        kubernetes: bool,
        /// The built dashboard: served beside what --serve leaves running, if it is there.
        #[arg(long, value_name = "DIR", default_value = "web/dist")]
        web: PathBuf,
        #[command(flatten)]
        cluster: Cluster,
    },
}

/// What test/kubernetes/with-node says of its cluster.
#[derive(Debug, clap::Args)]
struct Cluster {
    /// The cluster's folder.
    #[arg(long = "kubernetes-dir", env = "NODESYS_KUBERNETES_DIR", value_name = "DIR")]
    cluster_dir: Option<PathBuf>,
    /// The manager's image, by digest.
    #[arg(long, env = "NODESYS_MANAGER_IMAGE", value_name = "IMAGE")]
    manager_image: Option<String>,
    /// The sample workload's image, by digest.
    #[arg(long, env = "NODESYS_WORKLOAD_IMAGE", value_name = "IMAGE")]
    workload_image: Option<String>,
    /// Address at which pods reach listeners on the loopback of the cluster's network.
    #[arg(long, value_name = "ADDRESS", default_value = "10.77.0.2")]
    loopback_address: IpAddr,
}

impl Cluster {
    /// All of it, where all of it is known.
    fn kubernetes(self) -> Option<demo::Kubernetes> {
        let parts = ClusterParts {
            kubeconfig: self.cluster_dir?.join("admin.kubeconfig"),
            manager_image: self.manager_image?,
        };
        let workload_image = self.workload_image?;
        Some(demo::Kubernetes { host: self.loopback_address, parts, workload_image })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Command::Demo { serve, dir, kubernetes, web, cluster } = Args::parse().command;
    let kubernetes = kubernetes.then(|| cluster.kubernetes()).flatten();
    match demo::run(&demo::Options { root: dir, serve, web, kubernetes }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
