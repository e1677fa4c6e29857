//! Rows of `login` and `login_nonce`: people who are signed in, and the texts they signed.

use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::column;

/// A login that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoginRow {
    pub(crate) id: u64,
    pub(crate) account: Address,
    pub(crate) program: String,
    pub(crate) begun: Timestamp,
    pub(crate) until: Timestamp,
}

/// The raw columns of a [`LoginRow`]; sqlx fills it by name.
struct Columns {
    id: i64,
    account: Vec<u8>,
    program: String,
    begun_at: i64,
    until_at: i64,
}

impl TryFrom<Columns> for LoginRow {
    type Error = anyhow::Error;

    fn try_from(row: Columns) -> anyhow::Result<Self> {
        Ok(Self {
            id: column::unsigned(row.id)?,
            account: column::address(&row.account)?,
            program: row.program,
            begun: column::time(row.begun_at)?,
            until: column::time(row.until_at)?,
        })
    }
}

/// Records that a text was signed; false when it was before.
pub(crate) async fn take_nonce(
    conn: &mut PgConnection,
    nonce: &[u8; 24],
    until: Timestamp,
) -> anyhow::Result<bool> {
    let done = sqlx::query!(
        "insert into login_nonce (nonce, until_at) values ($1, $2) on conflict do nothing",
        nonce.as_slice(),
        column::millis(until)? as _
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Begins a login. Of the account's others only so many of the newest go on that there are `most`.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    token_hash: B256,
    login: &LoginRow,
    most: i64,
) -> anyhow::Result<LoginRow> {
    let id = sqlx::query_scalar!(
        r#"insert into login (token_hash, account, program, begun_at, until_at)
           values ($1, $2, $3, $4, $5) returning id as "id!""#,
        token_hash.as_slice() as _,
        login.account.as_slice() as _,
        login.program,
        column::millis(login.begun)? as _,
        column::millis(login.until)? as _
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from login where account = $1 and id not in (
             select id from login where account = $1 order by id desc limit $2)",
        login.account.as_slice() as _,
        most
    )
    .execute(conn)
    .await?;
    Ok(LoginRow { id: column::unsigned(id)?, ..login.clone() })
}

/// The login of a secret, while it goes on.
pub(crate) async fn by_token(
    conn: &mut PgConnection,
    token_hash: B256,
    now: Timestamp,
) -> anyhow::Result<Option<LoginRow>> {
    let row = sqlx::query_as!(
        Columns,
        r#"select id as "id!", account::bytea as "account!", program as "program!",
                  begun_at::bigint as "begun_at!", until_at::bigint as "until_at!"
           from login where token_hash = $1 and until_at > $2"#,
        token_hash.as_slice() as _,
        column::millis(now)? as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(LoginRow::try_from).transpose()
}

/// An account's logins that go on, the newest first.
pub(crate) async fn of_account(
    conn: &mut PgConnection,
    account: Address,
    now: Timestamp,
) -> anyhow::Result<Vec<LoginRow>> {
    let rows = sqlx::query_as!(
        Columns,
        r#"select id as "id!", account::bytea as "account!", program as "program!",
                  begun_at::bigint as "begun_at!", until_at::bigint as "until_at!"
           from login where account = $1 and until_at > $2 order by id desc"#,
        account.as_slice() as _,
        column::millis(now)? as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(LoginRow::try_from).collect()
}

/// Ends an account's login; nothing happens where it has none of this number.
pub(crate) async fn end(conn: &mut PgConnection, account: Address, id: u64) -> anyhow::Result<()> {
    // No login has a number beyond the column's.
    let Ok(id) = i64::try_from(id) else { return Ok(()) };
    sqlx::query!("delete from login where account = $1 and id = $2", account.as_slice() as _, id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends the login of a secret, whosever it is.
pub(crate) async fn end_by_token(conn: &mut PgConnection, token_hash: B256) -> anyhow::Result<()> {
    sqlx::query!("delete from login where token_hash = $1", token_hash.as_slice() as _)
        .execute(conn)
        .await?;
    Ok(())
}

/// Drops what has ended by itself.
pub(crate) async fn drop_ended(conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<()> {
    let now = column::millis(now)?;
    sqlx::query!("delete from login where until_at <= $1", now as _).execute(&mut *conn).await?;
    sqlx::query!("delete from login_nonce where until_at <= $1", now as _).execute(conn).await?;
    Ok(())
}
