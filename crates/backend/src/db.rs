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
pub(crate) mod cursor;
pub(crate) mod day;
pub(crate) mod evidence;
pub(crate) mod lease;
pub(crate) mod lease_end;
pub(crate) mod license;
pub(crate) mod lock;
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

use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool};

/// Connects, refuses a server that may lose acknowledged heartbeats, and migrates.
pub(crate) async fn connect(
    url: &str,
    connections: u32,
    allow_unsafe: bool,
) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = url.parse().context("the database URL cannot be read")?;
    // What is acknowledged is on disk, whatever the server's own default.
    let options = options.options([("synchronous_commit", "on")]);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .context("cannot connect to Postgres")?;
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&pool).await?;
    if fsync != "on" && !allow_unsafe {
        bail!(
            "Postgres runs with fsync={fsync}: a crash would lose acknowledged heartbeats. \
             Turn fsync on, or pass --allow-unsafe-postgres in tests"
        );
    }
    sqlx::migrate!("../../migrations/backend")
        .run(&pool)
        .await
        .context("migrating the database")?;
    Ok(pool)
}

/// Succeeds when the database answers.
pub(crate) async fn ping(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select 1").execute(conn).await.map(drop)
}
