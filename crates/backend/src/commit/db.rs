//! Rows of `reward_commit`, `bundle_file` and what is stored with them.

use anyhow::Context;
use nodesys_contracts::bindings::RewardDistributor::Posted;
use nodesys_contracts::logs::Logged;
use nodesys_contracts::project::post_request;
use nodesys_core::api::{CommitState, CommitView};
use nodesys_core::bundle::{Before, DayBundle, TREE_JSON};
use nodesys_core::files::{RewardRow, Row, parse_file};
use nodesys_core::ids::Amount;
use nodesys_core::message::{Message, RewardCommit, SignedCommit};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::project::ProjectRow;
use crate::sql;

/// A stored commit.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) project: Address,
    pub(crate) day: UtcDay,
    pub(crate) commit: RewardCommit,
    carry_out: Amount,
    posted_tx: Option<B256>,
    pub(crate) activates_at_secs: Option<u64>,
    revoked: bool,
}

impl Stored {
    pub(crate) fn view(&self, chain_secs: u64) -> CommitView {
        let state = match self.activates_at_secs {
            _ if self.revoked => CommitState::Revoked,
            None => CommitState::Accepted,
            Some(at) if at <= chain_secs => CommitState::Active,
            Some(_) => CommitState::Posted,
        };
        CommitView {
            project: self.project,
            day: self.day,
            commit: self.commit.clone(),
            commit_hash: self.commit.struct_hash(),
            state,
            transaction: self.posted_tx,
            activates_at_secs: self.activates_at_secs,
        }
    }
}

/// The raw columns; sqlx fills it by name.
struct Columns {
    project: Vec<u8>,
    day: i32,
    revision: i32,
    previous: Vec<u8>,
    root: Vec<u8>,
    total: String,
    data_hash: Vec<u8>,
    carry_out: String,
    posted_tx: Option<Vec<u8>>,
    activates_at_secs: Option<i64>,
    revoked: bool,
}

impl TryFrom<Columns> for Stored {
    type Error = anyhow::Error;

    fn try_from(row: Columns) -> anyhow::Result<Self> {
        let day = UtcDay(u32::try_from(row.day)?);
        Ok(Self {
            project: sql::address(&row.project)?,
            day,
            commit: RewardCommit {
                epoch: day.epoch(),
                revision: u32::try_from(row.revision)?,
                previous: sql::hash(&row.previous)?,
                root: sql::hash(&row.root)?,
                total: sql::amount(&row.total)?,
                data_hash: sql::hash(&row.data_hash)?,
            },
            carry_out: sql::amount(&row.carry_out)?,
            posted_tx: row.posted_tx.as_deref().map(sql::hash).transpose()?,
            activates_at_secs: row.activates_at_secs.map(sql::unsigned).transpose()?,
            revoked: row.revoked,
        })
    }
}

/// All commits of a project that pass `$2` (day) and `$3` (hash) where they are given, oldest first.
async fn select(
    conn: &mut PgConnection,
    project: Option<Address>,
    day: Option<UtcDay>,
    hash: Option<B256>,
) -> anyhow::Result<Vec<Stored>> {
    let day = day.map(|day| i32::try_from(day.0)).transpose()?;
    let rows = sqlx::query_as!(
        Columns,
        r#"select project::bytea as "project!", day as "day!", revision as "revision!",
                  previous::bytea as "previous!", root::bytea as "root!", total::text as "total!",
                  data_hash::bytea as "data_hash!", carry_out::text as "carry_out!",
                  posted_tx::bytea as posted_tx, activates_at_secs,
                  revoked_block is not null as "revoked!"
           from reward_commit
           where ($1::bytea is null or project::bytea = $1::bytea)
             and ($2::integer is null or day = $2)
             and ($3::bytea is null or commit_hash::bytea = $3::bytea)
           order by project, day, revision"#,
        project.map(|project| project.to_vec()),
        day,
        hash.map(|hash| hash.to_vec())
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Stored::try_from).collect()
}

/// A commit by its struct hash.
pub(crate) async fn by_hash(conn: &mut PgConnection, hash: B256) -> anyhow::Result<Option<Stored>> {
    Ok(select(conn, None, None, Some(hash)).await?.pop())
}

