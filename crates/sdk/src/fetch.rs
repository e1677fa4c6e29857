//! Files from servers that strangers name, for programs inside somebody's network: public addresses only, no
//! redirect, and no more bytes than such a file can have.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nodesys_core::cidr::is_public;
use reqwest::Url;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The file at a URL; from a private address only where `private` allows it.
pub(crate) async fn get(url: &Url, most: usize, private: bool) -> anyhow::Result<Vec<u8>> {
    ensure!(matches!(url.scheme(), "http" | "https"), "expected http:// or https://");
    let mut client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("nodesys/", env!("CARGO_PKG_VERSION")));
    // Else a stranger's name could lead into the network of the operator.
    if !private {
        let host = url.host_str().context("the URL has no host")?.to_owned();
        // Resolved once, and asked at just these addresses.
        client = client.no_proxy().resolve_to_addrs(&host, &public_addresses(url).await?);
    }
    let mut answer = client.build()?.get(url.clone()).send().await.map_err(without_url)?;
    ensure!(answer.status().is_success(), "it answered {}", answer.status());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(without_url)? {
        ensure!(body.len() + chunk.len() <= most, "its answer has more than {most} bytes");
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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

/// Of a URL what is no secret.
pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}
