//! The master's Postgres: the record of signed commits, and the task queue.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config::DatabaseUrl;

/// Connects and migrates. An acknowledged write is on disk.
///
/// # Errors
///
/// If the URL is malformed, the database does not answer within 3 seconds, or a migration fails.
pub async fn connect(url: &DatabaseUrl) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = url.expose().parse().context("--database-url")?;
    // Statements here are short; compiling them costs more than running them.
    let options = options.options([("synchronous_commit", "on"), ("jit", "off")]);
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(3))
        .connect_with(options)
        .await
        .context("the master's database does not answer: check --database-url")?;
    migrate(&pool).await?;
    let fsync = sqlx::query_scalar!("select current_setting('fsync')").fetch_one(&pool).await?;
    if fsync.as_deref() != Some("on") {
        tracing::warn!("this Postgres runs with fsync off: a crash loses acknowledged results");
    }
    Ok(pool)
}

/// Brings the schema up to date; several masters may do it at once.
async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::migrate!("../../migrations/master")
        // A master of the version before starts on the schema of the next one: migrations/README.md.
        .set_ignore_missing(true)
        .run(pool)
        .await
        .context("the master's database cannot be migrated")
}