/// The commit of a day that counts: the newest revision that is not revoked.
pub(crate) async fn accepted(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<Option<Stored>> {
    let all = select(conn, Some(project), Some(day), None).await?;
    Ok(all.into_iter().rfind(|stored| !stored.revoked))
}

/// All commits of a project, oldest first.
pub(crate) async fn of_project(
    conn: &mut PgConnection,
    project: Address,
) -> anyhow::Result<Vec<Stored>> {
    select(conn, Some(project), None, None).await
}

/// The newest commit that counts.
pub(crate) async fn newest(
    conn: &mut PgConnection,
    project: Address,
) -> anyhow::Result<Option<Stored>> {
    Ok(of_project(conn, project).await?.into_iter().rfind(|stored| !stored.revoked))
}

/// The newest commit whose delay has passed by the chain's time.
pub(crate) async fn newest_active(
    conn: &mut PgConnection,
    project: Address,
    chain_secs: u64,
) -> anyhow::Result<Option<Stored>> {
    let active = |stored: &Stored| {
        !stored.revoked && stored.activates_at_secs.is_some_and(|at| at <= chain_secs)
    };
    Ok(of_project(conn, project).await?.into_iter().rfind(active))
}

/// What a day's commit left for the next.
pub(crate) async fn before(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<Option<Before>> {
    let Some(stored) = accepted(conn, project, day).await? else { return Ok(None) };
    let commit = stored.commit.struct_hash();
    let rewards = file(conn, commit, RewardRow::FILE)
        .await?
        .with_context(|| format!("commit {commit} has no rewards.csv"))?;
    let rewards = parse_file(&rewards)?;
    Ok(Some(Before { commit, rewards, carry: stored.carry_out }))
}

/// A file of a commit's bundle.
pub(crate) async fn file(
    conn: &mut PgConnection,
    commit: B256,
    name: &str,
) -> anyhow::Result<Option<Vec<u8>>> {
    let bytes = sqlx::query_scalar!(
        r#"select bytes as "bytes!" from bundle_file where commit_hash = $1 and name = $2"#,
        commit.as_slice() as _,
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(bytes)
}

/// The last block in the mirror.
pub(crate) async fn mirrored_block(conn: &mut PgConnection) -> anyhow::Result<Option<u64>> {
    let number = sqlx::query_scalar!(r#"select block_number as "number!" from chain_cursor"#)
        .fetch_optional(conn)
        .await?;
    number.map(sql::unsigned).transpose()
}

/// Stores commit, bundle, tree and outbox row, all or nothing. `posted` is its post, where it is on
/// chain already: the mirror, once past that block, will not come back to it.
pub(crate) async fn store(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    signed: &SignedCommit,
    built: &DayBundle,
    posted: Option<&Logged<Posted>>,
) -> ApiResult<()> {
    let commit = &signed.commit;
    let hash = commit.struct_hash();
    let now = sql::signed(app.clock.now().millis())?;
    let revision = i32::try_from(commit.revision).map_err(anyhow::Error::from)?;
    let day_number = i32::try_from(day.0).map_err(anyhow::Error::from)?;
    let mut tree_json = Vec::new();
    built.tree.to_standard_v1(&mut tree_json).map_err(anyhow::Error::from)?;

    let mut tx = app.pool.begin().await?;
    sqlx::query!(
        "insert into reward_commit (project, day, revision, commit_hash, previous, root, total,
             data_hash, signature, day_reward, carry_in, carry_out, allocated, accepted_at)
         values ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8, $9, $10::text::numeric,
             $11::text::numeric, $12::text::numeric, $13::text::numeric, $14)",
        project.project.as_slice() as _,
        day_number,
        revision,
        hash.as_slice() as _,
        commit.previous.as_slice() as _,
        commit.root.as_slice() as _,
        commit.total.to_string(),
        commit.data_hash.as_slice() as _,
        signed.signature.as_bytes().as_ref(),
        built.bundle.terms.day_reward.to_string(),
        built.bundle.carry_in.to_string(),
        built.bundle.carry_out.to_string(),
        built.bundle.totals.allocated.to_string(),
        now as _
    )
    .execute(&mut *tx)
    .await
    .map_err(|error| conflict(error, day))?;
    let files = built.files.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    for (name, bytes) in files.chain([(TREE_JSON, tree_json.as_slice())]) {
        sqlx::query!(
            "insert into bundle_file (commit_hash, name, bytes) values ($1, $2, $3)",
            hash.as_slice() as _,
            name,
            bytes
        )
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query!(
        "insert into tree (commit_hash, bytes) values ($1, $2)",
        hash.as_slice() as _,
        built.tree.to_bytes()
    )
    .execute(&mut *tx)
    .await?;
    let request = post_request(project.project, signed);
    let calldata = request.input.input().context("a post has no calldata")?;
    sqlx::query!(
        "insert into outbox (commit_hash, to_address, calldata, created_at) values ($1, $2, $3, $4)",
        hash.as_slice() as _,
        project.project.as_slice() as _,
        calldata.as_ref(),
        now as _
    )
    .execute(&mut *tx)
    .await?;
    if let Some(posted) = posted
        && mirrored_block(&mut tx).await?.is_some_and(|mirrored| posted.block_number <= mirrored)
    {
        set_posted(&mut tx, posted).await?;
    }
    nodesys_failpoint::reach("outbox:before");
    tx.commit().await?;
    nodesys_failpoint::reach("outbox:after");
    Ok(())
}

/// The commit is posted in a final block, by whomever: its row and its outbox row say so.
pub(crate) async fn set_posted(
    conn: &mut PgConnection,
    posted: &Logged<Posted>,
) -> anyhow::Result<()> {
    nodesys_failpoint::reach("confirm:before");
    let (event, block) = (&posted.event, sql::signed(posted.block_number)?);
    sqlx::query!(
        "update reward_commit set posted_tx = $2, posted_block = $3, activates_at_secs = $4
         where commit_hash = $1",
        event.commitHash.as_slice() as _,
        posted.transaction.as_slice() as _,
        block,
        sql::signed(event.activatesAt)?
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update outbox set done_block = $2 where commit_hash = $1 and done_block is null",
        event.commitHash.as_slice() as _,
        block
    )
    .execute(conn)
    .await?;
    nodesys_failpoint::reach("confirm:after");
    Ok(())
}

/// The distributor's revision rose: what it has not taken by then it never will.
pub(crate) async fn set_void(
    conn: &mut PgConnection,
    project: Address,
    revision: u32,
    block: u64,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update reward_commit set revoked_block = $3
         where project = $1 and revision < $2 and posted_block is null and revoked_block is null",
        project.as_slice() as _,
        i32::try_from(revision)?,
        sql::signed(block)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Another commit of the day came in at the same moment.
fn conflict(error: sqlx::Error, day: UtcDay) -> ApiError {
    match error.as_database_error().and_then(|error| error.constraint()) {
        Some("reward_commit_pkey" | "reward_commit_hash_unique") => {
            ApiError::committed(format!("{day} was given another commit at the same moment"))
        }
        _ => error.into(),
    }
}
