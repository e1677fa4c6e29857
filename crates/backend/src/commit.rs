//! Commits: a signed `RewardCommit` is taken when it is, field for field, what the backend computes
//! from its own uptime, the chain's holders and the uploaded points.
//!
//! Commit, bundle files, tree and outbox row are stored in one transaction. The same commit again
//! gets the same answer.

mod db;
mod http;

use alloy::eips::BlockNumberOrTag;
use anyhow::Context;
use nodesys_contracts::bindings::RewardDistributor::Posted;
use nodesys_contracts::logs::Logged;
use nodesys_contracts::project::{self as chain, DistributorState};
use nodesys_contracts::wallet_signature::{self, WalletSignatureError};
use nodesys_core::api::{CommitRequest, CommitView};
use nodesys_core::bundle::{
    Before, BundleError, DayBundle, DayInput, ProjectInfo, Snapshot, build_day,
};
use nodesys_core::files::{HolderRow, UptimeRow, parse_file};
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::{Domain, Message, RewardCommit, SignedCommit};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::points::{self, Upload};
use crate::project::{self, ProjectRef, ProjectRow};
use crate::{license, uptime};

pub(crate) use db::{Stored, accepted, newest, newest_active, of_project, set_posted, set_void};
pub(crate) use http::*;

/// The distributor now.
pub(crate) async fn distributor(app: &App, project: Address) -> ApiResult<DistributorState> {
    let state = chain::state_of(&app.chain, project, BlockNumberOrTag::Latest).await?;
    app.chain.recheck_chain().await?;
    Ok(state)
}

/// Succeeds when the distributor's present reward signer signed the digest.
pub(crate) async fn verify_signer(
    app: &App,
    project: Address,
    digest: B256,
    signature: &WalletSignature,
) -> ApiResult<()> {
    let signer = distributor(app, project).await?.signer;
    if signer.is_zero() {
        return Err(ApiError::bad_signature("the project's reward signer is disabled on chain"));
    }
    let verified = wallet_signature::verify(&app.chain, signer, digest, signature).await;
    // On another chain the addresses may be another's contracts.
    app.chain.recheck_chain().await?;
    verified.map_err(|error| match error {
        WalletSignatureError::Signature(error) => {
            ApiError::bad_signature(format!("reward signer: {error}"))
        }
        WalletSignatureError::Chain(error) => error.into(),
    })
}

/// The day as the backend computes it from an upload. No connection to the database is held while
/// the chain is asked.
pub(crate) async fn compute_day(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    upload: &Upload,
) -> ApiResult<DayBundle> {
    let mut conn = app.pool.acquire().await?;
    let (csv, closed) =
        uptime::closed(&mut conn, project.project, day).await?.ok_or_else(|| {
            ApiError::day_open(format!("{day} is not closed, or {} did not exist", project.name))
        })?;
    let before = before(&mut conn, project, day).await?;
    drop(conn);
    let state = distributor(app, project.project).await?;
    let snapshot = app
        .chain
        .first_block_at_or_after(day.end().secs(), app.final_depth)
        .await?
        .ok_or_else(|| {
            ApiError::day_open(format!("no block past the end of {day} is final yet: try later"))
        })?;
    let uptime: Vec<UptimeRow> = parse_file(&csv).map_err(anyhow::Error::from)?;
    let mut conn = app.pool.acquire().await?;
    let holders = holders(&mut conn, &uptime, snapshot.number, snapshot.secs).await?;
    drop(conn);
    let input = DayInput {
        project: ProjectInfo {
            chain_id: app.domain.chain_id(),
            registry: app.domain.verifying_contract(),
            distributor: project.project,
            name: project.name.clone(),
        },
        day,
        revision: state.revision,
        daily_quota: state.daily_quota,
        terms: upload.terms.clone(),
        snapshot: Snapshot {
            block_number: snapshot.number,
            block_hash: snapshot.hash,
            block_secs: snapshot.secs,
        },
        closed,
        uptime,
        holders,
        points: upload.points.clone(),
        before,
    };
    // A million licenses take a while, in which other requests go on.
    let building = tokio::task::spawn_blocking(move || {
        build_day(&input).map_err(|error| match error {
            BundleError::UptimeHash { .. } => ApiError::from(anyhow::Error::from(error)),
            error => points::problem(&error, &input),
        })
    });
    building.await.context("building a day")?
}

/// What the day builds on: nothing on the project's first day, else the day before's commit.
async fn before(conn: &mut PgConnection, project: &ProjectRow, day: UtcDay) -> ApiResult<Before> {
    if day == project.first_day {
        return Ok(Before::default());
    }
    let previous = day.previous().filter(|previous| *previous >= project.first_day);
    let previous = previous.ok_or_else(|| {
        ApiError::out_of_order(format!("{} began on {}", project.name, project.first_day))
    })?;
    db::before(conn, project.project, previous).await?.ok_or_else(|| {
        ApiError::out_of_order(format!("{previous} has no commit yet, and days follow one another"))
    })
}

/// Holder and renter of each license of the day, once the mirror has reached the snapshot block.
async fn holders(
    conn: &mut PgConnection,
    uptime: &[UptimeRow],
    block: u64,
    block_secs: u64,
) -> ApiResult<Vec<HolderRow>> {
    if db::mirrored_block(conn).await?.is_none_or(|mirrored| mirrored < block) {
        return Err(ApiError::chain_unavailable(format!(
            "the license mirror has not reached block {block} yet: try again in a minute"
        )));
    }
    let licenses: Vec<LicenseIndex> = uptime.iter().map(|row| row.license).collect();
    let holders = license::holders(conn, &licenses, block).await?;
    let row = |row: &UptimeRow| {
        let facts = holders.at(row.collection, row.token_id, block_secs);
        HolderRow {
            license: row.license,
            holder: facts.holder.unwrap_or_default(),
            renter: facts.rental.map(|rental| rental.renter).unwrap_or_default(),
        }
    };
    Ok(uptime.iter().map(row).collect())
}

