//! Strangers choose where messages go: to public addresses ([`is_public`]), never into our own network.

use std::net::IpAddr;

pub(crate) use nodesys_core::cidr::is_public;
use reqwest::Url;

/// Why an address is refused.
pub(crate) fn refusal(ip: IpAddr) -> String {
    format!("{ip} is no public address: messages go to the public internet only")
}

/// The address, if the host is one. The URL parser has already normalised forms like `0x7f.1`.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
