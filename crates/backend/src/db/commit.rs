//! Rows of `reward_commit` and `bundle_file`.

use nodesys_core::api::{CommitState, CommitView};
use nodesys_core::bundle::DayBundle;
use nodesys_core::ids::Amount;
use nodesys_core::message::{Message, RewardCommit, SignedCommit};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::{column, outbox};

/// An accepted commit.
#[derive(Debug, Clone)]
pub(crate) struct CommitRow {
    pub(crate) project: Address,
    pub(crate) day: UtcDay,
    pub(crate) commit: RewardCommit,
    pub(crate) carry_out: Amount,
    posted_tx: Option<B256>,
    pub(crate) activates_at_secs: Option<u64>,
    revoked: bool,
}

impl CommitRow {
    /// Its API view at the given chain time.
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

impl TryFrom<Columns> for CommitRow {
    type Error = anyhow::Error;

    fn try_from(row: Columns) -> anyhow::Result<Self> {
        let day = column::day(row.day)?;
        Ok(Self {
            project: column::address(&row.project)?,
            day,
            commit: RewardCommit {
                epoch: day.epoch(),
                revision: u32::try_from(row.revision)?,
                previous: column::hash(&row.previous)?,
                root: column::hash(&row.root)?,
                total: column::amount(&row.total)?,
                data_hash: column::hash(&row.data_hash)?,
            },
            carry_out: column::amount(&row.carry_out)?,
            posted_tx: row.posted_tx.as_deref().map(column::hash).transpose()?,
            activates_at_secs: row.activates_at_secs.map(column::unsigned).transpose()?,
            revoked: row.revoked,
        })
    }
}

/// All commits of a project, filtered by `$2` (day) and `$3` (hash) if given, oldest first.
async fn select(
    conn: &mut PgConnection,
    project: Address,
    day: Option<UtcDay>,
    hash: Option<B256>,
) -> anyhow::Result<Vec<CommitRow>> {
    let day = day.map(column::day_number).transpose()?;
    let rows = sqlx::query_as!(
        Columns,
        r#"select project::bytea as "project!", day as "day!", revision as "revision!",
                  previous::bytea as "previous!", root::bytea as "root!", total::text as "total!",
                  data_hash::bytea as "data_hash!", carry_out::text as "carry_out!",
                  posted_tx::bytea as posted_tx, activates_at_secs,
                  revoked_block is not null as "revoked!"
           from reward_commit
           where project = $1 and ($2::integer is null or day = $2)
             and ($3::bytea is null or commit_hash::bytea = $3::bytea)
           order by day, revision"#,
        project.as_slice() as _,
        day,
        hash.map(|hash| hash.to_vec())
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(CommitRow::try_from).collect()
}

/// A project's commit by its struct hash, which says nothing of the project.
pub(crate) async fn by_hash(
    conn: &mut PgConnection,
    project: Address,
    hash: B256,
) -> anyhow::Result<Option<CommitRow>> {
    Ok(select(conn, project, None, Some(hash)).await?.pop())
}

/// The day's valid commit: the newest revision that is not revoked.
pub(crate) async fn accepted(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<Option<CommitRow>> {
    let all = select(conn, project, Some(day), None).await?;
    Ok(all.into_iter().rfind(|commit| !commit.revoked))
}

/// All commits of a project, oldest first.
pub(crate) async fn of_project(
    conn: &mut PgConnection,
    project: Address,
) -> anyhow::Result<Vec<CommitRow>> {
    select(conn, project, None, None).await
}

/// The newest valid commit.
pub(crate) async fn newest(
    conn: &mut PgConnection,
    project: Address,
) -> anyhow::Result<Option<CommitRow>> {
    Ok(of_project(conn, project).await?.into_iter().rfind(|commit| !commit.revoked))
}

/// The newest commit whose delay has passed by the chain's time.
pub(crate) async fn newest_active(
    conn: &mut PgConnection,
    project: Address,
    chain_secs: u64,
) -> anyhow::Result<Option<CommitRow>> {
    let active = |commit: &CommitRow| {
        !commit.revoked && commit.activates_at_secs.is_some_and(|at| at <= chain_secs)
    };
    Ok(of_project(conn, project).await?.into_iter().rfind(active))
}

/// A file of a commit's bundle.
pub(crate) async fn file(
    conn: &mut PgConnection,
    project: Address,
    commit: B256,
    name: &str,
) -> anyhow::Result<Option<Vec<u8>>> {
    let bytes = sqlx::query_scalar!(
        r#"select bytes as "bytes!" from bundle_file
           where project = $1 and commit_hash = $2 and name = $3"#,
        project.as_slice() as _,
        commit.as_slice() as _,
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(bytes)
}

/// A commit to store, with its day.
pub(crate) struct NewCommit<'a> {
    pub(crate) project: Address,
    pub(crate) day: UtcDay,
    pub(crate) signed: &'a SignedCommit,
    pub(crate) built: &'a DayBundle,
}

/// Stores a commit's row; false when another one for the day was stored at the same moment.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    new: &NewCommit<'_>,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let (commit, built) = (&new.signed.commit, new.built);
    let hash = commit.struct_hash();
    let done = sqlx::query!(
        "insert into reward_commit (project, day, revision, commit_hash, previous, root, total,
             data_hash, signature, day_reward, carry_in, carry_out, allocated, accepted_at)
         values ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8, $9, $10::text::numeric,
             $11::text::numeric, $12::text::numeric, $13::text::numeric, $14)",
        new.project.as_slice() as _,
        column::day_number(new.day)?,
        i32::try_from(commit.revision)?,
        hash.as_slice() as _,
        commit.previous.as_slice() as _,
        commit.root.as_slice() as _,
        commit.total.to_string(),
        commit.data_hash.as_slice() as _,
        new.signed.signature.as_bytes().as_ref(),
        built.bundle.terms.day_reward.to_string(),
        built.bundle.carry_in.to_string(),
        built.bundle.carry_out.to_string(),
        built.bundle.totals.allocated.to_string(),
        column::millis(now)? as _
    )
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(true),
        Err(error) if is_conflict(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_conflict(error: &sqlx::Error) -> bool {
    matches!(
        error.as_database_error().and_then(|error| error.constraint()),
        Some("reward_commit_pkey" | "reward_commit_hash_unique")
    )
}

/// Stores a file of a commit's bundle.
pub(crate) async fn insert_file(
    conn: &mut PgConnection,
    project: Address,
    commit: B256,
    name: &str,
    bytes: &[u8],
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into bundle_file (project, commit_hash, name, bytes) values ($1, $2, $3, $4)",
        project.as_slice() as _,
        commit.as_slice() as _,
        name,
        bytes
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A commit's post in a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posting {
    /// The distributor that said it.
    pub(crate) project: Address,
    pub(crate) commit: B256,
    pub(crate) transaction: B256,
    pub(crate) block: u64,
    pub(crate) activates_at_secs: u64,
}

/// Records in a commit's row and outbox row that anyone posted it in a final block.
pub(crate) async fn set_posted(conn: &mut PgConnection, posting: &Posting) -> anyhow::Result<()> {
    nodesys_failpoint::reach("confirm:before");
    sqlx::query!(
        "update reward_commit set posted_tx = $3, posted_block = $4, activates_at_secs = $5
         where project = $1 and commit_hash = $2",
        posting.project.as_slice() as _,
        posting.commit.as_slice() as _,
        posting.transaction.as_slice() as _,
        column::signed(posting.block)?,
        column::signed(posting.activates_at_secs)?
    )
    .execute(&mut *conn)
    .await?;
    outbox::set_done(conn, posting.project, posting.commit, posting.block).await?;
    nodesys_failpoint::reach("confirm:after");
    Ok(())
}

/// Records that the project's distributor revoked the commit.
pub(crate) async fn set_revoked(
    conn: &mut PgConnection,
    project: Address,
    commit: B256,
    block: u64,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update reward_commit set revoked_block = $3 where project = $1 and commit_hash = $2",
        project.as_slice() as _,
        commit.as_slice() as _,
        column::signed(block)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that the distributor's revision rose, which voids unposted commits of lower ones.
pub(crate) async fn set_revision(
    conn: &mut PgConnection,
    project: Address,
    revision: u32,
    block: u64,
) -> anyhow::Result<()> {
    let revision = i32::try_from(revision)?;
    sqlx::query!(
        "update project set revision = greatest(revision, $2) where project = $1",
        project.as_slice() as _,
        revision
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update reward_commit set revoked_block = $3
         where project = $1 and revision < $2 and posted_block is null and revoked_block is null",
        project.as_slice() as _,
        revision,
        column::signed(block)?
    )
    .execute(conn)
    .await?;
    Ok(())
}
