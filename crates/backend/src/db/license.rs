//! Rows of `license` and `license_event`, from final blocks of the collections.

use nodesys_core::holders::{Holders, LicenseEvent};
use nodesys_core::ids::{LicenseIndex, Name};
use nodesys_core::license::LicenseId;
use nodesys_core::listing::ListedDays;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256, U256};
use sqlx::PgConnection;

use super::column;

/// A license in the mirror, with the last listing of its collection, which may be over.
#[derive(Debug, Clone)]
pub(crate) struct LicenseRow {
    pub(crate) idx: LicenseIndex,
    pub(crate) id: LicenseId,
    pub(crate) hash: B256,
    pub(crate) project: Address,
    pub(crate) workload: Name,
    pub(crate) days: ListedDays,
    pub(crate) listed_at: Timestamp,
    pub(crate) first_leased: Option<Timestamp>,
}

/// The raw columns of a [`LicenseRow`]; sqlx fills it by name.
struct Columns {
    idx: i32,
    collection: Vec<u8>,
    token_id: Vec<u8>,
    hash: Vec<u8>,
    project: Vec<u8>,
    workload: String,
    from_day: i32,
    until_day: Option<i32>,
    listed_at: i64,
    first_leased: Option<i64>,
    chain_id: i64,
}

impl TryFrom<Columns> for LicenseRow {
    type Error = anyhow::Error;

    fn try_from(row: Columns) -> anyhow::Result<Self> {
        Ok(Self {
            idx: column::license(row.idx)?,
            id: LicenseId {
                chain_id: column::unsigned(row.chain_id)?,
                collection: column::address(&row.collection)?,
                token_id: column::uint256(&row.token_id)?,
            },
            hash: column::hash(&row.hash)?,
            project: column::address(&row.project)?,
            workload: row.workload.parse()?,
            days: ListedDays {
                from: column::day(row.from_day)?,
                until: row.until_day.map(column::day).transpose()?,
            },
            listed_at: column::time(row.listed_at)?,
            first_leased: row.first_leased.map(column::time).transpose()?,
        })
    }
}

/// The license of a hash.
pub(crate) async fn by_hash(
    conn: &mut PgConnection,
    hash: B256,
) -> anyhow::Result<Option<LicenseRow>> {
    let row = sqlx::query_as!(
        Columns,
        r#"select l.idx as "idx!", l.collection::bytea as "collection!", l.token_id::bytea as "token_id!",
                  l.license_hash::bytea as "hash!", s.project::bytea as "project!",
                  s.workload as "workload!", s.from_day as "from_day!", s.until_day,
                  s.listed_at::bigint as "listed_at!",
                  l.first_leased::bigint as first_leased, k.chain_id as "chain_id!"
           from license l
           join lateral (select * from listing s where s.collection = l.collection
                         order by s.from_day desc limit 1) s on true
           cross join chain_cursor k
           where l.license_hash = $1"#,
        hash.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(LicenseRow::try_from).transpose()
}

/// The license of an index; it must exist.
pub(crate) async fn by_index(
    conn: &mut PgConnection,
    license: LicenseIndex,
) -> anyhow::Result<LicenseRow> {
    let row = sqlx::query_as!(
        Columns,
        r#"select l.idx as "idx!", l.collection::bytea as "collection!", l.token_id::bytea as "token_id!",
                  l.license_hash::bytea as "hash!", s.project::bytea as "project!",
                  s.workload as "workload!", s.from_day as "from_day!", s.until_day,
                  s.listed_at::bigint as "listed_at!",
                  l.first_leased::bigint as first_leased, k.chain_id as "chain_id!"
           from license l
           join lateral (select * from listing s where s.collection = l.collection
                         order by s.from_day desc limit 1) s on true
           cross join chain_cursor k
           where l.idx = $1"#,
        column::license_number(license)?
    )
    .fetch_one(conn)
    .await?;
    LicenseRow::try_from(row)
}

/// Locks a license's row: changes to its leases run one after another.
pub(crate) async fn lock(conn: &mut PgConnection, license: LicenseIndex) -> anyhow::Result<()> {
    let license = column::license_number(license)?;
    sqlx::query!("select idx from license where idx = $1 for update", license)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// A license that was ever leased, for a day's close.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeasedLicense {
    pub(crate) project: Address,
    pub(crate) license: LicenseIndex,
    pub(crate) collection: Address,
    pub(crate) token_id: U256,
    /// When it was first leased, or listed since, if that was later.
    pub(crate) expected_since: Timestamp,
}

/// Licenses that were a project's on a day, first leased before its end, by index.
pub(crate) async fn leased_on(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<Vec<LeasedLicense>> {
    let rows = sqlx::query!(
        r#"select s.project::bytea as "project!", l.idx as "idx!", l.collection::bytea as "collection!",
                  l.token_id::bytea as "token_id!",
                  greatest(l.first_leased::bigint, s.listed_at::bigint) as "expected_since!"
           from license l join listing s on s.collection = l.collection
           where l.first_leased::bigint < $1
             and s.from_day <= $2 and (s.until_day is null or s.until_day > $2)
           order by l.idx"#,
        column::millis(day.end())?,
        column::day_number(day)?
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LeasedLicense {
                project: column::address(&row.project)?,
                license: column::license(row.idx)?,
                collection: column::address(&row.collection)?,
                token_id: column::uint256(&row.token_id)?,
                expected_since: column::time(row.expected_since)?,
            })
        })
        .collect()
}

