//! A stand-in for the backend, of the routes that a master with tasks asks.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use nodesys_core::B256;
use nodesys_core::api::{LeaseView, Problem};
use nodesys_core::uptime::ClosedUptime;
use nodesys_service::problem;

use crate::server::Server;

type Leases = Arc<Mutex<HashMap<B256, LeaseView>>>;

/// A closed day: its `uptime.csv` and the backend's word for it.
pub type Closed = Arc<Mutex<Option<(String, ClosedUptime)>>>;
type Downloads = Arc<AtomicUsize>;

/// The backend's `GET /v1/leases/{license}` and `/v1/uptime`, at an address that stays.
pub struct Backend {
    /// What it says of each license.
    pub leases: Leases,
    /// The day that it has closed.
    pub closed: Closed,
    /// How often `uptime.csv` was fetched.
    downloads: Downloads,
    server: Server,
}

impl Backend {
    pub(super) fn start() -> Self {
        let (leases, closed, downloads) =
            (Leases::default(), Closed::default(), Downloads::default());
        let uptime = Router::new()
            .route("/v1/uptime/{project}/{day}", get(uptime_csv))
            .route("/v1/uptime/{project}/{day}/closed", get(closed_uptime))
            .with_state((closed.clone(), downloads.clone()));
        let routes = Router::new().route("/v1/leases/{license}", get(lease));
        let server = Server::start(routes.with_state(leases.clone()).merge(uptime));
        Self { leases, closed, downloads, server }
    }

    /// Where it is, also while it is down.
    pub const fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Comes back.
    pub fn up(&mut self) {
        self.server.up();
    }

    /// Ends every connection, as a process that dies does.
    pub fn down(&mut self) {
        self.server.down();
    }

    /// How often `uptime.csv` was fetched since the last call.
    pub fn take_downloads(&self) -> usize {
        self.downloads.swap(0, Ordering::Relaxed)
    }
}

async fn uptime_csv(State((closed, downloads)): State<(Closed, Downloads)>) -> String {
    downloads.fetch_add(1, Ordering::Relaxed);
    closed.lock().unwrap().as_ref().unwrap().0.clone()
}

async fn closed_uptime(State((closed, _)): State<(Closed, Downloads)>) -> Json<ClosedUptime> {
    Json(closed.lock().unwrap().as_ref().unwrap().1.clone())
}

async fn lease(State(leases): State<Leases>, Path(license): Path<B256>) -> Response {
    if let Some(view) = leases.lock().unwrap().get(&license) {
        return Json(view).into_response();
    }
    let (code, title) = ("unknown_license", "No such license");
    problem::response(Problem::new(404, code, title, "by the test".to_owned()), None)
}
