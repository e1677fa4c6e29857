//! `logs`: what the manager writes.

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use nodesys_render::MANAGER_NAMESPACE;

use super::running::manager_pods;
use super::{connect, words_of};
use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;

/// Options of `logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys logs
  nodesys logs --follow --lines 10
  nodesys logs --previous        # of the run before, after a crash")]
pub struct LogsArgs {
    /// How many lines from the end.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub lines: u32,
    /// Go on with what is written from now on.
    #[arg(short, long, conflicts_with = "previous")]
    pub follow: bool,
    /// Of the run before.
    #[arg(long)]
    pub previous: bool,
}

/// Runs the command.
pub async fn logs(setup: &Setup, args: &LogsArgs) -> anyhow::Result<Exit> {
    let cluster = connect(setup).await?;
    let pods = manager_pods(&cluster.client).await?;
    let name = pods.first().and_then(|pod| pod.metadata.name.clone()).ok_or_else(|| {
        Exit::NotFound.because("the manager does not run: see nodesys status, run nodesys start")
    })?;
    let api: Api<Pod> = Api::namespaced(cluster.client, MANAGER_NAMESPACE);
    let params = LogParams {
        follow: args.follow,
        previous: args.previous,
        tail_lines: Some(args.lines.into()),
        ..LogParams::default()
    };
    print_log(&api, &name, &params, "the manager's log").await
}

/// Prints a pod's log line by line, to its end.
pub(crate) async fn print_log(
    pods: &Api<Pod>,
    pod: &str,
    params: &LogParams,
    what: &str,
) -> anyhow::Result<Exit> {
    let told = |error| words_of(what, error);
    let mut lines = pods.log_stream(pod, params).await.map_err(told)?.lines();
    loop {
        match lines.try_next().await {
            Ok(Some(line)) => output::data(&line)?,
            Ok(None) => return Ok(Exit::Done),
            Err(error) => {
                return Err(Exit::Network.because(format!("{what} breaks off: {error}")));
            }
        }
    }
}
