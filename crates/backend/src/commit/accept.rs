//! Accepting a commit: verify, recompute, compare, store.

use anyhow::Context;
use nodesys_chain::bindings::RewardDistributor::Posted;
use nodesys_chain::logs::Logged;
use nodesys_chain::project::{post_request, posted_at};
use nodesys_core::B256;
use nodesys_core::api::{CommitRequest, CommitView};
use nodesys_core::bundle::{DayBundle, TREE_JSON};
use nodesys_core::message::{Domain, Message, RewardCommit, SignedCommit};
use nodesys_core::time::UtcDay;

use crate::day::{self, Upload};
use crate::db::commit::{CommitRow, NewCommit, Posting};
use crate::db::project::ProjectRow;
use crate::error::{ApiError, ApiResult};
use crate::params::ProjectRef;
use crate::state::App;
use crate::{chain, db};

/// Verifies a commit and stores it with its bundle, tree and outbox row.
pub(super) async fn accept(app: &App, request: &CommitRequest) -> ApiResult<CommitView> {
    let given = &request.signed.commit;
    let day = UtcDay::from_epoch(given.epoch)
        .filter(|day| i32::try_from(day.0).is_ok())
        .ok_or_else(|| ApiError::bad_request(format!("epoch {} is no day", given.epoch)))?;
    let project = ProjectRef::Address(request.project).find_in(app).await?;
    if let Some(known) = known(app, &project, given.struct_hash()).await? {
        return view(app, &known).await;
    }
    let taken = take_new(app, &project, day, &request.signed).await;
    // The same commit may have been submitted a moment ago: then give the same answer.
    let stored = match (known(app, &project, given.struct_hash()).await?, taken) {
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
    let digest = given.digest(&domain);
    chain::precheck_reward_signer(app, project.project, digest, &signed.signature).await?;
    chain::verify_reward_signer(&app.chain, project.project, digest, &signed.signature).await?;
    let _turn = app.live.work.wait(project.project).await;
    check_free(app, project, day, given).await?;
    let upload = Upload::stored(app, project, day).await?.ok_or_else(|| {
        ApiError::points_invalid(format!(
            "no points were uploaded for {day}: PUT /v1/points/{}/{day} first",
            project.name
        ))
    })?;
    nodesys_failpoint::reach("tree:before");
    let built = day::compute(app, project, day, &upload).await?;
    nodesys_failpoint::reach("tree:after");
    compare(given, &built)?;
    let posted = check_chain(app, project, &built).await?;
    let new = NewCommit { project: project.project, day, signed, built: &built };
    store(app, &new, posted.as_ref()).await?;
    app.commit_accepted.notify_one();
    metrics::counter!("nodesys_commits_accepted_total").increment(1);
    Ok(())
}

/// Another project's commit of the same hash is another commit.
async fn known(app: &App, project: &ProjectRow, hash: B256) -> ApiResult<Option<CommitRow>> {
    let mut conn = app.pool.acquire().await?;
    Ok(db::commit::by_hash(&mut conn, project.project, hash).await?)
}

/// Checks that the day is closed and has no commit of this revision yet.
async fn check_free(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    given: &RewardCommit,
) -> ApiResult<()> {
    let mut conn = app.pool.acquire().await?;
    if let Some(known) = db::commit::accepted(&mut conn, project.project, day).await?
        && known.commit.revision == given.revision
    {
        return Err(ApiError::committed(format!(
            "{day} has another commit, {}: revoke that one first",
            known.commit.struct_hash()
        )));
    }
    if !db::day::is_closed(&mut conn, day).await? {
        return Err(ApiError::day_open(format!("{day} closes 5 minutes after its end, UTC")));
    }
    Ok(())
}

/// Compares field by field, so that the answer names the field that differs.
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

/// Refuses a total that the contract could not pay. Returns the commit's post if there is one
/// already: then the contract has accepted it.
async fn check_chain(
    app: &App,
    project: &ProjectRow,
    built: &DayBundle,
) -> ApiResult<Option<Logged<Posted>>> {
    let state = chain::distributor(&app.chain, project.project).await?;
    // The contract takes a day's commit after its end only, and no day after its head is posted.
    if built.commit.epoch <= state.epoch {
        let (hash, from) = (built.commit.struct_hash(), built.bundle.snapshot.block_number);
        let posted = posted_at(&app.chain, project.project, hash, from).await?;
        if posted.is_some() {
            return Ok(posted);
        }
    }
    let owed = built.commit.total.checked_sub(state.paid).unwrap_or_default();
    if owed.to_u256() > state.balance {
        return Err(ApiError::underfunded(format!(
            "the distributor would owe {owed} wei and holds {} wei: send it tokens first",
            state.balance
        )));
    }
    Ok(None)
}

/// Stores commit, bundle, tree and outbox row, all or nothing. `posted` is its post, if it is
/// already on chain: a mirror past that block will not read it again.
async fn store(app: &App, new: &NewCommit<'_>, posted: Option<&Logged<Posted>>) -> ApiResult<()> {
    let (hash, built) = (new.signed.commit.struct_hash(), new.built);
    let now = app.clock.now();
    let mut tree_json = Vec::new();
    built.tree.to_standard_v1(&mut tree_json).map_err(anyhow::Error::from)?;
    let request = post_request(new.project, new.signed);
    let calldata = request.input.input().context("a post has no calldata")?;

    let mut tx = app.pool.begin().await?;
    // The signer may have changed since the chain was read: the mirror will not void it again.
    let revision = db::project::revision(&mut tx, new.project).await?;
    if new.signed.commit.revision < revision {
        return Err(ApiError::wrong_previous(format!(
            "given revision {}, the distributor's is {revision} now: compute the day anew",
            new.signed.commit.revision
        )));
    }
    if !db::commit::insert(&mut tx, new, now).await? {
        return Err(ApiError::committed(format!(
            "{} was given another commit at the same moment",
            new.day
        )));
    }
    let files = built.files.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    for (name, bytes) in files.chain([(TREE_JSON, tree_json.as_slice())]) {
        db::commit::insert_file(&mut tx, new.project, hash, name, bytes).await?;
    }
    db::tree::insert(&mut tx, new.project, hash, &built.tree.to_bytes()).await?;
    db::outbox::insert(&mut tx, hash, new.project, calldata, now).await?;
    if let Some(posted) = posted
        && let Some(mirrored) = db::mirror_source::of_distributor(&mut tx, new.project).await?
        && posted.block_number <= mirrored
    {
        let posting = Posting {
            project: new.project,
            commit: hash,
            transaction: posted.transaction,
            block: posted.block_number,
            activates_at_secs: posted.event.activatesAt,
        };
        db::commit::set_posted(&mut tx, &posting).await?;
    }
    nodesys_failpoint::reach("outbox:before");
    tx.commit().await?;
    nodesys_failpoint::reach("outbox:after");
    Ok(())
}

/// A commit's view; the chain's own time decides whether it is active.
pub(super) async fn view(app: &App, stored: &CommitRow) -> ApiResult<CommitView> {
    let now = app.chain_secs().await?;
    Ok(stored.view(now))
}
