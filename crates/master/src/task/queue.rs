//! The queue in Postgres: leasing in batches, expiry, a day's counts.
//!
//! Each function is one statement, or a transaction that locks in the order task, attempt, result.
//! Times come from the caller.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::ids::{Fence, Name, TaskId};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use sqlx::{PgPool, PgTransaction};

use crate::config::Settings;
use crate::database;

/// Leases ended in one statement.
const EXPIRE_AT_ONCE: i64 = 1000;
/// Retries of a lease when the same license leases at the same moment.
const TRIES: usize = 4;
/// The advisory lock between results and closing days: shared for a result, exclusive for a close.
macro_rules! day_lock {
    () => {
        "7309940802348113"
    };
}
/// The advisory lock of the master that ends overdue leases.
const EXPIRE_LOCK: i64 = 7_309_940_802_348_114;

/// A project's queue.
#[derive(Debug, Clone)]
pub struct Queue {
    pool: PgPool,
    id: i32,
}

/// A license that leases tasks, by the node and the fence of its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The license's hash.
    pub license: B256,
    /// The node's key.
    pub node_key: Address,
    /// The fence of the license's own lease.
    pub fence: Fence,
    /// The workload of the license.
    pub workload: Name,
}

/// A task leased to a license.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedTask {
    /// The task.
    pub id: TaskId,
    /// Its input, canonical JSON.
    pub input: String,
    /// When its lease ends.
    pub expires: Timestamp,
}

/// Task leases that an expiry ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpiredLeases {
    /// Overdue leases.
    pub leases: u64,
    /// Tasks that were given up with them, since they may not be leased again.
    pub dead: u64,
}

/// The task queue of a project, created on first use.
///
/// # Errors
///
/// If `--database-url` is missing or the database does not answer.
pub(crate) async fn open_queue(
    settings: &Settings,
    project: &ProjectInfo,
) -> anyhow::Result<Queue> {
    let pool = database::connect(settings).await?;
    Queue::open(pool, project.chain_id, project.distributor).await
}

