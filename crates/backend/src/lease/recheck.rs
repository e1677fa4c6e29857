//! Each minute: the mirror follows the chain, then leases end that the chain no longer allows.
//!
//! It checks the operators whose rights new blocks may have changed, and all active leases from
//! time to time, since some rights end without an event. If the chain cannot be read, no lease is
//! ended.

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::ownership;
use nodesys_core::Address;
use nodesys_core::license::LicenseId;
use nodesys_core::time::Timestamp;

use super::settle::end_denied;
use crate::chain::mirror::{self, Touched};
use crate::db;
use crate::periodic::Periodic;
use crate::state::AppState;

/// How often all active leases are checked against the chain.
const ALL_MILLIS: u64 = 15 * 60_000;

/// Follows the chain and re-checks rights that may have changed.
pub(crate) struct Recheck {
    app: AppState,
    /// Time of the last check of all leases.
    all_checked: Option<Timestamp>,
    /// Changes that the last, failed tick saw but did not check.
    touched: Touched,
}

impl Recheck {
    pub(crate) fn new(app: AppState) -> Self {
        Self { app, all_checked: None, touched: Touched::default() }
    }
}

impl Periodic for Recheck {
    const NAME: &'static str = "mirror";

    async fn tick(&mut self) -> anyhow::Result<()> {
        let mut touched = std::mem::take(&mut self.touched);
        let done = self.follow(&mut touched).await;
        if done.is_err() {
            // Not checked yet: the pages they come from are not read again.
            self.touched = touched;
        }
        done
    }
}

impl Recheck {
    async fn follow(&mut self, touched: &mut Touched) -> anyhow::Result<()> {
        let followed = mirror::follow(&self.app, touched).await;
        self.app.note_followed(followed.is_ok());
        followed?;
        let now = self.app.clock.now();
        let all_due = self.all_checked.is_none_or(|at| now.millis_since(at) >= ALL_MILLIS);
        self.check(if all_due { None } else { Some(touched) }).await?;
        if all_due {
            self.all_checked = Some(now);
        }
        Ok(())
    }

    /// Ends active leases that the newest block does not allow, among the touched ones or all.
    async fn check(&self, only: Option<&Touched>) -> anyhow::Result<()> {
        let app = &self.app;
        if only.is_some_and(Touched::is_empty) {
            return Ok(());
        }
        let mut active = {
            let mut conn = app.pool.acquire().await?;
            db::active_lease::operated(&mut conn, app.domain.chain_id()).await?
        };
        active.retain(|lease| {
            only.is_none_or(|only| only.concerns(lease.license, &lease.id, lease.operator))
        });
        let asks: Vec<(LicenseId, Address)> =
            active.iter().map(|lease| (lease.id, lease.operator)).collect();
        if asks.is_empty() {
            return Ok(());
        }
        let rights = ownership::rights_of(&app.chain, &asks, BlockNumberOrTag::Latest).await?;
        // The RPC may have switched to another chain meanwhile; its answer must end nothing.
        app.chain.recheck_chain().await?;
        for (held, (_, right)) in active.iter().zip(&rights.facts) {
            if right.allows() {
                continue;
            }
            let license = {
                let mut conn = app.pool.acquire().await?;
                db::license::by_index(&mut conn, held.license).await?
            };
            end_denied(app, &license, held.operator)
                .await
                .map_err(|error| anyhow::anyhow!("license {}: {error:?}", held.id))?;
        }
        Ok(())
    }
}
