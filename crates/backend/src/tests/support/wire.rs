//! A line between a backend and its RPC that a test can cut, or connect to another chain.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The state of the line.
#[derive(Clone, Copy)]
pub(crate) enum Line {
    To(SocketAddr),
    /// Accepts connections and says nothing.
    Silent,
    /// Ends each connection at once.
    Cut,
}

/// The line; its end goes with it.
pub(crate) struct Wire {
    addr: SocketAddr,
    line: watch::Sender<Line>,
    accepting: JoinHandle<()>,
}

impl Wire {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let (line, watched) = watch::channel(Line::To(target));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, watched.clone()));
            }
        });
        Self { addr, line, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Ends every connection; new ones follow the current state.
    pub(crate) fn lay(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut near: TcpStream, mut line: watch::Receiver<Line>) {
    let now = *line.borrow_and_update();
    let addr = match now {
        Line::To(addr) => addr,
        Line::Silent => {
            let _ = line.changed().await;
            return;
        }
        Line::Cut => return,
    };
    let Ok(mut far) = TcpStream::connect(addr).await else { return };
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = line.changed() => {}
    }
}
