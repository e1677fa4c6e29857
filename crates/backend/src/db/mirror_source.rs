//! Rows of `mirror_source`: whom the mirror follows, and how far.

use nodesys_chain::ownership::DELEGATE_REGISTRY;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::column;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Registry,
    Distributor,
    Collection,
    Delegates,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Distributor => "distributor",
            Self::Collection => "collection",
            Self::Delegates => "delegates",
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let all = [Self::Registry, Self::Distributor, Self::Collection, Self::Delegates];
        let kind = all.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| anyhow::anyhow!("no kind of source: {text:?}"))
    }
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceRow {
    pub(crate) kind: Kind,
    pub(crate) address: Address,
    pub(crate) first_block: u64,
    /// Last block whose logs are in the mirror, and its hash.
    pub(crate) cursor: Option<(u64, B256)>,
    /// Failed tries since it could be read.
    pub(crate) failures: u32,
    pub(crate) set_aside: Option<SetAside>,
}

/// Why a source is not followed for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetAside {
    pub(crate) since: Timestamp,
    pub(crate) next_try: Timestamp,
}

impl SourceRow {
    /// What it is found by.
    pub(crate) const fn key(&self) -> (Kind, Address) {
        (self.kind, self.address)
    }

    /// The block after its cursor.
    pub(crate) fn next_block(&self) -> u64 {
        self.cursor.map_or(self.first_block, |(block, _)| block + 1)
    }

    /// In words: "collection 0x…".
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.address)
    }
}

/// Gives a row to each source that has none: those of a new project or collection, and all of them at
/// first.
pub(crate) async fn ensure(
    conn: &mut PgConnection,
    registry: Address,
    first_block: u64,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into mirror_source (kind, address, project, first_block)
         select 'registry', $1::bytea, null::bytea, $3::bigint
         union all select 'delegates', $2::bytea, null, $3
         union all select 'distributor', project, project, $3 from project
         union all select 'collection', collection, project, $3 from collection
         on conflict do nothing",
        registry.as_slice(),
        DELEGATE_REGISTRY.as_slice(),
        column::signed(first_block)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Every source.
pub(crate) async fn all(conn: &mut PgConnection) -> anyhow::Result<Vec<SourceRow>> {
    let rows = sqlx::query!(
        r#"select kind as "kind!", address::bytea as "address!", first_block as "first_block!",
                  cursor_block, cursor_hash::bytea as cursor_hash, failures as "failures!",
                  set_aside_at::bigint as set_aside_at, next_try::bigint as next_try
           from mirror_source order by kind, address"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let cursor = match (row.cursor_block, row.cursor_hash) {
                (Some(block), Some(hash)) => Some((column::unsigned(block)?, column::hash(&hash)?)),
                _ => None,
            };
            let set_aside = match (row.set_aside_at, row.next_try) {
                (Some(since), Some(next_try)) => Some(SetAside {
                    since: column::time(since)?,
                    next_try: column::time(next_try)?,
                }),
                _ => None,
            };
            Ok(SourceRow {
                kind: Kind::parse(&row.kind)?,
                address: column::address(&row.address)?,
                first_block: column::unsigned(row.first_block)?,
                cursor,
                failures: u32::try_from(row.failures)?,
                set_aside,
            })
        })
        .collect()
}

