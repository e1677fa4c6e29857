//! A place of day bundles with injected faults: a server of `/v1/bundles` over a folder, like a
//! backend, a master or a mirror.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use nodesys_core::Address;
use nodesys_core::time::UtcDay;
use nodesys_sdk::bundles::BundleStore;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The behaviour of the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Serves it.
    Good,
    /// Serves this file with its last digit changed.
    Altered(&'static str),
    /// Answers 404.
    Withheld,
    /// Answers 503.
    Unavailable,
    /// Serves it this much later.
    Slow(Duration),
    /// Serves CSV files with the line ends of another system.
    Crlf,
    /// Serves CSV files with a byte order mark.
    Bom,
    /// Serves CSV files without the end of their last line.
    NoFinalNewline,
}

impl Mode {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Altered(_) => "altered",
            Self::Withheld => "withheld",
            Self::Unavailable => "503",
            Self::Slow(_) => "slow",
            Self::Crlf => "CRLF",
            Self::Bom => "BOM",
            Self::NoFinalNewline => "no last LF",
        }
    }
}

/// A place on a free loopback port; ends when dropped.
#[derive(Debug)]
pub struct Place {
    addr: SocketAddr,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    store: BundleStore,
    mode: Mode,
}

impl Place {
    /// Starts one over a folder.
    pub async fn start(store: BundleStore, mode: Mode) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared { store, mode });
        let route = "/v1/bundles/{project}/{day}/{file}";
        let router = Router::new().route(route, get(file)).with_state(shared);
        let serving = tokio::spawn(async move {
            // Ends with the test; nothing waits for it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { addr, serving })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn file(
    State(shared): State<Arc<Shared>>,
    Path((project, day, name)): Path<(Address, UtcDay, String)>,
) -> Response {
    let mode = shared.mode;
    match mode {
        Mode::Withheld => return StatusCode::NOT_FOUND.into_response(),
        Mode::Unavailable => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mode::Slow(wait) => wait_for(wait).await,
        _ => {}
    }
    match shared.store.file(project, day, &name) {
        Ok(Some(bytes)) => served(mode, &name, bytes).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The served bytes.
fn served(mode: Mode, name: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let csv = name.ends_with(".csv");
    match mode {
        Mode::Altered(file) if file == name => {
            if let Some(digit) = bytes.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
                *digit = if *digit == b'9' { b'8' } else { *digit + 1 };
            }
        }
        Mode::Crlf if csv => {
            bytes = bytes.iter().flat_map(|&byte| end_of_line(byte)).collect();
        }
        Mode::Bom if csv => bytes.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
        Mode::NoFinalNewline if csv => {
            bytes.pop_if(|last| *last == b'\n');
        }
        _ => {}
    }
    bytes
}

fn end_of_line(byte: u8) -> impl Iterator<Item = u8> {
    (byte == b'\n').then_some(b'\r').into_iter().chain([byte])
}

#[expect(clippy::disallowed_methods, reason = "a slow server is slow in real time")]
async fn wait_for(wait: Duration) {
    tokio::time::sleep(wait).await;
}

#[test]
fn each_mode_changes_what_it_says_and_nothing_else() {
    let csv = || b"license,points\n0,19\n".to_vec();
    let cases: [(Mode, &[u8]); 5] = [
        (Mode::Good, b"license,points\n0,19\n"),
        (Mode::Altered("points.csv"), b"license,points\n0,18\n"),
        (Mode::Crlf, b"license,points\r\n0,19\r\n"),
        (Mode::Bom, b"\xef\xbb\xbflicense,points\n0,19\n"),
        (Mode::NoFinalNewline, b"license,points\n0,19"),
    ];
    for (mode, expected) in cases {
        assert_eq!(served(mode, "points.csv", csv()), expected, "{mode:?}");
        // JSON is never rewritten, nor is another file altered.
        assert_eq!(served(mode, "bundle.json", csv()), csv(), "{mode:?}");
    }
}