/// Verifies a commit and stores it with all that belongs to it.
pub(crate) async fn accept(app: &App, request: &CommitRequest) -> ApiResult<CommitView> {
    let given = &request.signed.commit;
    let day = UtcDay::from_epoch(given.epoch)
        .filter(|day| i32::try_from(day.0).is_ok())
        .ok_or_else(|| ApiError::bad_request(format!("epoch {} is no day", given.epoch)))?;
    let project = project::find(app, &ProjectRef::Address(request.project)).await?;
    if let Some(known) = known(app, given.struct_hash()).await? {
        return view(app, &known).await;
    }
    let taken = take_new(app, &project, day, &request.signed).await;
    // Somebody else may have handed in the same commit a moment ago: the same answer then.
    let stored = match (known(app, given.struct_hash()).await?, taken) {
        (Some(stored), _) => stored,
        (None, Err(refusal)) => return Err(refusal),
        (None, Ok(())) => return Err(anyhow::anyhow!("a stored commit is gone").into()),
    };
    view(app, &stored).await
}

async fn take_new(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    signed: &SignedCommit,
) -> ApiResult<()> {
    let given = &signed.commit;
    let domain = Domain::new(app.domain.chain_id(), project.project);
    verify_signer(app, project.project, given.digest(&domain), &signed.signature).await?;
    check_free(app, project, day, given).await?;
    let upload = points::stored(app, project, day).await?.ok_or_else(|| {
        ApiError::points_invalid(format!(
            "no points were uploaded for {day}: PUT /v1/points/{}/{day} first",
            project.name
        ))
    })?;
    nodesys_failpoint::reach("tree:before");
    let built = compute_day(app, project, day, &upload).await?;
    nodesys_failpoint::reach("tree:after");
    compare(given, &built)?;
    let posted = check_chain(app, project, &built).await?;
    db::store(app, project, day, signed, &built, posted.as_ref()).await?;
    app.commit_accepted.notify_one();
    metrics::counter!("commits_accepted_total").increment(1);
    Ok(())
}

async fn known(app: &App, hash: B256) -> ApiResult<Option<Stored>> {
    let mut conn = app.pool.acquire().await?;
    Ok(db::by_hash(&mut conn, hash).await?)
}

/// The day is closed and waits for its commit of this revision.
async fn check_free(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    given: &RewardCommit,
) -> ApiResult<()> {
    let mut conn = app.pool.acquire().await?;
    if let Some(known) = db::accepted(&mut conn, project.project, day).await?
        && known.commit.revision == given.revision
    {
        return Err(ApiError::committed(format!(
            "{day} has another commit, {}: revoke that one first",
            known.commit.struct_hash()
        )));
    }
    if !uptime::is_closed(&mut conn, day).await? {
        return Err(ApiError::day_open(format!("{day} closes 5 minutes after its end, UTC")));
    }
    Ok(())
}

/// Field by field, so that the answer says which one differs.
fn compare(given: &RewardCommit, built: &DayBundle) -> ApiResult<()> {
    let (computed, quota) = (&built.commit, built.bundle.daily_quota);
    if given.previous != computed.previous || given.revision != computed.revision {
        return Err(ApiError::wrong_previous(format!(
            "given previous {} and revision {}, expected {} and {}",
            given.previous, given.revision, computed.previous, computed.revision
        )));
    }
    let before = computed.total.checked_sub(built.bundle.totals.allocated).unwrap_or_default();
    let rise = given.total.checked_sub(before).unwrap_or_default();
    if rise > quota {
        return Err(ApiError::quota_exceeded(format!(
            "the commit adds {rise} wei, the daily quota is {quota} wei"
        )));
    }
    if given != computed {
        return Err(ApiError::root_differs(format!(
            "given root {}, total {}, data hash {}; computed root {}, total {}, data hash {}: \
             compare your rewards.csv with /v1/points/PROJECT/DAY/rewards",
            given.root,
            given.total,
            given.data_hash,
            computed.root,
            computed.total,
            computed.data_hash
        )));
    }
    Ok(())
}

/// What the contract would refuse: a total it cannot pay. Says where the commit is posted, if it is
/// already: then the contract has taken it.
async fn check_chain(
    app: &App,
    project: &ProjectRow,
    built: &DayBundle,
) -> ApiResult<Option<Logged<Posted>>> {
    let hash = built.commit.struct_hash();
    let posted = chain::posted_at(&app.chain, project.project, hash, app.first_block).await?;
    if posted.is_some() {
        return Ok(posted);
    }
    let state = distributor(app, project.project).await?;
    let owed = built.commit.total.checked_sub(state.paid).unwrap_or_default();
    if owed.to_u256() > state.balance {
        return Err(ApiError::underfunded(format!(
            "the distributor would owe {owed} wei and holds {} wei: send it tokens first",
            state.balance
        )));
    }
    Ok(None)
}

/// A commit's view, active by the chain's own time.
pub(crate) async fn view(app: &App, stored: &Stored) -> ApiResult<CommitView> {
    let now = app.chain_secs().await?;
    Ok(stored.view(now))
}
