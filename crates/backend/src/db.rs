//! All SQL of the backend: a file per group of tables.
//!
//! Free functions take a connection and plain values and return rows; the row types live here,
//! parsed. A function runs on its caller's connection, so the caller sets the bounds of a
//! transaction. Nothing here knows a stage, a cache or a handler.

pub(crate) mod active_lease;
pub(crate) mod batch;
pub(crate) mod claim;
mod column;
pub(crate) mod commit;
pub(crate) mod connect;
pub(crate) mod cursor;
pub(crate) mod day;
pub(crate) mod evidence;
pub(crate) mod fleet;
pub(crate) mod lease;
pub(crate) mod lease_end;
pub(crate) mod lease_mark;
pub(crate) mod license;
pub(crate) mod listing;
pub(crate) mod lock;
pub(crate) mod login;
pub(crate) mod mirror_source;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod notify;
pub(crate) mod outage;
pub(crate) mod outbox;
pub(crate) mod pairing;
pub(crate) mod points;
pub(crate) mod project;
pub(crate) mod release;
pub(crate) mod rewind;
pub(crate) mod standby;
pub(crate) mod tree;
pub(crate) mod uptime_count;
pub(crate) mod writer;

use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

/// Whether the database takes writes: a standby, and a primary that is becoming one, do not.
pub(crate) async fn takes_writes(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query_scalar("select current_setting('transaction_read_only') = 'off'");
    asked.fetch_one(conn).await
}

/// What metrics say of the database.
pub(crate) struct Facts {
    pub(crate) newest_closed_day: Option<u64>,
    /// Past days that are open.
    pub(crate) days_waiting: u64,
    pub(crate) leases_active: u64,
    pub(crate) outbox_waiting: u64,
    pub(crate) outbox_oldest: Option<Timestamp>,
}

/// The facts of now.
pub(crate) async fn facts(conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<Facts> {
    let row = sqlx::query!(
        r#"select (select max(d.day)::bigint from day d where d.closed_at is not null) as newest_closed_day,
               (select count(*) from day d where d.closed_at is null and d.day < $1) as "days_waiting!",
               (select count(*) from lease l where l.ended_at is null) as "leases_active!",
               count(o.id) as "outbox_waiting!", min(o.created_at)::bigint as outbox_oldest
           from outbox o join reward_commit c on (c.project, c.commit_hash) = (o.to_address, o.commit_hash)
           where o.done_block is null and c.revoked_block is null"#,
        column::day_number(now.day())?
    )
    .fetch_one(conn)
    .await?;
    Ok(Facts {
        newest_closed_day: row.newest_closed_day.map(column::unsigned).transpose()?,
        days_waiting: column::unsigned(row.days_waiting)?,
        leases_active: column::unsigned(row.leases_active)?,
        outbox_waiting: column::unsigned(row.outbox_waiting)?,
        outbox_oldest: row
            .outbox_oldest
            .map(column::unsigned)
            .transpose()?
            .map(Timestamp::from_millis),
    })
}
