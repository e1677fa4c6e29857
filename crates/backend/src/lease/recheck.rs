//! Each minute: the mirror follows the chain, then leases end that the chain no longer allows.
//!
//! It checks the operators whose rights new blocks may have changed, and all active leases in a quarter of an
//! hour, since some rights end without an event: evenly, page by page, within a number of requests a minute.
//! A page that failed is the next one to be checked. Where a collection cannot be read, none of its leases is
//! ended; the others' are checked.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::{ChainError, ownership};
use nodesys_core::Address;
use nodesys_core::license::LicenseId;
use nodesys_core::time::Timestamp;

use super::pace::{Pace, within};
use super::settle::end_denied;
use crate::chain::mirror::{Mirror, Touched};
use crate::db;
use crate::db::active_lease::OperatedLease;
use crate::db::mirror_source::{Kind, SourceRow};
use crate::periodic::Periodic;
use crate::state::AppState;

/// Leases that are read from the database, and checked, at a time.
const PAGE: usize = 5_000;

/// Follows the chain and re-checks rights that may have changed.
pub(crate) struct Recheck {
    app: AppState,
    mirror: Mirror,
    pace: Pace,
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
            pace: Pace::default(),
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
        self.tell_unread();
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
        // Of a source that is set aside nothing is decided.
        let aside: BTreeSet<Address> = {
            let mut conn = self.app.pool.acquire().await?;
            db::mirror_source::all(&mut conn).await?.iter().filter_map(aside).collect()
        };
        self.check_touched(touched, &aside).await?;
        self.check_due(touched.anybody(), &aside, now).await
    }

    /// Checks the leases that new blocks concern, and those of collections that could not be read.
    async fn check_touched(
        &mut self,
        touched: &Touched,
        aside: &BTreeSet<Address>,
    ) -> anyhow::Result<()> {
        let unread: Vec<Address> = self.unread.keys().copied().collect();
        let (licenses, operators) = (touched.licenses(), touched.operators());
        if licenses.is_empty() && operators.is_empty() && unread.is_empty() {
            return Ok(());
        }
        let mut leases = {
            let mut conn = self.app.pool.acquire().await?;
            let chain_id = self.app.domain.chain_id();
            db::active_lease::concerned(&mut conn, chain_id, &licenses, &operators, &unread).await?
        };
        leases.retain(|lease| {
            self.unread.contains_key(&lease.id.collection)
                || touched.concerns(lease.license, &lease.id, lease.operator)
        });
        let still = self.check(leases, aside).await?;
        self.unread.retain(|collection, _| {
            let still = still.contains_key(collection);
            if !still {
                tracing::info!(%collection, "rights can be read again");
            }
            still
        });
        self.note_unread(still);
        Ok(())
    }

    /// Checks the leases whose turn it is, or as many as the requests of a minute suffice for.
    async fn check_due(
        &mut self,
        all: bool,
        aside: &BTreeSet<Address>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let app = self.app.clone();
        let active = db::active_lease::count(&mut *app.pool.acquire().await?).await?;
        self.pace.count(active, now);
        if all {
            self.pace.count_all(active);
        }
        let (mut requests, mut rounded) = (app.rights_requests, false);
        while self.pace.owed() > 0 && requests > 0 {
            let most = self.pace.owed().min(PAGE);
            let mut page = {
                let mut conn = app.pool.acquire().await?;
                let (chain_id, after) = (app.domain.chain_id(), self.pace.after);
                db::active_lease::operated_after(&mut conn, chain_id, after, most).await?
            };
            let (fit, taken) = within(requests, page.iter().map(|lease| lease.id.collection));
            page.truncate(fit);
            let Some(last) = page.last().map(|lease| lease.license) else {
                // The end of a round; nothing is there twice.
                if std::mem::replace(&mut rounded, true) {
                    break;
                }
                self.pace.after = None;
                continue;
            };
            let unread = self.check(page, aside).await?;
            self.note_unread(unread);
            self.pace.checked(fit, last);
            requests = requests.saturating_sub(taken);
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge of leases")]
        metrics::gauge!("nodesys_rights_overdue_leases").set(self.pace.owed() as f64);
        Ok(())
    }

    /// Ends those of the leases that the newest block does not allow. Returns the collections that could
    /// not be read.
    async fn check(
        &self,
        mut leases: Vec<OperatedLease>,
        aside: &BTreeSet<Address>,
    ) -> anyhow::Result<BTreeMap<Address, ChainError>> {
        let app = &self.app;
        leases.retain(|lease| !aside.contains(&lease.id.collection));
        let asks: Vec<(LicenseId, Address)> =
            leases.iter().map(|lease| (lease.id, lease.operator)).collect();
        if asks.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rights = ownership::rights_each(&app.chain, &asks, BlockNumberOrTag::Latest).await?;
        // The RPC may have switched to another chain meanwhile; its answer must end nothing.
        app.chain.recheck_chain().await?;
        for (held, fact) in leases.iter().zip(&rights.facts) {
            if fact.is_none_or(|(_, right)| right.allows()) {
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
        Ok(rights.unread)
    }

    /// Adds collections that could not be read, to be checked again by the next tick. Each is told once.
    fn note_unread(&mut self, unread: BTreeMap<Address, ChainError>) {
        let now = self.app.clock.now();
        for (collection, error) in unread {
            self.unread.entry(collection).or_insert_with(|| {
                tracing::error!(%collection, %error, "rights cannot be read: its leases stay");
                now
            });
        }
    }

    /// Tells metrics and probes of them.
    fn tell_unread(&self) {
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
