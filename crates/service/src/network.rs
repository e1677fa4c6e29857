//! Whose connection or request it is: the network of an address, and proxies whose word about it counts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The header in which a proxy names its client.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What one stranger has for nothing: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address.
    pub fn of(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V6(addr) => {
                let [a, b, c, d, ..] = addr.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            addr @ IpAddr::V4(_) => Self(addr),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(addr) => addr.fmt(f),
            IpAddr::V6(addr) => write!(f, "{addr}/64"),
        }
    }
}

/// An address or a network of proxies, as `10.0.0.0/8` or `10.1.2.3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy(IpNet);

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self).map_err(|_| format!("{text} is no address and no network such as 10.0.0.0/8"))
    }
}

/// The proxies in front of this program.
#[derive(Debug, Clone, Default)]
pub struct Proxies(pub Vec<Proxy>);

impl Proxies {
    /// Whether an address is a proxy's.
    pub fn contain(&self, addr: IpAddr) -> bool {
        self.0.iter().any(|Proxy(net)| net.contains(&addr.to_canonical()))
    }

    /// The client of a request: the connection's peer, or, if that is a proxy, the last address in
    /// `X-Forwarded-For` that is none. What stands left of it is the client's own word.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for entry in value.to_str().unwrap_or_default().rsplit(',') {
                if !self.contain(client) {
                    return client;
                }
                let Ok(named) = entry.trim().parse() else { return client };
                client = named;
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_stranger_has_one_address_or_one_64() {
        let of = |text| Network::of(addr(text)).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2::"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
    }

    #[test]
    fn only_a_proxy_is_believed_about_its_client() {
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        let client = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            proxies.client(addr(peer), &headers).to_string()
        };
        assert_eq!(client("192.0.2.7", &["198.51.100.1"]), "192.0.2.7");
        assert_eq!(client("10.1.1.1", &[]), "10.1.1.1");
        assert_eq!(client("10.1.1.1", &["198.51.100.1"]), "198.51.100.1");
        // What the client wrote itself stands left of what the proxies saw.
        assert_eq!(client("10.1.1.1", &["1.1.1.1, 198.51.100.1, 10.2.2.2"]), "198.51.100.1");
        assert_eq!(client("::1", &["1.1.1.1", "198.51.100.1,10.2.2.2"]), "198.51.100.1");
        assert_eq!(client("10.1.1.1", &["198.51.100.1, nonsense"]), "10.1.1.1");
        assert!("10.0.0.0/33".parse::<Proxy>().is_err());
    }
}
