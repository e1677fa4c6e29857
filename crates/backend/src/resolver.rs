//! Names of webhooks: a few looked up at once, answered by public addresses only.
//!
//! Strangers choose the names, and their name servers may never answer. A look-up blocks a thread, so
//! there are never more of them than a small part of the runtime's blocking threads: whoever waits gives
//! up in time, and a look-up that goes on keeps its own turn.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::sync::Semaphore;

use crate::public::{is_public, literal, refusal};

/// Look-ups at once; each has a thread.
const AT_ONCE: usize = 16;
/// How long one look-up is waited for, its turn included.
const PATIENCE: Duration = Duration::from_secs(3);

/// The look-ups under way.
pub(crate) struct Resolver {
    turns: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Resolver {
    /// The addresses to connect to: all addresses of the name, which must all be public. The refusal is
    /// the same whatever a name leads to, since a stranger asks.
    pub(crate) async fn resolve(
        &self,
        url: &Url,
        allow_private: bool,
    ) -> Result<Vec<SocketAddr>, String> {
        let host = url.host_str().ok_or("the URL has no host")?;
        let port = url.port_or_known_default().ok_or("the URL has no port")?;
        if let Some(ip) = literal(url) {
            let public = allow_private || is_public(ip);
            return if public { Ok(vec![SocketAddr::new(ip, port)]) } else { Err(refusal(ip)) };
        }
        let found = tokio::time::timeout(PATIENCE, self.look_up(host.to_owned(), port)).await;
        let found = found.ok().flatten().unwrap_or_default();
        let public = |addr: &SocketAddr| allow_private || is_public(addr.ip());
        if found.is_empty() || !found.iter().all(public) {
            return Err(format!(
                "{host} leads to no address on the public internet, as far as we see"
            ));
        }
        Ok(found)
    }

    async fn look_up(&self, host: String, port: u16) -> Option<Vec<SocketAddr>> {
        let turn = self.turns.clone().acquire_owned().await.ok()?;
        let looking = tokio::task::spawn_blocking(move || {
            // Kept until the system has answered, whoever waits for it.
            let _turn = turn;
            (host, port).to_socket_addrs().map(Iterator::collect)
        });
        looking.await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_resolve_to() {
        let resolver = Resolver::default();
        let inside = resolver.resolve(&url("https://localhost/"), false).await.unwrap_err();
        let nowhere =
            resolver.resolve(&url("https://no-such-name.invalid/"), false).await.unwrap_err();
        assert_eq!(inside.replace("localhost", "no-such-name.invalid"), nowhere);
        let addrs = resolver.resolve(&url("http://localhost:81/"), true).await.unwrap();
        assert!(addrs.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 81));
        let literal = resolver.resolve(&url("https://[2606:4700::1111]/"), false).await.unwrap();
        assert_eq!(literal, ["[2606:4700::1111]:443".parse().unwrap()]);
    }

    #[tokio::test]
    async fn look_ups_that_never_end_hold_nothing_but_each_other() {
        let resolver = Resolver::default();
        let held = resolver.turns.clone().acquire_many_owned(16).await.unwrap();
        assert!(resolver.resolve(&url("http://localhost/"), true).await.is_err());
        drop(held);
        assert!(resolver.resolve(&url("http://localhost/"), true).await.is_ok());
    }
}
