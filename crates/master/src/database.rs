//! The master's Postgres: the record of signed commits, and the task queue.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config::Settings;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../../migrations/master");
    // A master of the version before starts on the schema of the next one: migrations/README.md.
    migrations.set_ignore_missing(true);
    migrations
});

/// Connects; migrates, or refuses an older schema with `--no-migrate`. An acknowledged write is on disk.
///
/// # Errors
///
/// If the URL is missing or malformed, the database does not answer within 3 seconds, or its schema
/// cannot be used.
pub async fn connect(settings: &Settings) -> anyhow::Result<PgPool> {
    let pool = open(settings).await?;
    if settings.no_migrate {
        require_schema(&pool).await?;
    } else {
        migrate(&pool).await?;
    }
    let fsync = sqlx::query_scalar!("select current_setting('fsync')").fetch_one(&pool).await?;
    if fsync.as_deref() != Some("on") {
        tracing::warn!("this Postgres runs with fsync off: a crash loses acknowledged results");
    }
    Ok(pool)
}

/// Connects as the owner of the tables, and brings them up to date.
///
/// # Errors
///
/// As [`connect`].
pub(crate) async fn bring_up_to_date(settings: &Settings) -> anyhow::Result<()> {
    migrate(&open(settings).await?).await
}

async fn open(settings: &Settings) -> anyhow::Result<PgPool> {
    let url = settings.database_url()?;
    let options: PgConnectOptions = url.expose().parse().context("--database-url")?;
    // Statements here are short; compiling them costs more than running them.
    let options = options.options([("synchronous_commit", "on"), ("jit", "off")]);
    PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(3))
        .connect_with(options)
        .await
        .context("the master's database does not answer: check --database-url")
}

/// Brings the schema up to date; several masters may do it at once.
async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    MIGRATIONS.run(pool).await.context("the master's database cannot be migrated")
}

/// Refuses a schema that lacks a migration; changes nothing.
async fn require_schema(pool: &PgPool) -> anyhow::Result<()> {
    let known: BTreeSet<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    let table = "select to_regclass('_sqlx_migrations') is not null";
    let applied: BTreeSet<i64> = if sqlx::query_scalar(table).fetch_one(pool).await? {
        let versions = "select version from _sqlx_migrations where success";
        sqlx::query_scalar::<_, i64>(versions).fetch_all(pool).await?.into_iter().collect()
    } else {
        BTreeSet::new()
    };
    let missing: Vec<String> = known.difference(&applied).map(i64::to_string).collect();
    if !missing.is_empty() {
        bail!(
            "the database lacks the migrations {}: run `nodesys-master migrate` as the owner of its \
             tables",
            missing.join(", ")
        );
    }
    Ok(())
}
