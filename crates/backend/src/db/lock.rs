//! Advisory locks: they choose the replica that does a piece of work.

use sqlx::PgConnection;

/// Work that only one replica does at a time.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
pub(crate) enum Lock {
    /// Ending leases by time.
    Expiry = 0x6e73_0001,
    /// Following the chain.
    Mirror = 0x6e73_0002,
    /// Posting commits.
    Poster = 0x6e73_0003,
    /// Finding outages and sending notifications.
    Notify = 0x6e73_0006,
}

/// Takes a lock until the transaction ends; false when another replica has it.
pub(crate) async fn take_in_transaction(
    conn: &mut PgConnection,
    lock: Lock,
) -> anyhow::Result<bool> {
    let locked =
        sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "locked!""#, lock as i64)
            .fetch_one(conn)
            .await?;
    Ok(locked)
}

/// Waits for a lock, and keeps it until the transaction ends.
pub(crate) async fn wait_in_transaction(conn: &mut PgConnection, lock: Lock) -> anyhow::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock($1)", lock as i64).execute(conn).await?;
    Ok(())
}

/// Takes a lock until it is released or the connection ends; false when another replica has it.
pub(crate) async fn take(conn: &mut PgConnection, lock: Lock) -> anyhow::Result<bool> {
    let locked =
        sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "locked!""#, lock as i64)
            .fetch_one(conn)
            .await?;
    Ok(locked)
}

/// Releases a lock that this connection holds.
pub(crate) async fn release(conn: &mut PgConnection, lock: Lock) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("select pg_advisory_unlock($1)", lock as i64)
        .fetch_one(conn)
        .await
        .map(drop)
}