/// Holders and rentals, folded from mirrored events.
pub(crate) struct Folded {
    pub(crate) holders: Holders,
    /// Whether the sender of each transfer is known. Where it is not, the fold takes it for the holder
    /// by the events before.
    pub(crate) senders_known: bool,
}

/// Holders and rentals of some licenses by the mirrored events up to a block.
pub(crate) async fn holders(
    conn: &mut PgConnection,
    licenses: &[LicenseIndex],
    up_to_block: u64,
) -> anyhow::Result<Folded> {
    let indexes: Vec<i32> =
        licenses.iter().copied().map(column::license_number).collect::<Result<_, _>>()?;
    let rows = sqlx::query!(
        r#"select l.collection::bytea as "collection!", l.token_id::bytea as "token_id!",
                  e.sender::bytea as sender, e.account::bytea as "account!", e.expires_secs
           from license_event e join license l on l.idx = e.license_idx
           where e.license_idx = any($1) and e.block_number <= $2
           order by e.block_number, e.log_index"#,
        &indexes,
        i64::try_from(up_to_block).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await?;
    let mut folded = Folded { holders: Holders::default(), senders_known: true };
    for row in &rows {
        let collection = column::address(&row.collection)?;
        let token_id = column::uint256(&row.token_id)?;
        let account = column::address(&row.account)?;
        let event = match row.expires_secs {
            None => {
                let sender = row.sender.as_deref().map(column::address).transpose()?;
                folded.senders_known &= sender.is_some();
                let holder = || folded.holders.at(collection, token_id, 0).holder;
                let from = sender.or_else(holder).unwrap_or_default();
                LicenseEvent::Transfer { collection, token_id, from, to: account }
            }
            Some(expires) => LicenseEvent::UpdateUser {
                collection,
                token_id,
                user: account,
                expires_secs: column::unsigned(expires)?,
            },
        };
        folded.holders.apply(event);
    }
    Ok(folded)
}

/// Stores one event, and the license with the first event of its token. Idempotent.
pub(crate) async fn insert_event(
    conn: &mut PgConnection,
    chain_id: u64,
    block_number: u64,
    log_index: u64,
    event: &LicenseEvent,
) -> anyhow::Result<LicenseIndex> {
    let (collection, token_id, sender, account, expires) = match *event {
        LicenseEvent::Transfer { collection, token_id, from, to } => {
            (collection, token_id, Some(from), to, None)
        }
        LicenseEvent::UpdateUser { collection, token_id, user, expires_secs } => {
            // "Until 2^64 - 1" means for ever; the column ends at 2^63 - 1, as far away.
            let expires = i64::try_from(expires_secs).unwrap_or(i64::MAX);
            (collection, token_id, None, user, Some(expires))
        }
    };
    let idx = find_or_insert(conn, LicenseId { chain_id, collection, token_id }).await?;
    sqlx::query!(
        "insert into license_event
             (block_number, log_index, license_idx, kind, sender, account, expires_secs)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (block_number, log_index) do update set sender = excluded.sender
         where license_event.sender is null and excluded.sender is not null",
        column::signed(block_number)?,
        i32::try_from(log_index)?,
        idx,
        if expires.is_none() { "transfer" } else { "update_user" },
        sender.as_ref().map(|sender| sender.as_slice()) as _,
        account.as_slice() as _,
        expires
    )
    .execute(conn)
    .await?;
    column::license(idx)
}

async fn find_or_insert(conn: &mut PgConnection, id: LicenseId) -> anyhow::Result<i32> {
    let hash = id.hash();
    let known = sqlx::query_scalar!(
        r#"select idx as "idx!" from license where license_hash = $1"#,
        hash.as_slice() as _
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(idx) = known {
        return Ok(idx);
    }
    let token_id: [u8; 32] = U256::to_be_bytes(&id.token_id);
    // One mirror runs at a time, so the next index is nobody else's.
    let idx = sqlx::query_scalar!(
        r#"insert into license (idx, collection, token_id, license_hash)
           select coalesce(max(idx) + 1, 0), $1, $2, $3 from license returning idx as "idx!""#,
        id.collection.as_slice() as _,
        token_id.as_slice() as _,
        hash.as_slice() as _
    )
    .fetch_one(conn)
    .await?;
    Ok(idx)
}
