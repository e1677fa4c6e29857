//! A server that comes and goes at one address, as a process does.

use std::net::SocketAddr;

use axum::Router;
use tokio::runtime::Runtime;

/// Routes that are served, or not.
pub struct Server {
    /// Where, also while nothing is served.
    pub addr: SocketAddr,
    routes: Router,
    serving: Option<Runtime>,
}

impl Server {
    /// Serves at a free port.
    pub fn start(routes: Router) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { addr, routes, serving: None };
        server.up();
        server
    }

    /// Serves again.
    pub fn up(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(self.addr).unwrap();
        self.addr = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let routes = self.routes.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
        self.serving = Some(runtime);
    }

    /// Ends every connection, as a process that dies does.
    pub fn down(&mut self) {
        self.serving.take().unwrap().shutdown_background();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.serving.take() {
            runtime.shutdown_background();
        }
    }
}
