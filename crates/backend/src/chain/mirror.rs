//! The mirror: follows final blocks of the chain into `project`, `collection`, `license`,
//! `license_event`, `claim` and the commits' state.
//!
//! Each source (the registry, a distributor, a collection, the delegate registry) has a cursor of its own.
//! A page of blocks is read of all sources at the same place at once, and is one transaction: a crash repeats
//! at most a page, and a page applied twice changes nothing. A cursor moves past a page that was vouched for:
//! by a majority of several RPCs, or, with one, by a later reading that gives the same. A source that cannot be
//! read is set aside with its reason, tried again by itself, and catches up from where it was. Only final
//! blocks are read, so nothing is undone; a chain that undoes them stops the mirror (see [`rewind`]).

mod apply;
mod check;
mod place;
mod read;
mod rewind;
mod touched;
mod turn;
mod vouch;

use alloy::eips::BlockNumberOrTag;
use anyhow::{Context, bail};
use nodesys_chain::{BlockRef, Provider};
use nodesys_core::time::doubled;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use crate::db;
use crate::db::lock::Lock;
use crate::db::mirror_source::{self, SourceRow};
use crate::state::App;
use check::Rounds;
pub(crate) use check::rescan;
pub(crate) use place::Place;
pub(crate) use rewind::rewind;
pub(crate) use touched::Touched;
use turn::{Run, Turn};
use vouch::Vouching;

/// The first wait of a source that is set aside; it doubles with each failure.
const FIRST_WAIT_MILLIS: u64 = 60_000;
/// The longest.
const LONGEST_WAIT_MILLIS: u64 = 3_600_000;

/// A replica's mirror, with what it remembers from run to run.
#[derive(Default)]
pub(crate) struct Mirror {
    vouching: Vouching,
    rounds: Rounds,
}

impl Mirror {
    /// Applies all new final blocks, page by page, and checks a page of old ones; `touched` collects their
    /// changes, even when a later page fails.
    pub(crate) async fn follow(&mut self, app: &App, touched: &mut Touched) -> anyhow::Result<()> {
        // Whichever replica has read it: an RPC that does not have it yet decides nothing.
        if let Some(known) = mirror_source::highest(&mut *app.pool.acquire().await?).await? {
            app.chain.known_final(known);
        }
        let final_block = app.chain.finalized_block(app.final_depth).await?;
        let mut run = Run::new(final_block.number);
        while self.page(app, &mut run, touched).await? {}
        self.rounds.next(app, touched).await?;
        report(app).await
    }

    /// Reads one page; true if there may be more for this replica to do.
    async fn page(
        &mut self,
        app: &App,
        run: &mut Run,
        touched: &mut Touched,
    ) -> anyhow::Result<bool> {
        let mut tx = app.pool.begin().await?;
        if !db::lock::take_in_transaction(&mut tx, Lock::Mirror).await? {
            return Ok(false);
        }
        let chain_id = app.domain.chain_id();
        if let Some(other) = db::cursor::chain_id(&mut tx).await?.filter(|id| *id != chain_id) {
            bail!("the database mirrors chain {other}: use another database");
        }
        mirror_source::ensure(&mut tx, app.domain.verifying_contract(), app.first_block).await?;
        let sources = mirror_source::all(&mut tx).await?;
        if let Some(newest) = sources.iter().filter_map(|source| source.cursor).max() {
            still_there(app, run, newest).await?;
        }
        let now = app.clock.now();
        let again = self.vouching.due(now, app.vouch_after_secs).map(|seen| seen.turn.clone());
        let turn = match &again {
            Some(turn) => turn.clone(),
            None => match run.next(&self.vouching.as_read(&sources), now) {
                Some(turn) => turn,
                None => {
                    // A transaction that is only dropped keeps the lock for a moment.
                    tx.rollback().await?;
                    return Ok(false);
                }
            },
        };
        for cursor in turn.sources.iter().filter_map(|source| source.cursor) {
            still_there(app, run, cursor).await?;
        }
        let last = block(&app.chain, turn.to).await?;
        let collections: Vec<Address> =
            db::project::collections(&mut tx).await?.into_iter().collect();
        let reading = read::read(&app.chain, &turn, &collections).await?;
        apply::apply(&Place::of(app), &mut tx, &turn, &reading, touched).await?;
        let digests = vouch::digests(&turn, &reading);
        // Several RPCs have vouched for it by answering alike.
        let alone = app.chain.sources() == 1 && app.vouch_after_secs > 0;
        let mut anew = Vec::new();
        for source in &turn.sources {
            let row = sources.iter().find(|row| row.key() == source.key());
            let passed = |row: &SourceRow| row.cursor.is_some_and(|(block, _)| block >= turn.to);
            if let Some(reason) = reading.failed.get(&source.address) {
                set_aside(app, &mut tx, row.unwrap_or(source), reason).await?;
                anew.push(source.clone());
                continue;
            }
            if row.is_some_and(|row| row.set_aside.is_some()) {
                mirror_source::readable(&mut tx, source).await?;
                tracing::info!(source = source.name(), "can be read again");
            }
            if again.is_some() && !self.vouching.same(source, (turn.to, last.hash), &digests) {
                differs(source, &turn);
                anew.push(source.clone());
            } else if (again.is_some() || !alone) && !row.is_some_and(passed) {
                mirror_source::move_to(&mut tx, source, turn.to, last.hash).await?;
            }
        }
        db::cursor::follow(&mut tx, chain_id, (turn.to, last.hash)).await?;
        tx.commit().await?;
        app.chain.known_final(turn.to);
        run.has_passed((turn.to, last.hash));
        if again.is_some() {
            self.vouching.done();
        } else if alone {
            self.vouching.saw(turn, last.hash, digests, now);
        }
        for source in &anew {
            self.vouching.begin_anew(source);
        }
        Ok(true)
    }
}

