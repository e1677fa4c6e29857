//! Releases: documents announced on chain, stored for nodes to fetch by their hash.
//!
//! The announcement is the signature: the release key signed the transaction with the hash, and
//! only a document with an announced hash is stored. So anyone with the document may upload it, and
//! nothing is stored without a paid announcement. Checks without the chain come first, and few
//! reads of the chain run at once, so that strangers cannot use up the RPC.
//!
//! Invariants: a stored document's hash is its key, and it never changes. Nodes check hash and
//! announcement themselves: storing a document here makes nothing run.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest as _, Json, Path, Query, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use nodesys_chain::release::release_at;
use nodesys_core::api::StoredRelease;
use nodesys_core::release::{Release, ReleaseError};
use nodesys_core::{B256, keccak256};
use serde::Deserialize;

use crate::db;
use crate::db::project::ProjectRow;
use crate::db::release::NewRelease;
use crate::error::{ApiError, ApiResult};
use crate::params::ProjectRef;
use crate::state::{App, AppState};

/// Time a document waits for its turn.
const LOOKUP_WAIT: Duration = Duration::from_secs(5);

/// The query of a document.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StoreQuery {
    /// The project that announced it: its name, or its distributor's address.
    #[param(value_type = String)]
    project: ProjectRef,
}

/// Stores the document of an announced hash: the release as canonical JSON (RFC 8785). It carries
/// no signature, since the announcement on chain is one.
#[utoipa::path(put, path = "/v1/releases/{hash}", tag = "release", operation_id = "storeRelease",
    params(("hash" = String, Path), StoreQuery),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 200, description = "The document is kept.", body = StoredRelease)))]
pub(crate) async fn store(
    State(app): State<AppState>,
    path: Result<Path<B256>, PathRejection>,
    query: Result<Query<StoreQuery>, QueryRejection>,
    request: Request,
) -> ApiResult<Json<StoredRelease>> {
    let (Path(hash), Query(query)) = (path?, query?);
    let project = query.project.find_in(&app).await?;
    let body: Result<Bytes, BytesRejection> = Bytes::from_request(request, &()).await;
    accept(&app, &project, hash, &body?).await.map(Json)
}

/// The document of a hash, as it was announced; it never changes.
#[utoipa::path(get, path = "/v1/releases/{hash}", tag = "release", operation_id = "getRelease",
    params(("hash" = String, Path)),
    responses((status = 200, description = "The document's canonical JSON.",
        content_type = "application/json", body = serde_json::Value)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<B256>, PathRejection>,
) -> ApiResult<Response> {
    let Path(hash) = path?;
    let mut conn = app.pool.acquire().await?;
    let body = db::release::body(&mut conn, hash).await?.ok_or_else(|| {
        ApiError::not_found(format!(
            "release {hash} was not handed in here: `nodesys-master release publish` does it"
        ))
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::ETAG, format!("\"{hash}\"")),
    ];
    Ok((headers, body).into_response())
}

async fn accept(
    app: &App,
    project: &ProjectRow,
    hash: B256,
    body: &[u8],
) -> ApiResult<StoredRelease> {
    let release = parse(hash, body)?;
    let stored = StoredRelease {
        release_hash: hash,
        workload: release.workload().clone(),
        version: release.version().get(),
    };
    // No connection to the database is held while the chain is asked.
    {
        let mut conn = app.pool.acquire().await?;
        if db::release::body(&mut conn, hash).await?.is_some() {
            return Ok(stored);
        }
    }
    check_announced(app, project, &release, hash).await?;
    let mut conn = app.pool.acquire().await?;
    let new = NewRelease {
        hash,
        project: project.project,
        workload: release.workload(),
        version: release.version().get(),
        body,
    };
    db::release::insert(&mut conn, &new, app.clock.now()).await?;
    metrics::counter!("nodesys_releases_stored_total").increment(1);
    Ok(stored)
}

fn parse(hash: B256, body: &[u8]) -> ApiResult<Release> {
    let release = Release::from_announced(body, hash).map_err(|error| match error {
        ReleaseError::TooLarge(_) => ApiError::too_large(error),
        ReleaseError::OtherHash { .. } => ApiError::release_invalid(format!(
            "the body's hash is {}, the path says {hash}: send the canonical bytes, which \
             `nodesys-master release validate --canonical` prints",
            keccak256(body)
        )),
        other => ApiError::release_invalid(other),
    })?;
    // The column's limit, which versions reach after 32,768 of the greatest leaps.
    if i64::try_from(release.version().get()).is_err() {
        return Err(ApiError::release_invalid("version: 2^63 and more are not kept here"));
    }
    Ok(release)
}

/// Checks on chain that the project announced these bytes.
async fn check_announced(
    app: &App,
    project: &ProjectRow,
    release: &Release,
    hash: B256,
) -> ApiResult<()> {
    let busy = || ApiError::busy("other releases are being looked up on chain");
    let turn = tokio::time::timeout(LOOKUP_WAIT, app.release_lookups.acquire());
    let _turn = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
    let registry = app.domain.verifying_contract();
    let (workload, version) = (release.workload(), release.version().get());
    let found = release_at(&app.chain, registry, project.project, workload, version).await?;
    app.chain.recheck_chain().await?;
    let what = format!("{} of {}/{workload}", release.version(), project.name);
    match found {
        Some((_, true)) => Err(ApiError::not_announced(format!(
            "version {what} was vetoed: announce a higher one"
        ))),
        Some((announced, false)) if announced.release_hash == hash => Ok(()),
        Some((announced, false)) => Err(ApiError::not_announced(format!(
            "version {what} was announced with the hash {}, this is {hash}: hand in the announced \
             document, or announce this one under a higher version",
            announced.release_hash
        ))),
        None => Err(ApiError::not_announced(format!(
            "version {what} was not announced, as far as the backend's RPC knows: announce it, and \
             send the same request again once the transaction is in a block"
        ))),
    }
}
