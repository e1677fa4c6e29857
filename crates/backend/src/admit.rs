//! The first check of every request: how often, how large, who asks. Nothing of it is read before.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::error::ApiError;
use crate::limits::Route;
use crate::state::AppState;
use crate::who;

/// The first check of every request: its network's rate, the size of its body, and who asks. The network is
/// there for handlers as an extension, and so is a [`who::Person`].
pub(crate) async fn admit(
    State(app): State<AppState>,
    matched: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // Without a connection there is no stranger: tests that call the router itself.
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip());
    let network = app.limits.network(peer, request.headers());
    let method = request.method().as_str();
    let route = matched.and_then(|path| Route::find(method, path.as_str()));
    if let Some(route) = route {
        if let Err(refusal) = app.limits.request(route, network) {
            return refusal.into_response();
        }
        if declared(&request) > route.body {
            return too_large(route).into_response();
        }
        DefaultBodyLimit::max(route.body).apply(&mut request);
        let (method, headers) = (request.method(), request.headers());
        match who::admit(&app, route.caller, method, headers).await {
            Ok(None) => {}
            Ok(Some(person)) => {
                request.extensions_mut().insert(person);
                request.extensions_mut().insert(network);
                return private(next.run(request).await);
            }
            Err(refusal) => return refusal.into_response(),
        }
    }
    request.extensions_mut().insert(network);
    next.run(request).await
}

/// Of one account, so nothing between here and its browser keeps it.
fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The declared length of a body.
fn declared(request: &Request) -> usize {
    let length = request.headers().get(header::CONTENT_LENGTH);
    length.and_then(|text| text.to_str().ok()?.parse().ok()).unwrap_or_default()
}

fn too_large(route: &Route) -> ApiError {
    let Route { method, path, body, .. } = route;
    ApiError::too_large(format!("{method} {path} takes at most {body} bytes"))
}