/// Moves a source's cursor: it was read.
pub(crate) async fn move_to(
    conn: &mut PgConnection,
    source: &SourceRow,
    block: u64,
    hash: B256,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update mirror_source set cursor_block = $3, cursor_hash = $4, failures = 0,
             set_aside_at = null, reason = null, next_try = null
         where kind = $1 and address = $2",
        source.kind.as_str(),
        source.address.as_slice() as _,
        column::signed(block)?,
        hash.as_slice() as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a source could be read, and leaves its cursor where it is.
pub(crate) async fn readable(conn: &mut PgConnection, source: &SourceRow) -> anyhow::Result<()> {
    sqlx::query!(
        "update mirror_source set failures = 0, set_aside_at = null, reason = null, next_try = null
         where kind = $1 and address = $2",
        source.kind.as_str(),
        source.address.as_slice() as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets a source aside, or says anew why and until when.
pub(crate) async fn set_aside(
    conn: &mut PgConnection,
    source: &SourceRow,
    reason: &str,
    now: Timestamp,
    next_try: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update mirror_source set failures = failures + 1, reason = $3,
             set_aside_at = coalesce(set_aside_at, $4), next_try = $5
         where kind = $1 and address = $2",
        source.kind.as_str(),
        source.address.as_slice() as _,
        reason,
        column::millis(now)? as _,
        column::millis(next_try)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The highest block that any source has passed: it is final.
pub(crate) async fn highest(conn: &mut PgConnection) -> anyhow::Result<Option<u64>> {
    let highest = sqlx::query_scalar!("select max(cursor_block) from mirror_source");
    highest.fetch_one(conn).await?.map(column::unsigned).transpose()
}

/// How far a distributor is in the mirror.
pub(crate) async fn of_distributor(
    conn: &mut PgConnection,
    project: Address,
) -> anyhow::Result<Option<u64>> {
    let block = sqlx::query_scalar!(
        "select cursor_block from mirror_source where kind = 'distributor' and address = $1",
        project.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    block.flatten().map(column::unsigned).transpose()
}

/// Since when a collection is set aside, if it is.
pub(crate) async fn collection_aside(
    conn: &mut PgConnection,
    collection: Address,
) -> anyhow::Result<Option<Timestamp>> {
    let since = sqlx::query_scalar!(
        "select set_aside_at::bigint from mirror_source where kind = 'collection' and address = $1",
        collection.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    since.flatten().map(column::time).transpose()
}

/// A source that has not passed a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) kind: Kind,
    pub(crate) address: Address,
    /// Since when it is set aside, if it is.
    pub(crate) since: Option<Timestamp>,
}

/// The sources of a project's day that have not passed a block. One without a row has passed none.
pub(crate) async fn behind(
    conn: &mut PgConnection,
    project: Address,
    registry: Address,
    day: UtcDay,
    block: u64,
) -> anyhow::Result<Vec<Behind>> {
    let rows = sqlx::query!(
        r#"select w.kind as "kind!", w.address as "address!", s.set_aside_at::bigint as since
           from (select 'registry' as kind, $2::bytea as address
                 union all select 'delegates', $3::bytea
                 union all select 'distributor', $1::bytea
                 union all select 'collection', collection::bytea from listing
                           where project = $1::bytea and from_day <= $5
                             and (until_day is null or until_day > $5)) w
           left join mirror_source s on s.kind = w.kind and s.address = w.address
           where s.cursor_block is null or s.cursor_block < $4
           order by s.set_aside_at nulls last, w.kind, w.address"#,
        project.as_slice(),
        registry.as_slice(),
        DELEGATE_REGISTRY.as_slice(),
        column::signed(block)?,
        column::day_number(day)?
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Behind {
                kind: Kind::parse(&row.kind)?,
                address: column::address(&row.address)?,
                since: row.since.map(column::time).transpose()?,
            })
        })
        .collect()
}

/// How many facts of these blocks there are. Projects and listings count whatever their block.
pub(crate) async fn facts(conn: &mut PgConnection, from: u64, to: u64) -> anyhow::Result<u64> {
    let found = sqlx::query_scalar!(
        r#"select (select count(*) from license_event where block_number between $1 and $2)
                + (select count(*) from claim where block_number between $1 and $2)
                + (select count(*) from reward_commit where posted_block between $1 and $2)
                + (select count(*) from reward_commit where revoked_block between $1 and $2)
                + (select count(*) from project)
                + (select count(*) + count(until_day) from listing) as "facts!""#,
        column::signed(from)?,
        column::signed(to)?
    )
    .fetch_one(conn)
    .await?;
    column::unsigned(found)
}

/// How many license events of these collections there are in these blocks.
pub(crate) async fn license_events(
    conn: &mut PgConnection,
    collections: &[Address],
    from: u64,
    to: u64,
) -> anyhow::Result<u64> {
    let collections: Vec<Vec<u8>> = collections.iter().map(|address| address.to_vec()).collect();
    let found = sqlx::query_scalar!(
        r#"select count(*) as "events!" from license_event e join license l on l.idx = e.license_idx
           where e.block_number between $1 and $2 and l.collection::bytea = any($3)"#,
        column::signed(from)?,
        column::signed(to)?,
        &collections
    )
    .fetch_one(conn)
    .await?;
    column::unsigned(found)
}
