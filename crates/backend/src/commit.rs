//! Commits: a signed `RewardCommit` is taken when it is, field for field, what the backend computes
//! from its own uptime, the chain's holders and the uploaded points.
//!
//! Commit, bundle files, tree and outbox row are stored in one transaction. The same commit again
//! gets the same answer.

mod db;
mod http;

use alloy::eips::BlockNumberOrTag;
use nodesys_contracts::project::{self as chain, DistributorState};
use nodesys_contracts::wallet_signature::{self, WalletSignatureError};
use nodesys_core::api::{CommitRequest, CommitView};
use nodesys_core::bundle::{
    Before, BundleError, DayBundle, DayInput, ProjectInfo, Snapshot, build_day,
};
use nodesys_core::files::{HolderRow, UptimeRow, parse_file};
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::{Domain, Message, RewardCommit};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::points::{self, Upload};
use crate::project::{self, ProjectRef, ProjectRow};
use crate::{license, uptime};

pub(crate) use db::{Stored, accepted, newest, newest_active, of_project};
pub(crate) use http::*;

/// The distributor now.
pub(crate) async fn distributor(app: &App, project: Address) -> ApiResult<DistributorState> {
    chain::state_of(&app.chain, project, BlockNumberOrTag::Latest)
        .await
        .map_err(ApiError::chain_unavailable)
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
    wallet_signature::verify(&app.chain, signer, digest, signature).await.map_err(|error| {
        match error {
            WalletSignatureError::Signature(error) => {
                ApiError::bad_signature(format!("reward signer: {error}"))
            }
            WalletSignatureError::Chain(error) => ApiError::chain_unavailable(error),
        }
    })
}

/// The day as the backend computes it from an upload.
pub(crate) async fn compute_day(
    app: &App,
    conn: &mut PgConnection,
    project: &ProjectRow,
    day: UtcDay,
    upload: &Upload,
) -> ApiResult<DayBundle> {
    let (csv, closed) = uptime::closed(conn, project.project, day).await?.ok_or_else(|| {
        ApiError::day_open(format!("{day} is not closed, or {} did not exist", project.name))
    })?;
    let before = before(conn, project, day).await?;
    let state = distributor(app, project.project).await?;
    let snapshot = app
        .chain
        .first_block_at_or_after(day.end().secs(), app.final_depth)
        .await
        .map_err(ApiError::chain_unavailable)?
        .ok_or_else(|| {
            ApiError::day_open(format!("no block past the end of {day} is final yet: try later"))
        })?;
    let uptime: Vec<UptimeRow> = parse_file(&csv).map_err(anyhow::Error::from)?;
    let holders = holders(conn, &uptime, snapshot.number, snapshot.secs).await?;
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
    build_day(&input).map_err(|error| match error {
        BundleError::UptimeHash { .. } => ApiError::from(anyhow::Error::from(error)),
        error => points::problem(&error, &input),
    })
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
        .ok_or_else(|| ApiError::bad_request(format!("epoch {} is no day", given.epoch)))?;
    let mut conn = app.pool.acquire().await?;
    let project = project::resolve(&mut conn, &ProjectRef::Address(request.project)).await?;
    if let Some(known) = db::by_hash(&mut conn, given.struct_hash()).await? {
        return view(app, &known).await;
    }
    let domain = Domain::new(app.domain.chain_id(), project.project);
    verify_signer(app, project.project, given.digest(&domain), &request.signed.signature).await?;
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
    let upload = points::stored(&mut conn, &project, day).await?;
    let built = compute_day(app, &mut conn, &project, day, &upload).await?;
    compare(given, &built.commit)?;
    check_chain(app, &project, &built).await?;
    drop(conn);
    db::store(app, &project, day, &request.signed, &built).await?;
    app.commit_accepted.notify_one();
    metrics::counter!("commits_accepted_total").increment(1);
    let mut conn = app.pool.acquire().await?;
    let stored = db::by_hash(&mut conn, given.struct_hash()).await?;
    let stored = stored.ok_or_else(|| anyhow::anyhow!("a stored commit is gone"))?;
    view(app, &stored).await
}

/// Field by field, so that the answer says which one differs.
fn compare(given: &RewardCommit, computed: &RewardCommit) -> ApiResult<()> {
    if given.previous != computed.previous || given.revision != computed.revision {
        return Err(ApiError::wrong_previous(format!(
            "given previous {} and revision {}, expected {} and {}",
            given.previous, given.revision, computed.previous, computed.revision
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

/// What the contract would refuse: a rise above the quota, a total it cannot pay.
async fn check_chain(app: &App, project: &ProjectRow, built: &DayBundle) -> ApiResult<()> {
    let state = distributor(app, project.project).await?;
    let allocated = built.bundle.totals.allocated;
    if allocated > state.daily_quota {
        return Err(ApiError::quota_exceeded(format!(
            "the day adds {allocated} wei, the daily quota is {} wei",
            state.daily_quota
        )));
    }
    let owed = built.commit.total.checked_sub(state.paid).unwrap_or_default();
    if owed.to_u256() > state.balance {
        return Err(ApiError::underfunded(format!(
            "the distributor would owe {owed} wei and holds {} wei: send it tokens first",
            state.balance
        )));
    }
    Ok(())
}

/// A commit's view, active by the chain's own time.
pub(crate) async fn view(app: &App, stored: &Stored) -> ApiResult<CommitView> {
    let now = app.chain.latest_block().await.map_err(ApiError::chain_unavailable)?.secs;
    Ok(stored.view(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodesys_core::ids::Amount;

    fn commit(total: u128) -> RewardCommit {
        RewardCommit {
            epoch: 1,
            revision: 0,
            previous: B256::ZERO,
            root: B256::repeat_byte(1),
            total: Amount::new(total),
            data_hash: B256::repeat_byte(2),
        }
    }

    #[test]
    fn a_difference_is_named_by_kind() {
        assert!(compare(&commit(1), &commit(1)).is_ok());
        assert_eq!(compare(&commit(1), &commit(2)).unwrap_err().code(), "root_differs");
        let other = RewardCommit { previous: B256::repeat_byte(9), ..commit(1) };
        assert_eq!(compare(&other, &commit(1)).unwrap_err().code(), "wrong_previous");
        let other = RewardCommit { revision: 1, ..commit(1) };
        assert_eq!(compare(&other, &commit(1)).unwrap_err().code(), "wrong_previous");
    }
}
