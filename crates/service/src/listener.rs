//! The listener: where a program listens, and how it serves strangers without dying of them.
//!
//! Every connection has a place. Places are bounded, one network has at most half of them, and a
//! connection gives its place back when it does not send a whole head in time, sends nothing, does not
//! take its answer, or is old. Without a place a connection is answered 503 and closed at once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::network::{Network, Proxies};

/// Descriptors for everything but served connections: databases, RPCs, files.
const OTHER_DESCRIPTORS: u64 = 512;
/// Descriptors asked of the system; a higher hard limit is not used up.
const DESCRIPTORS: u64 = 65_536;
/// Most connections served at once, where there are descriptors enough.
const CONNECTIONS: usize = 16_384;
/// Time for a whole head to arrive, and for which a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// Age at which a connection ends with its present answer, and the time for that.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
const LAST_ANSWER: Duration = Duration::from_secs(2 * 60);
/// Pause after the system refused to accept, mostly for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// Answer to a connection without a place.
const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";

/// Listens on `addr`, and says where that is: port 0 picks a free port.
///
/// # Errors
///
/// When the address is taken, or not this machine's.
pub async fn bind(addr: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    Ok((listener, addr))
}

/// Raises the limit on open descriptors as far as the system lets us, and returns the number of
/// connections that leaves room for.
pub fn connections_by_descriptors() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    let wanted = current.map_or(wanted, |current| current.max(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    let limit = if raised.is_ok() { wanted } else { current.unwrap_or(wanted) };
    let room = limit.saturating_sub(OTHER_DESCRIPTORS).max(limit / 2);
    usize::try_from(room).unwrap_or(usize::MAX).min(CONNECTIONS)
}

/// How connections are served.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Most connections at once.
    pub connections: usize,
    /// Time for a head to arrive, and for which a connection may be idle.
    pub head_time: Duration,
    /// Proxies, which may have every place.
    pub proxies: Proxies,
}

impl Bounds {
    /// As many connections as there are descriptors for, which are raised first.
    pub fn by_descriptors(proxies: Proxies) -> Self {
        Self { connections: connections_by_descriptors(), head_time: HEAD_TIME, proxies }
    }
}

/// Serves until `stop`, then until every open request is answered. A handler finds its peer's
/// address as [`ConnectInfo<SocketAddr>`].
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: CancellationToken) {
    let places = Places::new(&bounds);
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match places.take(peer.ip()) {
                Some(place) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    let head_time = bounds.head_time;
                    open.spawn(async move {
                        connection(stream, peer, router, head_time, stop).await;
                        drop(place);
                    });
                }
                None => drop(stream.try_write(NO_PLACE)),
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                let _ = tokio::time::timeout(PAUSE, std::future::pending::<()>()).await;
            }
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    head_time: Duration,
    stop: CancellationToken,
) {
    // An answer is one small write that waiting for more would only delay.
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| -> Request {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut serving = pin!(serving);
    let aged = tokio::time::timeout(LIFETIME, stop.cancelled());
    tokio::select! {
        // A stranger's broken connection is nothing to report.
        _ = serving.as_mut() => return,
        _ = aged => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_ANSWER, serving).await;
}

/// The places of connections.
#[derive(Clone)]
struct Places {
    most: usize,
    proxies: Proxies,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_network: HashMap<Network, usize>,
}

impl Places {
    fn new(bounds: &Bounds) -> Self {
        let proxies = bounds.proxies.clone();
        Self { most: bounds.connections.max(2), proxies, taken: Arc::default() }
    }

    fn take(&self, peer: IpAddr) -> Option<Place> {
        let network = Network::of(peer);
        let share = if self.proxies.contain(peer) { self.most } else { self.most / 2 };
        let mut taken = lock(&self.taken);
        let its = taken.by_network.get(&network).copied().unwrap_or_default();
        if taken.all >= self.most || its >= share {
            return None;
        }
        taken.all += 1;
        taken.by_network.insert(network, its + 1);
        Some(Place { network, taken: self.taken.clone() })
    }
}

/// One connection's place, given back when it is dropped.
struct Place {
    network: Network,
    taken: Arc<Mutex<Taken>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(its) = taken.by_network.get_mut(&self.network) {
            *its -= 1;
            if *its == 0 {
                taken.by_network.remove(&self.network);
            }
        }
    }
}

/// Every change under the lock is whole.
fn lock(taken: &Mutex<Taken>) -> std::sync::MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;

    use super::*;

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(20);

    struct Served {
        addr: SocketAddr,
        stop: CancellationToken,
        serving: JoinHandle<()>,
    }

    async fn served(connections: usize, head_time: Duration, proxies: &[&str]) -> Served {
        let (listener, addr) = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let router = Router::new()
            .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
            .route("/never", get(std::future::pending::<()>));
        let proxies = Proxies(proxies.iter().map(|text| text.parse().unwrap()).collect());
        let stop = CancellationToken::new();
        let bounds = Bounds { connections, head_time, proxies };
        let serving = tokio::spawn(serve(listener, router, bounds, stop.clone()));
        Served { addr, stop, serving }
    }

    async fn say(addr: SocketAddr, words: &str) -> TcpStream {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        stream
    }

    /// All that comes until the other side closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        let read = tokio::time::timeout(LONG, stream.read_to_string(&mut text)).await;
        read.expect("the connection stays open").unwrap();
        text
    }

    const ASK: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn half_a_head_and_an_idle_connection_end_in_time() {
        let served = served(8, SHORT, &[]).await;
        let half = say(served.addr, "GET / HTTP/1.1\r\nhost: x\r\n").await;
        let silent = say(served.addr, "").await;
        let idle = say(served.addr, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        rest(half).await;
        rest(silent).await;
        assert!(rest(idle).await.starts_with("HTTP/1.1 200"));
        let asking = say(served.addr, ASK).await;
        let peer = asking.local_addr().unwrap().to_string();
        assert!(rest(asking).await.ends_with(&peer), "a handler knows its peer");
    }

    #[tokio::test]
    async fn one_network_has_half_of_the_places_and_gives_them_back() {
        let served = served(4, LONG, &[]).await;
        let first = say(served.addr, "GET / HTTP/1.1\r\n").await;
        let second = say(served.addr, "GET / HTTP/1.1\r\n").await;
        let third = say(served.addr, "").await;
        let refusal = rest(third).await;
        assert!(refusal.starts_with("HTTP/1.1 503"), "{refusal}");
        drop((first, second));
        loop {
            let answer = rest(say(served.addr, ASK).await).await;
            if answer.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_proxy_may_have_every_place() {
        let served = served(4, LONG, &["127.0.0.0/8"]).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(say(served.addr, "GET / HTTP/1.1\r\n").await);
        }
        assert!(rest(say(served.addr, ASK).await).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn it_stops_when_open_requests_are_answered() {
        let served = served(8, LONG, &[]).await;
        let idle = say(served.addr, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut first = [0];
        let mut idle = idle;
        idle.read_exact(&mut first).await.unwrap();
        served.stop.cancel();
        tokio::time::timeout(LONG, served.serving).await.expect("it stops").unwrap();
        assert!(TcpStream::connect(served.addr).await.is_err(), "it still listens");
    }

    #[test]
    fn the_limit_on_descriptors_is_raised() {
        let room = connections_by_descriptors();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert!(
            current
                .is_none_or(|current| current >= maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS))
        );
        assert!(room > 0 && room <= CONNECTIONS, "{room}");
    }
}
