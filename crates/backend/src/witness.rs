//! Asking the witnesses of our clock: see [`crate::reference`].

use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::time::Timestamp;

use crate::db;
use crate::reference::{Verdict, Witnesses, judge};
use crate::state::App;

/// Tries to ask Postgres within the tolerance.
const TRIES: u32 = 3;

/// Judges our clock now.
pub(crate) async fn vouch(app: &App) -> anyhow::Result<()> {
    let reference = &app.reference;
    let verdict = match &reference.server {
        Some(server) => {
            let postgres = server.now();
            let witnesses = Witnesses { postgres, ..Witnesses::default() };
            judge(app.clock.now(), &witnesses, reference.tolerance_millis)
        }
        None => by_witnesses(app).await?,
    };
    tell(&verdict, reference.keep(verdict.clone(), &app.clock));
    Ok(())
}

async fn by_witnesses(app: &App) -> anyhow::Result<Verdict> {
    let tolerance = app.reference.tolerance_millis;
    // An idle development chain makes no blocks.
    let block = if app.domain.chain_id() == DEVELOPMENT_CHAIN_ID {
        None
    } else {
        app.chain.latest_block().await.ok().map(|block| Timestamp::from_secs(block.secs))
    };
    let mut conn = app.pool.acquire().await?;
    for _ in 0..TRIES {
        let (before, begun) = (app.clock.now(), app.clock.monotonic_millis());
        let seen = db::writer::clocks(&mut conn, &app.reference.own()).await?;
        let took = app.clock.monotonic_millis().saturating_sub(begun);
        if took > tolerance {
            continue;
        }
        // Postgres answered somewhere in between.
        let ours = before.plus_millis(took / 2);
        let skewed = |skew: &i64| seen.postgres.millis().checked_add_signed(*skew);
        let replicas = seen.skews.iter().filter_map(skewed).map(Timestamp::from_millis).collect();
        let witnesses = Witnesses { postgres: seen.postgres, replicas, block };
        return Ok(judge(ours, &witnesses, tolerance));
    }
    anyhow::bail!("Postgres took longer than {tolerance} ms to tell its time, {TRIES} times")
}

fn tell(verdict: &Verdict, news: bool) {
    let off = match verdict {
        Verdict::InLine { postgres_off } => postgres_off.unwrap_or_default(),
        Verdict::Out { off_millis } | Verdict::Unvouched { off_millis } => *off_millis,
    };
    let off_secs = std::time::Duration::from_millis(off).as_secs_f64();
    let in_line = matches!(verdict, Verdict::InLine { .. });
    metrics::gauge!("nodesys_clock_in_line").set(if in_line { 1.0 } else { 0.0 });
    let postgres = if in_line { off_secs } else { 0.0 };
    metrics::gauge!("nodesys_clock_postgres_off_seconds").set(postgres);
    match verdict {
        Verdict::InLine { postgres_off: Some(_) } if news => {
            tracing::error!(off_secs, "the clock of Postgres is out of line: set it right");
        }
        Verdict::InLine { postgres_off: None } if news => tracing::info!("our clock is in line"),
        Verdict::InLine { .. } => {}
        Verdict::Out { .. } if news => tracing::error!(
            off_secs,
            "our clock is out of line: this replica decides nothing and takes nothing until it is set right"
        ),
        Verdict::Unvouched { .. } if news => tracing::error!(
            off_secs,
            "all clocks are far from the newest block: leases and days are not decided until one of them \
             is right"
        ),
        Verdict::Out { .. } | Verdict::Unvouched { .. } => {}
    }
}
