//! Reading what was read before: by itself, a page each run, and on demand. What is missing is put in; what
//! the chain does not show is told, and stays: an RPC that has lost logs shows nothing either.

use anyhow::{Context, bail};
use nodesys_chain::logs::license_event_of;
use nodesys_core::Address;
use sqlx::{PgConnection, PgPool};

use super::apply::apply;
use super::place::Place;
use super::read::read;
use super::touched::Touched;
use super::turn::{PAGE, Turn};
use crate::db;
use crate::db::lock::Lock;
use crate::db::mirror_source::{self, Kind, SourceRow};
use crate::state::App;

/// What a second look found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Facts that the mirror had missed, and has now.
    pub(crate) missing: u64,
    /// License events that the mirror has and the RPC does not show.
    pub(crate) surplus: u64,
}

/// Rounds through all that was read, from the newest page to the first, without end.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The next page ends here; at the newest one where there is none.
    to: Option<u64>,
}

impl Rounds {
    /// Checks the next page.
    pub(super) async fn next(&mut self, app: &App, touched: &mut Touched) -> anyhow::Result<()> {
        let mut tx = app.pool.begin().await?;
        if !db::lock::take_in_transaction(&mut tx, Lock::Mirror).await? {
            return Ok(());
        }
        let place = Place::of(app);
        let sources = mirror_source::all(&mut tx).await?;
        let Some(newest) = furthest(&sources) else { return Ok(()) };
        let to = self.to.filter(|to| *to <= newest).unwrap_or(newest);
        let from = to.saturating_sub(PAGE - 1).max(place.first_block);
        self.to = (from > place.first_block).then(|| from - 1);
        match page(&place, &mut tx, &sources, (from, to), touched).await {
            Ok(found) => {
                tx.commit().await?;
                tell(found, from, to);
            }
            // Old logs that an RPC has pruned say nothing, and what is new has been followed.
            Err(error) => {
                tx.rollback().await?;
                metrics::counter!("nodesys_mirror_checks_failed_total").increment(1);
                tracing::debug!(from, to, %error, "a page of old blocks cannot be checked");
            }
        }
        Ok(())
    }
}

fn tell(found: Found, from: u64, to: u64) {
    metrics::counter!("nodesys_mirror_repaired_total").increment(found.missing);
    metrics::counter!("nodesys_mirror_surplus_total").increment(found.surplus);
    if found.missing > 0 {
        tracing::error!(
            from,
            to,
            missing = found.missing,
            "the mirror had missed facts of final blocks, and has them now; days that were built without \
             them stay as they are (docs/mirror.md)"
        );
    }
    if found.surplus > 0 {
        tracing::error!(
            from,
            to,
            surplus = found.surplus,
            "the RPC does not show events that the mirror has: it has lost old logs, or the chain has \
             replaced blocks (docs/mirror.md)"
        );
    }
}

fn furthest(sources: &[SourceRow]) -> Option<u64> {
    sources.iter().filter_map(|source| source.cursor).map(|(block, _)| block).max()
}

/// Reads a page again, of the sources that have passed it.
async fn page(
    place: &Place,
    conn: &mut PgConnection,
    sources: &[SourceRow],
    (from, to): (u64, u64),
    touched: &mut Touched,
) -> anyhow::Result<Found> {
    let passed = |source: &&SourceRow| {
        source.set_aside.is_none() && source.cursor.is_some_and(|(block, _)| block >= to)
    };
    let sources: Vec<SourceRow> = sources.iter().filter(passed).cloned().collect();
    let turn = Turn { sources, from, to };
    let known: Vec<Address> = db::project::collections(conn).await?.into_iter().collect();
    let reading = read(&place.chain, &turn, &known).await?;
    let before = mirror_source::facts(conn, from, to).await?;
    let mut changed = Touched::default();
    apply(place, conn, &turn, &reading, &mut changed).await?;
    let missing = mirror_source::facts(conn, from, to).await?.saturating_sub(before);
    if missing > 0 {
        touched.extend(changed);
    }
    let collections: Vec<Address> = turn
        .sources
        .iter()
        .filter(|source| source.kind == Kind::Collection)
        .filter(|source| !reading.failed.contains_key(&source.address))
        .map(|source| source.address)
        .collect();
    let its = |log: &&alloy::rpc::types::Log| collections.contains(&log.address());
    let shown = reading.logs.iter().filter(its).filter_map(license_event_of).count() as u64;
    let kept = mirror_source::license_events(conn, &collections, from, to).await?;
    Ok(Found { missing, surplus: kept.saturating_sub(shown) })
}

/// Reads again all that was read from a block on, of one source or of all. `told` is called with each page's
/// last block.
pub(crate) async fn rescan(
    place: &Place,
    pool: &PgPool,
    from: Option<u64>,
    only: Option<Address>,
    told: impl Fn(u64),
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let mut from = from.unwrap_or(place.first_block).max(place.first_block);
    loop {
        let mut tx = pool.begin().await?;
        // A replica may follow the chain just now, for a page.
        db::lock::wait_in_transaction(&mut tx, Lock::Mirror).await?;
        mirror_source::ensure(&mut tx, place.registry, place.first_block).await?;
        let mut sources = mirror_source::all(&mut tx).await?;
        if let Some(only) = only {
            sources.retain(|source| source.address == only);
            if sources.is_empty() {
                bail!(
                    "the mirror follows no {only}: `select kind, address from mirror_source` lists all"
                );
            }
        }
        let end = furthest(&sources).context("the mirror has read nothing yet")?;
        if from > end {
            return Ok(found);
        }
        // A source that is behind has a page's end of its own.
        let ends = sources.iter().filter_map(|source| Some(source.cursor?.0));
        let next_end = ends.filter(|end| *end >= from).min().unwrap_or(end);
        let to = (from + PAGE - 1).min(next_end);
        let more = page(place, &mut tx, &sources, (from, to), &mut Touched::default()).await?;
        tx.commit().await?;
        found.missing += more.missing;
        found.surplus += more.surplus;
        told(to);
        from = to + 1;
    }
}
