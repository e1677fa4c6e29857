//! Connecting to Postgres: whether it keeps what is acknowledged, and whether the schema fits.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

/// How long one attempt to connect may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What Postgres says of a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

pub(crate) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../../migrations/backend");
    // Replicas of the version before start on the schema of the next one: migrations/README.md.
    migrations.set_ignore_missing(true);
    migrations
});

/// Connects, and refuses a server that may lose acknowledged heartbeats.
pub(crate) async fn connect(
    url: &str,
    connections: u32,
    allow_unsafe: bool,
) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = url.parse().context("the database URL cannot be read")?;
    // A pool tries for as long as it may, and then says nothing but that.
    first(&options).await?;
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // What is acknowledged is on disk, whatever the server's own default. A pooler in between may
        // pass over a startup option without a word.
        .after_connect(|conn, _| {
            Box::pin(async { conn.execute("set synchronous_commit = on").await.map(drop) })
        })
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
    let standbys = asynchronous_standbys(&mut *pool.acquire().await?).await?;
    if standbys > 0 && !allow_unsafe {
        bail!(
            "Postgres has {standbys} standbys and synchronous_standby_names is empty: a failover would \
             lose acknowledged heartbeats. Name them there, as in 'ANY 1 (*)'"
        );
    }
    let commit: String = sqlx::query_scalar("show synchronous_commit").fetch_one(&pool).await?;
    if commit != "on" {
        bail!(
            "a connection of the pool has synchronous_commit={commit} after it was set to on: a \
             pooler shares its connections by transaction. Use session mode, or no pooler"
        );
    }
    Ok(pool)
}

/// Standbys that acknowledge nothing: all of them while no synchronous one is named, else none. A server
/// without standbys needs no names. Readers of the log that are no standbys (archives, backups, logical
/// replication) do not count.
pub(crate) async fn asynchronous_standbys(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let asked = sqlx::query_scalar(
        "select count(*) from pg_stat_replication r
         where current_setting('synchronous_standby_names') = ''
           and coalesce(application_name, '') not in ('pg_receivewal', 'pg_basebackup')
           and not exists (
               select from pg_replication_slots s
               where s.active_pid = r.pid and s.slot_type = 'logical')",
    );
    asked.fetch_one(conn).await
}

/// One connection, whose error names the server and the reason.
async fn first(options: &PgConnectOptions) -> anyhow::Result<()> {
    let server = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let trying = tokio::time::timeout(PATIENCE, PgConnection::connect_with(options)).await;
    let connected = trying
        .with_context(|| format!("Postgres at {server} does not answer within 10 s"))?
        .with_context(|| format!("cannot connect to Postgres at {server}"))?;
    connected.close().await.ok();
    Ok(())
}

/// Brings the schema up to date, under a lock: any number of replicas may do it at once.
pub(crate) async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    MIGRATIONS.run(pool).await.context("migrating the database")?;
    let newer: Vec<i64> = applied(pool).await?.difference(&known()).copied().collect();
    if !newer.is_empty() {
        tracing::warn!(?newer, "the schema is of a newer version of this program");
    }
    Ok(())
}

/// Refuses a schema that lacks a migration; changes nothing.
pub(crate) async fn require_schema(pool: &PgPool) -> anyhow::Result<()> {
    let missing: Vec<String> =
        known().difference(&applied(pool).await?).map(i64::to_string).collect();
    if !missing.is_empty() {
        bail!(
            "the database lacks the migrations {}: run `nodesys-backend migrate` as the owner of \
             its tables",
            missing.join(", ")
        );
    }
    Ok(())
}

fn known() -> BTreeSet<i64> {
    MIGRATIONS.iter().map(|migration| migration.version).collect()
}

/// The versions that the database has.
async fn applied(pool: &PgPool) -> anyhow::Result<BTreeSet<i64>> {
    let versions =
        sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations where success");
    match versions.fetch_all(pool).await {
        Ok(versions) => Ok(versions.into_iter().collect()),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => {
            Ok(BTreeSet::new())
        }
        Err(error) => Err(error).context("reading which migrations the database has"),
    }
}