impl Queue {
    /// The queue of a distributor, created on first use.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn open(pool: PgPool, chain_id: u64, distributor: Address) -> anyhow::Result<Self> {
        let chain_id = i64::try_from(chain_id).context("a chain id of 2^63 or more")?;
        sqlx::query!(
            "insert into task_queue (chain_id, distributor) values ($1, $2)
             on conflict on constraint task_queue_once do nothing",
            chain_id,
            distributor.as_slice()
        )
        .execute(&pool)
        .await?;
        let id = sqlx::query_scalar!(
            "select id from task_queue where chain_id = $1 and distributor = $2",
            chain_id,
            distributor.as_slice()
        )
        .fetch_one(&pool)
        .await?;
        Ok(Self { pool, id })
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) const fn id(&self) -> i32 {
        self.id
    }

    /// A transaction for accepting a result: no day closes before it ends.
    pub(crate) async fn begin_result(&self) -> sqlx::Result<PgTransaction<'static>> {
        // A workload can send its result again sooner than a longer wait would end.
        const BEGIN: &str = concat!(
            "begin; set local lock_timeout = '3s'; select pg_advisory_xact_lock_shared(",
            day_lock!(),
            ")"
        );
        self.pool.begin_with(BEGIN).await
    }

    /// Leases tasks, oldest first, so that the license holds up to `max`: those it holds already
    /// come first, so a repeated request gets the same tasks.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn lease(
        &self,
        holder: &LeaseHolder,
        max: u16,
        now: Timestamp,
    ) -> sqlx::Result<Vec<LeasedTask>> {
        let mut tries = 0;
        loop {
            match self.lease_once(holder, max, now).await {
                // The license, or another of its node, took one of them at the same moment.
                Err(sqlx::Error::Database(error))
                    if error.is_unique_violation() && tries < TRIES =>
                {
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    async fn lease_once(
        &self,
        holder: &LeaseHolder,
        max: u16,
        now: Timestamp,
    ) -> sqlx::Result<Vec<LeasedTask>> {
        let rows = sqlx::query!(
            r#"with held as (
                 select a.task as id, t.input, a.expires_millis
                 from task_attempt a join task t on t.id = a.task
                 where a.queue = $1 and a.license = $3 and a.fence = $5 and a.node_key = $4
                   and a.state = 'leased' and a.expires_millis > $6
                 order by a.task limit $7
               ), picked as (
                 select id from task
                 where queue = $1 and state = 'open' and live + answered < copies
                   and attempts < max_attempts and (workload is null or workload = $2)
                   and (copies = 1 or not exists (
                     select 1 from task_attempt a
                     where a.task = task.id and a.state <> 'expired'
                       and (a.license = $3 or a.node_key = $4)))
                 order by id
                 limit $7 - (select count(*) from held)
                 for update skip locked
               ), taken as (
                 update task set live = live + 1, attempts = attempts + 1
                 from picked where task.id = picked.id
                 returning task.id, task.attempts, task.input, task.time_limit_secs
               ), leased as (
                 insert into task_attempt
                   (task, attempt, queue, license, node_key, fence, leased_millis, expires_millis)
                 select id, attempts, $1, $3, $4, $5, $6, $6 + time_limit_secs::bigint * 1000
                 from taken
                 returning task, expires_millis
               )
               select id as "id!", input as "input!", expires_millis as "expires_millis!" from held
               union all
               select taken.id, taken.input, leased.expires_millis
               from taken join leased on leased.task = taken.id
               order by 1"#,
            self.id,
            holder.workload.as_str(),
            holder.license.as_slice(),
            holder.node_key.as_slice(),
            pg_bigint(holder.fence.get()),
            pg_bigint(now.millis()),
            i64::from(max),
        )
        .fetch_all(&self.pool)
        .await?;
        let leased = |id: i64, input, expires_millis: i64| LeasedTask {
            id: task_id(id),
            input,
            expires: Timestamp::from_millis(expires_millis.unsigned_abs()),
        };
        Ok(rows.into_iter().map(|row| leased(row.id, row.input, row.expires_millis)).collect())
    }

    /// Ends overdue leases, and gives up tasks that may not be leased again. One master does it at a
    /// time; the others find nothing to do.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn expire(&self, now: Timestamp) -> anyhow::Result<ExpiredLeases> {
        let mut total = ExpiredLeases::default();
        loop {
            let mut transaction = self.pool.begin().await?;
            let mine = sqlx::query_scalar!(
                r#"select pg_try_advisory_xact_lock($1) as "mine!""#,
                EXPIRE_LOCK
            )
            .fetch_one(&mut *transaction)
            .await?;
            if !mine {
                return Ok(total);
            }
            let ended = self.expire_some(&mut transaction, now).await?;
            transaction.commit().await?;
            total.leases += ended.leases;
            total.dead += ended.dead;
            if ended.leases < EXPIRE_AT_ONCE.unsigned_abs() {
                return Ok(total);
            }
        }
    }

    async fn expire_some(
        &self,
        transaction: &mut PgTransaction<'_>,
        now: Timestamp,
    ) -> sqlx::Result<ExpiredLeases> {
        let row = sqlx::query!(
            r#"with overdue as (
                 select task from task_attempt
                 where queue = $1 and state = 'leased' and expires_millis <= $2
                 order by expires_millis limit $3
               ), locked as (
                 select id from task where id in (select task from overdue)
                 order by id for update skip locked
               ), ended as (
                 update task_attempt set state = 'expired' from locked
                 where task_attempt.task = locked.id and task_attempt.state = 'leased'
                   and task_attempt.expires_millis <= $2
                 returning task_attempt.task
               ), each as (
                 select task, count(*)::smallint as n from ended group by task
               ), over as (
                 update task set
                   live = live - n,
                   state = case when hopeless then 'dead' else state end,
                   dead_reason = case when hopeless then 'attempts' else dead_reason end,
                   ended_millis = case when hopeless then $2 else ended_millis end
                 from (
                   select each.task, n, t.state = 'open' and t.attempts >= t.max_attempts
                     and t.live - n <= 0 as hopeless
                   from each join task t on t.id = each.task
                 ) ends
                 where task.id = ends.task
                 returning task.id, hopeless
               ), buried as (
                 update task_result set verdict = 'rejected' from over
                 where task_result.task = over.id and hopeless and verdict = 'pending'
                 returning 1
               )
               select (select count(*) from ended) as "leases!",
                      (select count(*) from over where hopeless) as "dead!",
                      (select count(*) from buried) as "buried!""#,
            self.id,
            pg_bigint(now.millis()),
            EXPIRE_AT_ONCE,
        )
        .fetch_one(&mut **transaction)
        .await?;
        Ok(ExpiredLeases { leases: row.leases.unsigned_abs(), dead: row.dead.unsigned_abs() })
    }

    /// Closes a day's counts for good and returns them by license: from now on results count for
    /// later days. The same day again gives the same counts. The day must be over.
    ///
    /// # Errors
    ///
    /// If the database fails; then the day may or may not be closed.
    pub async fn close_day(&self, day: UtcDay) -> anyhow::Result<HashMap<B256, u64>> {
        const LOCK: &str = concat!("begin; select pg_advisory_xact_lock(", day_lock!(), ")");
        let mut transaction = self.pool.begin_with(LOCK).await?;
        let updated = sqlx::query!(
            "update task_queue set closed_through = greatest(closed_through, $2) where id = $1",
            self.id,
            pg_day(day)?
        )
        .execute(&mut *transaction)
        .await?;
        ensure!(updated.rows_affected() == 1, "the project's task queue is gone");
        transaction.commit().await?;
        self.counts(day).await
    }

    /// Results accepted for a day so far, by license. They are final once the day is closed.
    pub(crate) async fn counts(&self, day: UtcDay) -> anyhow::Result<HashMap<B256, u64>> {
        let rows = sqlx::query!(
            r#"select license, count(*) as "tasks!" from task_result
               where queue = $1 and day = $2 group by license"#,
            self.id,
            pg_day(day)?
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| Ok((hash(&row.license)?, row.tasks.unsigned_abs()))).collect()
    }
}

/// A number as Postgres stores it, which has no unsigned types. Ids and times are below 2^63.
pub(crate) fn pg_bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A day as Postgres stores it.
pub(crate) fn pg_day(day: UtcDay) -> anyhow::Result<i32> {
    i32::try_from(day.0).context("a day beyond the calendar")
}

pub(crate) fn task_id(id: i64) -> TaskId {
    TaskId::checked_new(id.unsigned_abs()).unwrap_or(TaskId::MAX)
}

pub(crate) fn hash(bytes: &[u8]) -> anyhow::Result<B256> {
    B256::try_from(bytes).context("a stored hash is not 32 bytes long")
}
