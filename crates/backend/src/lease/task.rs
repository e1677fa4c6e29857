//! Twice a minute: expired leases end, and standbys take over.
//!
//! One replica at a time decides, from the union of all replicas' batches. A pending batch that
//! misses an end is refused (see [`db::lease_end`]).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use nodesys_core::ids::LicenseIndex;
use nodesys_core::time::Timestamp;

use super::decide::{Moment, counted_from};
use super::settle;
use crate::db::lock::Lock;
use crate::db::{self, active_lease, standby};
use crate::liveness::Liveness;
use crate::periodic::Periodic;
use crate::state::AppState;
use crate::witness;

/// So that a lease moves within 11 minutes of its last heartbeat.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);

/// Ends expired leases and promotes standbys.
pub(crate) struct Expiry {
    app: AppState,
}

impl Expiry {
    pub(crate) const fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Periodic for Expiry {
    const NAME: &'static str = "lease expiry";

    async fn tick(&mut self) -> anyhow::Result<()> {
        witness::vouch(&self.app).await?;
        if let Err(error) = self.app.reference.may_decide(&self.app.clock) {
            anyhow::bail!("nothing is decided: {error}");
        }
        let now = self.app.clock.now();
        let mut tx = self.app.pool.begin().await?;
        if !db::lock::take_in_transaction(&mut tx, Lock::Expiry).await? {
            return Ok(());
        }
        let moment = Moment::new(now, &Liveness::until(&mut tx, now).await?);
        {
            let mut conn = self.app.pool.acquire().await?;
            self.app.live.fold.follow(&mut conn, None, now).await?;
            standby::forget(&mut conn, moment.forgotten).await?;
        }
        let waited: HashMap<LicenseIndex, Timestamp> =
            standby::waited_for(&mut tx, moment.forgotten).await?.into_iter().collect();
        let mut due = active_lease::unleased(&mut tx, waited.keys().copied()).await?;
        due.extend(active_lease::beyond_listing(&mut tx, now.day()).await?);
        for lease in active_lease::granted_before(&mut tx, moment.overdue).await? {
            let renewed = self.app.live.fold.read(|fold| fold.renewed(lease.license));
            let since = waited.get(&lease.license).copied();
            if counted_from(renewed, lease.granted, since) < moment.overdue {
                due.insert(lease.license);
            }
        }
        let failed = self.settle(&due).await;
        tx.commit().await?;
        failed
    }
}

impl Expiry {
    /// Settles each license; a failure does not stop the others.
    async fn settle(&self, due: &BTreeSet<LicenseIndex>) -> anyhow::Result<()> {
        let mut failed = Ok(());
        for idx in due {
            let license = {
                let mut conn = self.app.pool.acquire().await?;
                db::license::by_index(&mut conn, *idx).await?
            };
            if let Err(error) = settle::settle_by_time(&self.app, &license).await {
                failed = Err(anyhow::anyhow!("license {}: {error:?}", license.id));
            }
        }
        failed
    }
}
