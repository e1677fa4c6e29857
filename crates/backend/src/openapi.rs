//! The OpenAPI document of all routes, served and kept as a committed snapshot.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use utoipa::OpenApi;

use crate::app::AppState;
use crate::{
    claim, commit, heartbeat, lease, license, node, notify, points, project, release, root, tree,
    uptime,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Node System backend",
        description = "Errors are RFC 9457 problem documents with a stable `code`. 64-bit numbers \
                       and amounts are decimal strings, days are YYYY-MM-DD, hashes and addresses \
                       0x hex. A project is named by its name or its distributor's address."
    ),
    paths(
        project::network,
        project::list,
        project::show,
        node::authorize,
        node::revoke,
        node::show,
        lease::request,
        lease::show,
        license::show,
        heartbeat::open_session,
        heartbeat::take,
        notify::add,
        notify::list,
        notify::remove,
        notify::test,
        release::store,
        release::show,
        uptime::show_day,
        uptime::file,
        uptime::attestation,
        uptime::license_day,
        points::upload,
        points::show,
        points::rewards,
        commit::take,
        commit::show,
        commit::bundle_file,
        tree::show,
        root::list,
        claim::show,
    ),
    components(schemas(nodesys_core::api::Problem))
)]
struct Document;

/// The document as pretty JSON.
pub fn openapi_json() -> String {
    let mut json = Document::openapi()
        .to_pretty_json()
        .expect("the document is made of plain values, which always serialise");
    json.push('\n');
    json
}

/// The route, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route(
        "/openapi.json",
        get(|| async { ([(header::CONTENT_TYPE, "application/json")], openapi_json()) }),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let fresh = super::openapi_json();
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == fresh,
            "crates/backend/openapi.json is not fresh: run the test with UPDATE_SNAPSHOTS=1"
        );
    }
}
