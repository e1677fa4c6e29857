//! Each hour: authorisations lapse whose nodes ran no license for 30 days and were allowed none.
//!
//! Anybody may authorise nodes, as many as they like, and only a license makes one useful. The operator's wallet may
//! authorise a lapsed node again.

use std::time::Duration;

use nodesys_core::time::Timestamp;

use crate::periodic::Periodic;
use crate::state::AppState;
use crate::{db, witness};

pub(crate) const PERIOD: Duration = Duration::from_secs(3_600);
/// Time without a lease and without a right to one.
const WITHOUT_LICENSE_MILLIS: u64 = 30 * 86_400_000;

/// Ends the authorisations of nodes without a license.
pub(crate) struct Lapse {
    app: AppState,
}

impl Lapse {
    pub(crate) const fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Periodic for Lapse {
    const NAME: &'static str = "lapse";

    /// Any replica may do it, and several at once: a row lapses once.
    async fn tick(&mut self) -> anyhow::Result<()> {
        witness::vouch(&self.app).await?;
        if let Err(error) = self.app.reference.may_decide(&self.app.clock) {
            anyhow::bail!("nothing is decided: {error}");
        }
        let now = self.app.clock.now();
        let since = Timestamp::from_millis(now.millis().saturating_sub(WITHOUT_LICENSE_MILLIS));
        let lapsed = db::node::lapse(&mut *self.app.pool.acquire().await?, since, now).await?;
        if lapsed > 0 {
            tracing::info!(n = lapsed, "authorisations lapsed for want of a license");
        }
        metrics::counter!("nodesys_authorizations_lapsed_total").increment(lapsed);
        Ok(())
    }
}
