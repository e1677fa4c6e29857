//! Rows of `heartbeat_batch`: one for each group commit.

use anyhow::Context;
use nodesys_core::message::{ReceiptBatch, Signed};
use nodesys_core::time::{Minute, Timestamp, UtcDay};
use roaring::RoaringBitmap;
use sqlx::PgConnection;

use super::column;
use super::evidence::{self, Entry};
use super::lease_mark::Mark;

/// A batch to store.
pub(crate) struct NewBatch<'a> {
    pub(crate) writer: i32,
    pub(crate) wseq: i64,
    pub(crate) minute: Minute,
    pub(crate) heartbeats: usize,
    /// Credited licenses.
    pub(crate) licenses: &'a RoaringBitmap,
    /// Licenses whose lease was carried without credit.
    pub(crate) carried: &'a RoaringBitmap,
    /// Of those, the ones carried as degraded or down.
    pub(crate) unfit: &'a RoaringBitmap,
    pub(crate) body: &'a [u8],
    pub(crate) receipt: &'a Signed<ReceiptBatch>,
    /// Number of the newest end of a lease known when the batch was judged.
    pub(crate) lease_seq: i64,
    /// The newest change of a lease known then.
    pub(crate) known: Mark,
}

/// Stores a batch by one statement; false when its day is closed.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    batch: &NewBatch<'_>,
) -> Result<bool, sqlx::Error> {
    let number = |error: std::num::TryFromIntError| sqlx::Error::Encode(error.into());
    let receipt = batch.receipt;
    let done = sqlx::query!(
        r#"with open_day as (
               select day from day where day = $1 and closed_at is null for key share
           )
           insert into heartbeat_batch
               (day, writer, wseq, minute, n, licenses, carried, unfit, body, server_time, root,
                signature, lease_seq, known_seq, known_mark)
           select day, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 from open_day"#,
        i32::try_from(batch.minute.day().0).map_err(number)?,
        batch.writer,
        batch.wseq,
        i16::try_from(batch.minute.of_day()).map_err(number)?,
        i32::try_from(batch.heartbeats).map_err(number)?,
        to_bytes(batch.licenses),
        (!batch.carried.is_empty()).then(|| to_bytes(batch.carried)),
        (!batch.unfit.is_empty()).then(|| to_bytes(batch.unfit)),
        batch.body,
        i64::try_from(receipt.message.server_time_millis).map_err(number)? as _,
        receipt.message.root.as_slice() as _,
        receipt.signature.as_bytes().as_slice(),
        batch.lease_seq,
        batch.known.seq,
        batch.known.mark
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Why an insert was refused, if a new judgement helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outdated {
    /// A lease has ended since.
    NewerEnd,
    /// The database lacks what the replica knew: its memory is of another one.
    OtherDatabase,
}

/// Whether an insert was refused because its batch was judged by other leases.
pub(crate) fn outdated(error: &sqlx::Error) -> Option<Outdated> {
    match error.as_database_error()?.constraint()? {
        "heartbeat_batch_leases_known" => Some(Outdated::NewerEnd),
        // Its own row of `writer` may be lost too.
        "heartbeat_batch_leases_here" => Some(Outdated::OtherDatabase),
        // A partition's copy of the constraint has a name of its own.
        key if key.ends_with("_writer_fkey") || key == "heartbeat_batch_writer" => {
            Some(Outdated::OtherDatabase)
        }
        _ => None,
    }
}

/// A stored batch, for the fold.
pub(crate) struct StoredBatch {
    pub(crate) wseq: i64,
    pub(crate) minute_of_day: u16,
    pub(crate) licenses: RoaringBitmap,
    pub(crate) carried: RoaringBitmap,
    pub(crate) unfit: RoaringBitmap,
    pub(crate) entries: Vec<Entry>,
    pub(crate) server_time: Timestamp,
}

/// A writer's batches of a day above a number, in order; each is parsed when its turn comes.
pub(crate) async fn after(
    conn: &mut PgConnection,
    day: UtcDay,
    writer: i32,
    wseq: i64,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<StoredBatch>>> {
    let rows = sqlx::query!(
        r#"select wseq as "wseq!", minute as "minute!", licenses as "licenses!", carried,
                  unfit, body as "body!", server_time::bigint as "server_time!"
           from heartbeat_batch where day = $1 and writer = $2 and wseq > $3 order by wseq"#,
        column::day_number(day)?,
        writer,
        wseq
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| {
        Ok(StoredBatch {
            wseq: row.wseq,
            minute_of_day: u16::try_from(row.minute)?,
            licenses: from_bytes(&row.licenses)?,
            carried: row.carried.as_deref().map(from_bytes).transpose()?.unwrap_or_default(),
            unfit: row.unfit.as_deref().map(from_bytes).transpose()?.unwrap_or_default(),
            entries: evidence::decode(&row.body)?,
            server_time: column::time(row.server_time)?,
        })
    }))
}

/// A stored batch, for a day's close.
pub(crate) struct ClosingBatch {
    pub(crate) minute_of_day: u16,
    pub(crate) licenses: RoaringBitmap,
    pub(crate) receipt: ReceiptBatch,
}

/// All of a day's batches, by writer and number; each is parsed when its turn comes.
pub(crate) async fn of_day(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<ClosingBatch>>> {
    let rows = sqlx::query!(
        r#"select minute as "minute!", licenses as "licenses!",
                  server_time::bigint as "server_time!", root::bytea as "root!"
           from heartbeat_batch where day = $1 order by writer, wseq"#,
        column::day_number(day)?
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(move |row| {
        let minute_of_day = u16::try_from(row.minute)?;
        let receipt = ReceiptBatch {
            minute: Minute(day.first_minute().0 + u64::from(minute_of_day)),
            server_time_millis: column::unsigned(row.server_time)?,
            root: column::hash(&row.root)?,
        };
        Ok(ClosingBatch { minute_of_day, licenses: from_bytes(&row.licenses)?, receipt })
    }))
}

/// Whether a day has a batch.
pub(crate) async fn any_on(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<bool> {
    let lived = sqlx::query_scalar!(
        r#"select exists (select from heartbeat_batch where day = $1) as "lived!""#,
        column::day_number(day)?
    )
    .fetch_one(conn)
    .await?;
    Ok(lived)
}

fn to_bytes(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).expect("writing to a Vec cannot fail");
    bytes
}

fn from_bytes(bytes: &[u8]) -> anyhow::Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(bytes).context("a stored roaring bitmap does not read")
}
