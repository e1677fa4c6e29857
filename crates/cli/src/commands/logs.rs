//! `logs`: prints the manager's log.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use nodesys_render::MANAGER_NAMESPACE;

use crate::cluster::connect::connect;
use crate::commands::pod_log::{LogLines, print_log};
use crate::exit::Exit;
use crate::manager::readiness::manager_pods;
use crate::setup::Setup;

/// Options of `logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys logs
  nodesys logs --follow --lines 10
  nodesys logs --previous        # of the previous run, after a crash")]
pub struct LogsArgs {
    /// Which lines.
    #[command(flatten)]
    pub lines: LogLines,
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &LogsArgs) -> anyhow::Result<Exit> {
    let cluster = connect(setup.home()?).await?;
    let pods = manager_pods(&cluster.client).await?;
    let name = pods.first().and_then(|pod| pod.metadata.name.clone()).ok_or_else(|| {
        Exit::NotFound.because("the manager does not run: see nodesys status, run nodesys start")
    })?;
    let api: Api<Pod> = Api::namespaced(cluster.client, MANAGER_NAMESPACE);
    print_log(&api, &name, &args.lines.params(), "the manager's log").await
}
