//! Waiting in real time, as chains and their RPCs live in it.

use std::time::Duration;

/// Between two questions to a chain, whose blocks come in real time.
#[expect(clippy::disallowed_methods, reason = "an RPC is asked again in real time")]
pub(crate) async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}
