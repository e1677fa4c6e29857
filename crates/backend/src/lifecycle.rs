//! One lifecycle: a token that asks all tasks to stop, and a tracker that waits for their end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time for tasks to end by themselves.
const SOFT_STOP: Duration = Duration::from_secs(20);

/// The cancellation token and the tasks that obey it.
#[derive(Clone, Default)]
pub(crate) struct Lifecycle {
    /// Stop: no new requests, no new background work.
    pub(crate) stop: CancellationToken,
    /// All open requests are answered: the tasks that answered them may end.
    pub(crate) served: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Lifecycle {
    /// Runs a task to its end. A panic in it stops the whole program: a half-alive backend is
    /// worse than one that restarts.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            if let Err(error) = tokio::spawn(task).await {
                tracing::error!(name, %error, "a task panicked; the program stops");
                stop.cancel();
            }
        });
    }

    /// Returns [`SOFT_STOP`] after the stop.
    pub(crate) async fn overdue(&self) {
        self.stop.cancelled().await;
        let _ = tokio::time::timeout(SOFT_STOP, std::future::pending::<()>()).await;
    }

    /// Once requests are served: waits for all tasks, at most [`SOFT_STOP`]; true when they all
    /// ended.
    pub(crate) async fn finish(&self) -> bool {
        self.served.cancel();
        self.tasks.close();
        tokio::time::timeout(SOFT_STOP, self.tasks.wait()).await.is_ok()
    }
}
