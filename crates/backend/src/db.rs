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
pub(crate) mod lease;
pub(crate) mod lease_end;
pub(crate) mod lease_mark;
pub(crate) mod license;
pub(crate) mod lock;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod notify;
pub(crate) mod outage;
pub(crate) mod outbox;
pub(crate) mod points;
pub(crate) mod project;
pub(crate) mod release;
pub(crate) mod standby;
pub(crate) mod tree;
pub(crate) mod writer;

use sqlx::PgConnection;

/// Whether the database takes writes: a standby, and a primary that is becoming one, do not.
pub(crate) async fn takes_writes(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query_scalar("select current_setting('transaction_read_only') = 'off'");
    asked.fetch_one(conn).await
}