/// Tells that two readings of the same blocks differ. The first one missed something, or this one does.
fn differs(source: &SourceRow, turn: &Turn) {
    metrics::counter!("nodesys_mirror_readings_differ_total").increment(1);
    tracing::error!(
        source = source.name(),
        from = turn.from,
        to = turn.to,
        "two readings of the same final blocks differ: the RPC loses logs; nothing of either is dropped, and \
         the blocks are read again until two readings agree. Give a second --rpc"
    );
}

/// Keeps a source's place, and the others going.
async fn set_aside(
    app: &App,
    conn: &mut PgConnection,
    source: &SourceRow,
    reason: &str,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let wait = doubled(FIRST_WAIT_MILLIS, source.failures, LONGEST_WAIT_MILLIS);
    let next_try = now.plus_millis(wait);
    mirror_source::set_aside(conn, source, reason, now, next_try).await?;
    if source.set_aside.is_none() {
        metrics::counter!("nodesys_mirror_sources_set_aside_total").increment(1);
        tracing::error!(
            source = source.name(),
            from = source.next_block(),
            reason,
            "cannot be read and is set aside; it is tried again by itself, and days of its project wait"
        );
    }
    Ok(())
}

/// A final block.
async fn block(chain: &Provider, number: u64) -> anyhow::Result<BlockRef> {
    let found = chain.block(BlockNumberOrTag::Number(number)).await?;
    found.with_context(|| format!("block {number} is final but cannot be read"))
}

/// Fails unless a block that was final is found on the RPC's chain.
async fn still_there(app: &App, run: &mut Run, cursor: (u64, B256)) -> anyhow::Result<()> {
    let (number, expected) = cursor;
    if run.passed(cursor) {
        return Ok(());
    }
    match app.chain.block(BlockNumberOrTag::Number(number)).await? {
        Some(block) if block.hash == expected => app.health.stopped(None),
        Some(block) => {
            let why = format!(
                "block {number} was final with hash {expected}, but the RPC has {}: it follows another \
                 chain, or the chain has replaced final blocks. Where your RPCs all have it so, stop the \
                 replicas and run `nodesys-backend mirror rewind --to BLOCK` with the last block that both \
                 have (docs/mirror.md)",
                block.hash
            );
            app.health.stopped(Some(why.clone()));
            metrics::gauge!("nodesys_mirror_stopped").set(1.0);
            bail!(why);
        }
        None => bail!("the RPC does not have block {number}, which was final: it is behind"),
    }
    metrics::gauge!("nodesys_mirror_stopped").set(0.0);
    run.has_passed(cursor);
    Ok(())
}

/// Shows what every replica knows of the sources, whichever follows them.
async fn report(app: &App) -> anyhow::Result<()> {
    let sources = mirror_source::all(&mut *app.pool.acquire().await?).await?;
    let aside: Vec<String> = sources
        .iter()
        .filter_map(|source| Some((source.name(), source.set_aside.as_ref()?.since)))
        .map(|(name, since)| format!("{name} since {since}"))
        .collect();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge of few things, and of a block's number"
    )]
    {
        metrics::gauge!("nodesys_mirror_stopped").set(0.0);
        metrics::gauge!("nodesys_mirror_sources_set_aside").set(aside.len() as f64);
        let followed = sources.iter().filter(|source| source.set_aside.is_none());
        let lowest = followed.map(|source| source.cursor.map_or(0, |(block, _)| block)).min();
        metrics::gauge!("nodesys_mirror_block").set(lowest.unwrap_or_default() as f64);
    }
    app.health.set_aside(aside);
    Ok(())
}
