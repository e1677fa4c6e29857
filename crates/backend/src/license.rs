//! Licenses: the mirror of ownership from final blocks, and the right to run, read on chain now.

mod mirror;

use std::str::FromStr;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use axum::routing::get;
use nodesys_core::holders::{Holders, LicenseEvent};
use nodesys_core::ids::{LicenseIndex, Name, ParseError};
use nodesys_core::license::{LicenseId, Rental};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256, U256};
use serde::{Deserialize, Deserializer, Serialize};
use sqlx::PgConnection;

use crate::app::{App, AppState};
use crate::error::{ApiError, ApiResult};
use crate::sql;

pub(crate) use mirror::Mirror;

/// The routes, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/licenses/{collection}/{token_id}", get(show))
}

/// A token id in a path: a decimal number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenId(pub(crate) U256);

impl FromStr for TokenId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let parsed = if digits { U256::from_str_radix(text, 10).ok() } else { None };
        parsed.map(Self).ok_or_else(|| ParseError::new("token id", "not a decimal number", text))
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A license in the mirror.
#[derive(Debug, Clone)]
pub(crate) struct LicenseRow {
    pub(crate) idx: LicenseIndex,
    pub(crate) id: LicenseId,
    pub(crate) hash: B256,
    pub(crate) project: Address,
    pub(crate) workload: Name,
    pub(crate) first_leased: Option<Timestamp>,
}

/// `GET /v1/licenses/{collection}/{token_id}`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct LicenseView {
    license: LicenseId,
    index: LicenseIndex,
    #[schema(value_type = String)]
    project: Address,
    workload: Name,
    /// Its owner by final blocks; null once burnt.
    #[schema(value_type = Option<String>)]
    holder: Option<Address>,
    /// The running rental by final blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    rental: Option<Rental>,
}

/// A license as final blocks have it. For what is true now, read the chain.
#[utoipa::path(get, path = "/v1/licenses/{collection}/{token_id}", tag = "license",
    params(("collection" = String, Path), ("token_id" = String, Path)),
    responses((status = 200, body = LicenseView)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<(Address, TokenId)>, PathRejection>,
) -> ApiResult<Json<LicenseView>> {
    let Path((collection, token)) = path?;
    let id = LicenseId { chain_id: app.domain.chain_id(), collection, token_id: token.0 };
    view(&app, &id).await.map(Json)
}

async fn view(app: &App, id: &LicenseId) -> ApiResult<LicenseView> {
    let mut conn = app.pool.acquire().await?;
    let row = by_hash(&mut conn, id.hash()).await?.ok_or_else(|| {
        ApiError::unknown_license(format!("no project lists license {id} in a final block"))
    })?;
    let holders = holders(&mut conn, &[row.idx], u64::MAX).await?;
    let facts = holders.at(id.collection, id.token_id, app.clock.now().secs());
    Ok(LicenseView {
        license: row.id,
        index: row.idx,
        project: row.project,
        workload: row.workload,
        holder: facts.holder,
        rental: facts.rental,
    })
}

/// The raw columns of a [`LicenseRow`]; sqlx fills it by name.
struct LicenseColumns {
    idx: i32,
    collection: Vec<u8>,
    token_id: Vec<u8>,
    hash: Vec<u8>,
    project: Vec<u8>,
    workload: String,
    first_leased: Option<i64>,
    chain_id: i64,
}

impl TryFrom<LicenseColumns> for LicenseRow {
    type Error = anyhow::Error;

    fn try_from(row: LicenseColumns) -> anyhow::Result<Self> {
        let first_leased = row.first_leased.map(sql::unsigned).transpose()?;
        Ok(Self {
            idx: LicenseIndex(u32::try_from(row.idx)?),
            id: LicenseId {
                chain_id: sql::unsigned(row.chain_id)?,
                collection: sql::address(&row.collection)?,
                token_id: sql::uint256(&row.token_id)?,
            },
            hash: sql::hash(&row.hash)?,
            project: sql::address(&row.project)?,
            workload: row.workload.parse()?,
            first_leased: first_leased.map(Timestamp::from_millis),
        })
    }
}

/// The license of a hash.
pub(crate) async fn by_hash(
    conn: &mut PgConnection,
    hash: B256,
) -> anyhow::Result<Option<LicenseRow>> {
    let row = sqlx::query_as!(
        LicenseColumns,
        r#"select l.idx as "idx!", l.collection::bytea as "collection!", l.token_id::bytea as "token_id!",
                  l.license_hash::bytea as "hash!", c.project::bytea as "project!",
                  c.workload as "workload!", l.first_leased::bigint as first_leased,
                  k.chain_id as "chain_id!"
           from license l
           join collection c on c.collection = l.collection
           cross join chain_cursor k
           where l.license_hash = $1"#,
        hash.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(LicenseRow::try_from).transpose()
}

/// The license of an index, which exists.
pub(crate) async fn by_index(
    conn: &mut PgConnection,
    idx: LicenseIndex,
) -> anyhow::Result<LicenseRow> {
    let row = sqlx::query_as!(
        LicenseColumns,
        r#"select l.idx as "idx!", l.collection::bytea as "collection!", l.token_id::bytea as "token_id!",
                  l.license_hash::bytea as "hash!", c.project::bytea as "project!",
                  c.workload as "workload!", l.first_leased::bigint as first_leased,
                  k.chain_id as "chain_id!"
           from license l
           join collection c on c.collection = l.collection
           cross join chain_cursor k
           where l.idx = $1"#,
        i32::try_from(idx.0)?
    )
    .fetch_one(conn)
    .await?;
    LicenseRow::try_from(row)
}

/// Holders and rentals of some licenses, folded from the mirrored events up to a block.
pub(crate) async fn holders(
    conn: &mut PgConnection,
    licenses: &[LicenseIndex],
    up_to_block: u64,
) -> anyhow::Result<Holders> {
    let indexes: Vec<i32> =
        licenses.iter().map(|idx| i32::try_from(idx.0)).collect::<Result<_, _>>()?;
    let rows = sqlx::query!(
        r#"select l.collection::bytea as "collection!", l.token_id::bytea as "token_id!",
                  e.kind as "kind!", e.account::bytea as "account!", e.expires_secs
           from license_event e join license l on l.idx = e.license_idx
           where e.license_idx = any($1) and e.block_number <= $2
           order by e.block_number, e.log_index"#,
        &indexes,
        i64::try_from(up_to_block).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let collection = sql::address(&row.collection)?;
            let token_id = sql::uint256(&row.token_id)?;
            let account = sql::address(&row.account)?;
            Ok(match row.expires_secs {
                None => LicenseEvent::Transfer { collection, token_id, to: account },
                Some(expires) => LicenseEvent::UpdateUser {
                    collection,
                    token_id,
                    user: account,
                    expires_secs: sql::unsigned(expires)?,
                },
            })
        })
        .collect()
}
