//! The mirror: follows final blocks of the chain into `project`, `collection`, `license`,
//! `license_event`, `claim` and the commits' state.
//!
//! Each source (the registry, a distributor, a collection, the delegate registry) has a cursor of its own.
//! A page of blocks is read of all sources at the same place at once, and is one transaction that also moves
//! their cursors: a crash repeats at most a page, and a page applied twice changes nothing. A source that
//! cannot be read is set aside with its reason, tried again by itself, and catches up from where it was. Only
//! final blocks are read, so nothing is undone.

mod apply;
mod read;
mod touched;
mod turn;

use alloy::eips::BlockNumberOrTag;
use anyhow::{Context, bail};
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use crate::db;
use crate::db::lock::Lock;
use crate::db::mirror_source::{self, SourceRow};
use crate::state::App;
pub(crate) use touched::Touched;
use turn::Run;

/// The first wait of a source that is set aside; it doubles with each failure.
const FIRST_WAIT_MILLIS: u64 = 60_000;
/// The longest.
const LONGEST_WAIT_MILLIS: u64 = 3_600_000;

/// Applies all new final blocks, page by page; `touched` collects their changes, even when a later
/// page fails.
pub(crate) async fn follow(app: &App, touched: &mut Touched) -> anyhow::Result<()> {
    // Whichever replica has read it: an RPC that does not have it yet decides nothing.
    if let Some(known) = mirror_source::highest(&mut *app.pool.acquire().await?).await? {
        app.chain.known_final(known);
    }
    let final_block = app.chain.finalized_block(app.final_depth).await?;
    let mut run = Run::new(final_block.number);
    while page(app, &mut run, touched).await? {}
    report(app).await
}

/// Applies one page; true if there may be more for this replica to do.
async fn page(app: &App, run: &mut Run, touched: &mut Touched) -> anyhow::Result<bool> {
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
    let Some(turn) = run.next(&sources, app.clock.now()) else { return Ok(false) };
    for cursor in turn.sources.iter().filter_map(|source| source.cursor) {
        still_there(app, run, cursor).await?;
    }
    let last = app
        .chain
        .block(BlockNumberOrTag::Number(turn.to))
        .await?
        .with_context(|| format!("block {} is final but cannot be read", turn.to))?;
    let collections: Vec<Address> = db::project::collections(&mut tx).await?.into_iter().collect();
    let reading = read::read(app, &turn, &collections).await?;
    apply::apply(app, &mut tx, &turn, &reading, touched).await?;
    for source in &turn.sources {
        match reading.failed.get(&source.address) {
            Some(reason) => set_aside(app, &mut tx, source, reason).await?,
            None => {
                mirror_source::move_to(&mut tx, source, turn.to, last.hash).await?;
                if source.set_aside.is_some() {
                    tracing::info!(source = source.name(), "can be read again");
                }
            }
        }
    }
    db::cursor::follow(&mut tx, chain_id).await?;
    tx.commit().await?;
    app.chain.known_final(turn.to);
    run.has_passed((turn.to, last.hash));
    Ok(true)
}

/// Keeps a source's place, and the others going.
async fn set_aside(
    app: &App,
    conn: &mut PgConnection,
    source: &SourceRow,
    reason: &str,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let wait = FIRST_WAIT_MILLIS << source.failures.min(6);
    let next_try = now.plus_millis(wait.min(LONGEST_WAIT_MILLIS));
    mirror_source::set_aside(conn, source, reason, now, next_try).await?;
    if source.set_aside.is_none() {
        metrics::counter!("mirror_sources_set_aside_total").increment(1);
        tracing::error!(
            source = source.name(),
            from = source.next_block(),
            reason,
            "cannot be read and is set aside; it is tried again by itself, and days of its project wait"
        );
    }
    Ok(())
}

/// Fails unless a block that was final is found on the RPC's chain.
async fn still_there(app: &App, run: &mut Run, cursor: (u64, B256)) -> anyhow::Result<()> {
    let (number, expected) = cursor;
    if run.passed(cursor) {
        return Ok(());
    }
    match app.chain.block(BlockNumberOrTag::Number(number)).await? {
        Some(block) if block.hash == expected => {}
        Some(block) => bail!(
            "block {number} was final with hash {expected}, but the RPC has {}: it follows \
             another chain",
            block.hash
        ),
        None => bail!("the RPC does not have block {number}, which was final: it is behind"),
    }
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
        metrics::gauge!("mirror_sources_set_aside").set(aside.len() as f64);
        let followed = sources.iter().filter(|source| source.set_aside.is_none());
        let lowest = followed.map(|source| source.cursor.map_or(0, |(block, _)| block)).min();
        metrics::gauge!("mirror_block").set(lowest.unwrap_or_default() as f64);
    }
    app.health.set_aside(aside);
    Ok(())
}
