//! Rows of `points_upload`: the points file last uploaded for a day.

use nodesys_core::Address;
use nodesys_core::time::{Timestamp, UtcDay};
use sqlx::PgConnection;

use super::column;

/// An upload as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct UploadRow {
    /// Canonical JSON of the day's terms.
    pub(crate) terms: Vec<u8>,
    /// `points.csv`.
    pub(crate) csv: Vec<u8>,
    /// The reward signer's signature.
    pub(crate) signature: Vec<u8>,
}

/// Stores an upload in place of the day's last one.
pub(crate) async fn store(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
    upload: &UploadRow,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into points_upload (project, day, terms, csv, signature, uploaded_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (project, day) do update set
            terms = excluded.terms, csv = excluded.csv, signature = excluded.signature,
            uploaded_at = excluded.uploaded_at",
        project.as_slice() as _,
        column::day_number(day)?,
        upload.terms,
        upload.csv,
        upload.signature,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The last upload of a day.
pub(crate) async fn of_day(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<Option<UploadRow>> {
    let row = sqlx::query_as!(
        UploadRow,
        r#"select terms as "terms!", csv as "csv!", signature as "signature!"
           from points_upload where project = $1 and day = $2"#,
        project.as_slice() as _,
        column::day_number(day)?
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// When the last upload of a day was stored.
pub(crate) async fn uploaded_at(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<Option<Timestamp>> {
    let at = sqlx::query_scalar!(
        r#"select uploaded_at::bigint as "uploaded_at!" from points_upload
           where project = $1 and day = $2"#,
        project.as_slice() as _,
        column::day_number(day)?
    )
    .fetch_optional(conn)
    .await?;
    at.map(column::time).transpose()
}
