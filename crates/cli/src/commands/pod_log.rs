//! Logs of pods, printed.

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use crate::cluster::connect::cluster_error;
use crate::exit::Exit;
use crate::output;

/// Which lines of a log.
#[derive(Debug, clap::Args)]
pub struct LogLines {
    /// Number of lines from the end.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    lines: u32,
    /// Follow the log.
    #[arg(short, long, conflicts_with = "previous")]
    follow: bool,
    /// The log of the previous run.
    #[arg(long)]
    previous: bool,
}

impl LogLines {
    pub(crate) fn params(&self) -> LogParams {
        LogParams {
            follow: self.follow,
            previous: self.previous,
            tail_lines: Some(self.lines.into()),
            ..LogParams::default()
        }
    }
}

/// Prints a pod's log line by line, to its end.
pub(crate) async fn print_log(
    pods: &Api<Pod>,
    pod: &str,
    params: &LogParams,
    what: &str,
) -> anyhow::Result<Exit> {
    let told = |error| cluster_error(what, error);
    let mut lines = pods.log_stream(pod, params).await.map_err(told)?.lines();
    loop {
        match lines.try_next().await {
            Ok(Some(line)) => output::data(&line)?,
            Ok(None) => return Ok(Exit::Done),
            Err(error) => {
                return Err(Exit::Network.because(format!("{what} ended early: {error}")));
            }
        }
    }
}
