//! Each minute: the mirror follows the chain, then leases end that the chain no longer allows.
//!
//! It checks the operators whose rights new blocks may have changed, and all active leases from
//! time to time, since some rights end without an event. Where a collection cannot be read, none of its
//! leases is ended; the others' are checked.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::{ChainError, ownership};
use nodesys_core::Address;
use nodesys_core::license::LicenseId;
use nodesys_core::time::Timestamp;

use super::settle::end_denied;
use crate::chain::mirror::{Mirror, Touched};
use crate::db;
use crate::db::mirror_source::{Kind, SourceRow};
use crate::periodic::Periodic;
use crate::state::AppState;

/// How often all active leases are checked against the chain.
const ALL_MILLIS: u64 = 15 * 60_000;

/// Follows the chain and re-checks rights that may have changed.
pub(crate) struct Recheck {
    app: AppState,
    mirror: Mirror,
    /// Time of the last check of all leases.
    all_checked: Option<Timestamp>,
    /// Changes that the last, failed tick saw but did not check.
    touched: Touched,
    /// Collections whose rights could not be read, each since when.
    unread: BTreeMap<Address, Timestamp>,
}

impl Recheck {
    pub(crate) fn new(app: AppState) -> Self {
        let mirror = Mirror::default();
        Self {
            app,
            mirror,
            all_checked: None,
            touched: Touched::default(),
            unread: BTreeMap::new(),
        }
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
        let followed = self.mirror.follow(&self.app, touched).await;
        let now = self.app.clock.now();
        self.app.health.followed(followed.is_ok(), now);
        followed?;
        let all_due = self.all_checked.is_none_or(|at| now.millis_since(at) >= ALL_MILLIS);
        self.check(if all_due { None } else { Some(touched) }).await?;
        if all_due {
            self.all_checked = Some(now);
        }
        Ok(())
    }

    /// Ends active leases that the newest block does not allow, among the touched ones or all.
    async fn check(&mut self, only: Option<&Touched>) -> anyhow::Result<()> {
        let app = self.app.clone();
        if only.is_some_and(Touched::is_empty) && self.unread.is_empty() {
            return Ok(());
        }
        let mut active = {
            let mut conn = app.pool.acquire().await?;
            let aside: BTreeSet<Address> =
                db::mirror_source::all(&mut conn).await?.iter().filter_map(aside).collect();
            let mut active = db::active_lease::operated(&mut conn, app.domain.chain_id()).await?;
            active.retain(|lease| !aside.contains(&lease.id.collection));
            active
        };
        active.retain(|lease| {
            self.unread.contains_key(&lease.id.collection)
                || only.is_none_or(|only| only.concerns(lease.license, &lease.id, lease.operator))
        });
        let asks: Vec<(LicenseId, Address)> =
            active.iter().map(|lease| (lease.id, lease.operator)).collect();
        if asks.is_empty() {
            self.note_unread(BTreeMap::new());
            return Ok(());
        }
        let rights = ownership::rights_each(&app.chain, &asks, BlockNumberOrTag::Latest).await?;
        // The RPC may have switched to another chain meanwhile; its answer must end nothing.
        app.chain.recheck_chain().await?;
        self.note_unread(rights.unread);
        for (held, fact) in active.iter().zip(&rights.facts) {
            if fact.is_none_or(|(_, right)| right.allows()) {
                continue;
            }
            let license = {
                let mut conn = app.pool.acquire().await?;
                db::license::by_index(&mut conn, held.license).await?
            };
            end_denied(&app, &license, held.operator)
                .await
                .map_err(|error| anyhow::anyhow!("license {}: {error:?}", held.id))?;
        }
        Ok(())
    }

    /// Keeps which collections could not be read, to be checked again by the next tick. Each is told once.
    fn note_unread(&mut self, unread: BTreeMap<Address, ChainError>) {
        let now = self.app.clock.now();
        self.unread.retain(|collection, _| {
            let still = unread.contains_key(collection);
            if !still {
                tracing::info!(%collection, "rights can be read again");
            }
            still
        });
        for (collection, error) in unread {
            self.unread.entry(collection).or_insert_with(|| {
                tracing::error!(%collection, %error, "rights cannot be read: its leases stay");
                now
            });
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge of few things")]
        metrics::gauge!("nodesys_rights_unread_collections").set(self.unread.len() as f64);
        let words = self.unread.iter().map(|(it, since)| format!("collection {it} since {since}"));
        self.app.health.unread(words.collect());
    }
}

/// The collection of a source that is set aside.
fn aside(source: &SourceRow) -> Option<Address> {
    let collection = source.kind == Kind::Collection && source.set_aside.is_some();
    collection.then_some(source.address)
}
