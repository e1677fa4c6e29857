//! Logs of pods, printed.

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use crate::cluster::connect::cluster_error;
use crate::exit::Exit;
use crate::output;

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
