//! Release documents: fetched from wherever they are, and taken only if their hash is the announced
//! one, so that no server has to be trusted.
//!
//! A project's server is named by its owner, and this program runs inside the operator's network:
//! it asks public addresses only (any on the development chain), follows no redirect, and reads no
//! more than a release can have.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nodesys_core::B256;
use nodesys_core::release::{MAX_BYTES, Release};
use reqwest::Url;

use nodesys_core::cidr::is_public;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Where releases are asked for.
pub struct Fetcher {
    backend: Url,
    /// Whether private addresses may be asked: on the development chain.
    private: bool,
}

impl Fetcher {
    /// The backend is the operator's own choice, and may be anywhere.
    pub fn new(backend: &str, private: bool) -> anyhow::Result<Self> {
        let backend = backend.parse().context("the backend's URL")?;
        Ok(Self { backend, private })
    }

    /// The release of this hash: from the project's own servers first, then from the backend.
    pub async fn release(&self, project: &[Url], hash: B256) -> anyhow::Result<Release> {
        let mut problems = Vec::new();
        for base in project {
            match self.from(base, &[&format!("{hash}.json")], hash, self.private).await {
                Ok(release) => return Ok(release),
                Err(error) => problems.push(format!("{}: {error:#}", shown(base))),
            }
        }
        let route = ["v1", "releases", &hash.to_string()];
        match self.from(&self.backend, &route, hash, true).await {
            Ok(release) => Ok(release),
            Err(error) => {
                problems.push(format!("{}: {error:#}", shown(&self.backend)));
                bail!("release {hash} was not found: {}", problems.join("; "))
            }
        }
    }

    async fn from(
        &self,
        base: &Url,
        path: &[&str],
        hash: B256,
        private: bool,
    ) -> anyhow::Result<Release> {
        ensure!(matches!(base.scheme(), "http" | "https"), "expected http:// or https://");
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("the URL has no path"))?
            .pop_if_empty()
            .extend(path);
        let mut client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("nodesys/", env!("CARGO_PKG_VERSION")));
        if !private {
            let host = url.host_str().context("the URL has no host")?.to_owned();
            // Resolved once, and asked at just these addresses.
            client = client.no_proxy().resolve_to_addrs(&host, &public_addresses(&url).await?);
        }
        let mut answer = client.build()?.get(url).send().await.map_err(without_url)?;
        ensure!(answer.status().is_success(), "it answered {}", answer.status());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(without_url)? {
            ensure!(
                body.len() + chunk.len() <= MAX_BYTES,
                "its answer has more than the {MAX_BYTES} bytes of a release"
            );
            body.extend_from_slice(&chunk);
        }
        Ok(Release::from_announced(&body, hash)?)
    }
}

/// Where the URL leads; an error where any of it is not public.
async fn public_addresses(url: &Url) -> anyhow::Result<Vec<SocketAddr>> {
    let addresses = url.socket_addrs(|| None);
    let addresses = match url.domain() {
        // An address in place of a name.
        None => addresses?,
        Some(name) => {
            let port = url.port_or_known_default().context("the URL has no port")?;
            tokio::net::lookup_host((name, port)).await.context("no such host")?.collect()
        }
    };
    let private = addresses.iter().map(SocketAddr::ip).find(|ip: &IpAddr| !is_public(*ip));
    if let Some(ip) = private {
        bail!("it leads to {ip}, which is not a public address");
    }
    Ok(addresses)
}

/// The URL is told beside it, without what it may carry.
fn without_url(error: reqwest::Error) -> anyhow::Error {
    anyhow::Error::new(error.without_url())
}

fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_servers_are_not_asked() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let fetcher = Fetcher::new("http://127.0.0.1:1", false).unwrap();
        for base in [
            "http://127.0.0.1:1/",
            "http://169.254.169.254/latest",
            "http://[::1]:1/",
            "http://192.168.1.1",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost:1",
        ] {
            let error = fetcher.release(&[base.parse().unwrap()], B256::ZERO).await.unwrap_err();
            let words = format!("{error:#}");
            assert!(words.contains("which is not a public address"), "{base}: {words}");
        }
    }
}
