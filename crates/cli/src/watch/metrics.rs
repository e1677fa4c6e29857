//! Metrics of the watch, for Prometheus.

use std::net::SocketAddr;

use anyhow::Context as _;
use nodesys_sdk::audit::Verdict;
use nodesys_sdk::guardian::{Step, Taken};
use nodesys_sdk::watch::Look;
use nodesys_service::listener;

use crate::output::say;

/// Serves `/metrics` until the process ends.
pub(crate) async fn serve(addr: SocketAddr) -> anyhow::Result<()> {
    let handle = nodesys_service::metrics::install()?;
    metrics::describe_gauge!("nodesys_watch_last_look_seconds", "When the watch last looked.");
    metrics::describe_gauge!("nodesys_watch_block", "Newest block of the RPC that is relied on.");
    metrics::describe_gauge!("nodesys_watch_lag_seconds", "How far that block is behind.");
    metrics::describe_gauge!("nodesys_watch_rpcs_whole", "RPCs that show a whole history.");
    metrics::describe_gauge!("nodesys_watch_posts", "Posts not known to hold before, by verdict.");
    metrics::describe_gauge!("nodesys_watch_problems", "RPCs and places that fail.");
    metrics::describe_counter!("nodesys_watch_steps_total", "The guardian's steps, by result.");
    let (listener, addr) = listener::bind(addr).await.context("--metrics")?;
    say(format!("metrics at http://{addr}/metrics"));
    let router = nodesys_service::metrics::route(handle, || {});
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            say(format!("the metrics are served no more: {error}"));
        }
    });
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts and times fit")]
pub(crate) fn record(look: &Look, taken: &[Taken]) {
    let number = |value: u64| value as f64;
    metrics::gauge!("nodesys_watch_last_look_seconds").set(number(look.now_secs));
    metrics::gauge!("nodesys_watch_block").set(number(look.block.unwrap_or_default()));
    metrics::gauge!("nodesys_watch_lag_seconds").set(number(look.lag_secs.unwrap_or_default()));
    metrics::gauge!("nodesys_watch_rpcs_whole").set(number(look.whole as u64));
    metrics::gauge!("nodesys_watch_problems").set(number(look.problems.len() as u64));
    for (verdict, label) in [
        (Verdict::Holds, "holds"),
        (Verdict::CannotTell, "cannot_tell"),
        (Verdict::DoesNotHold, "does_not_hold"),
    ] {
        let count = look.posts.iter().filter(|post| post.verdict == verdict).count();
        metrics::gauge!("nodesys_watch_posts", "verdict" => label).set(number(count as u64));
    }
    for one in taken {
        let step = match one.step {
            Step::Pause => "pause",
            Step::DisableSigner => "disable_signer",
            Step::Revoke { .. } => "revoke",
        };
        let result = if one.problem.is_some() { "failed" } else { "done" };
        metrics::counter!("nodesys_watch_steps_total", "step" => step, "result" => result)
            .increment(1);
    }
}
