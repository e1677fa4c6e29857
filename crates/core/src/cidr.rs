//! Address ranges (CIDR, RFC 4632 and RFC 4291), and which of them are not the public internet.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::cidr::{Cidr, is_public};
//!
//! let range: Cidr = "10.0.0.0/8".parse()?;
//! assert!(range.has("10.1.2.3".parse()?));
//! assert!("10.1.2.3/8".parse::<Cidr>().is_err(), "it begins at 10.0.0.0");
//!
//! assert!(is_public("9.9.9.9".parse()?));
//! for inside in ["10.1.2.3", "169.254.169.254", "::1", "::ffff:10.1.2.3", "2002:a01:203::1"] {
//!     assert!(!is_public(inside.parse()?), "{inside}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::ids::ParseError;

/// All of IPv4.
pub const EVERY_V4: &str = "0.0.0.0/0";
/// IPv6 that is routed on the public internet. Everything private, link-local or translated lies
/// outside it.
pub const GLOBAL_V6: &str = "2000::/3";

/// IPv4 that is not the public internet: IANA's special-purpose registry, multicast, and cloud
/// metadata outside these. Metadata at 169.254.169.254, 100.100.100.200 and 192.0.0.192 lies in
/// them.
const CLOSED_V4: [&str; 19] = [
    "0.0.0.0/8",        // this network
    "10.0.0.0/8",       // private
    "100.64.0.0/10",    // carrier-grade NAT
    "127.0.0.0/8",      // loopback
    "168.63.129.16/32", // Azure's host
    "169.254.0.0/16",   // link-local, metadata
    "172.16.0.0/12",    // private
    "192.0.0.0/24",     // protocol assignments
    "192.0.2.0/24",     // documentation
    "192.31.196.0/24",  // AS112
    "192.52.193.0/24",  // AMT
    "192.88.99.0/24",   // 6to4 relays
    "192.168.0.0/16",   // private
    "192.175.48.0/24",  // AS112
    "198.18.0.0/15",    // benchmarking
    "198.51.100.0/24",  // documentation
    "203.0.113.0/24",   // documentation
    "224.0.0.0/4",      // multicast
    "240.0.0.0/4",      // reserved, broadcast
];

/// Parts of [`GLOBAL_V6`] that are not the public internet, or lead back into IPv4.
const CLOSED_V6: [&str; 5] = [
    "2001::/23",         // protocol assignments, Teredo
    "2001:db8::/32",     // documentation
    "2002::/16",         // 6to4: any IPv4 address, private ones too
    "2620:4f:8000::/48", // AS112
    "3fff::/20",         // documentation
];

/// The well-known prefix of NAT64, by which hosts without IPv4 reach it.
const NAT64: u128 = 0x64_ff9b << 96;

/// A range of addresses, written with its first address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    first: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Whether all of `other` lies in it.
    pub fn contains(self, other: Self) -> bool {
        self.bits <= other.bits
            && self.first.is_ipv4() == other.first.is_ipv4()
            && masked(other.first, self.bits) == self.first
    }

    /// Whether the address lies in it.
    pub fn has(self, address: IpAddr) -> bool {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        self.contains(Self { first: address, bits })
    }

    /// Whether it is a range of IPv4.
    pub const fn is_v4(self) -> bool {
        self.first.is_ipv4()
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            // A shift by all 32 bits, for `/0`, is none that the processor has.
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl FromStr for Cidr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = |problem| ParseError::new("address range", problem, text);
        let (first, bits) = text.split_once('/').ok_or_else(|| bad("expected ADDRESS/BITS"))?;
        let first: IpAddr = first.parse().map_err(|_| bad("not an address"))?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse::<u8>().ok().filter(|bits| *bits <= most);
        let bits = bits.ok_or_else(|| bad("has more bits than an address"))?;
        if masked(first, bits) != first {
            return Err(bad("is not written with its first address"));
        }
        Ok(Self { first, bits })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// The closed ranges of a family, and of `local` what they do not cover already.
pub fn closed(v4: bool, local: &[Cidr]) -> Vec<String> {
    let (every, closed) = if v4 { (EVERY_V4, &CLOSED_V4[..]) } else { (GLOBAL_V6, &CLOSED_V6[..]) };
    let parse = |text: &str| text.parse::<Cidr>().expect("the ranges above are well formed");
    let every = parse(every);
    let mut ranges: Vec<Cidr> = closed.iter().map(|text| parse(text)).collect();
    for range in local.iter().filter(|range| range.is_v4() == v4 && every.contains(**range)) {
        if !ranges.iter().any(|known| known.contains(*range)) {
            ranges.push(*range);
        }
    }
    // Equal ranges give an equal text, whatever their order was.
    ranges.sort_unstable();
    ranges.iter().map(Cidr::to_string).collect()
}

/// Whether an address lies on the public internet. An IPv4 address in IPv6's spelling (`::ffff:10.1.2.3`),
/// or behind a translator of that name (NAT64, `64:ff9b::10.1.2.3`, RFC 6052), is judged as the IPv4
/// address that it reaches.
pub fn is_public(address: IpAddr) -> bool {
    let address = match address.to_canonical() {
        IpAddr::V6(v6) if v6.to_bits() >> 32 == NAT64 >> 32 => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other,
    };
    let (every, closed) =
        if address.is_ipv4() { (EVERY_V4, &CLOSED_V4[..]) } else { (GLOBAL_V6, &CLOSED_V6[..]) };
    let within = |text: &str| text.parse::<Cidr>().is_ok_and(|range| range.has(address));
    within(every) && !closed.iter().any(|text| within(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_strictly() {
        for good in ["10.0.0.0/8", "0.0.0.0/0", "1.2.3.4/32", "2000::/3", "::/0", "fe80::1/128"] {
            assert_eq!(good.parse::<Cidr>().unwrap().to_string(), good);
        }
        for bad in ["10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "x/8", "fe80::1/64", "10.0.0.0/-1"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    /// Every address a workload must not reach is outside what the policy opens.
    #[test]
    fn nothing_private_is_open() {
        let open = |address: &str| is_public(address.parse().unwrap());
        for private in [
            "0.0.0.0",
            "10.0.0.1",
            "10.42.0.7",
            "10.43.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "192.175.48.1",
            "198.18.0.1",
            "198.19.0.1",
            "203.0.113.7",
            "224.0.0.251",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:101:101::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!open(private), "{private}");
        }
        for public in [
            "1.1.1.1",
            "9.9.9.9",
            "100.63.255.255",
            "100.128.0.0",
            "172.32.0.1",
            "192.169.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(open(public), "{public}");
        }
    }

    #[test]
    fn the_nodes_own_public_ranges_are_closed_too() {
        let local: Vec<Cidr> = ["2a01:4f8:1:2::/64", "192.168.1.0/24", "5.9.0.0/24", "fd00::/8"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let (v4, v6) = (closed(true, &local), closed(false, &local));
        assert!(v4.contains(&"5.9.0.0/24".to_owned()) && v4.len() == CLOSED_V4.len() + 1);
        assert!(v6.contains(&"2a01:4f8:1:2::/64".to_owned()) && v6.len() == CLOSED_V6.len() + 1);
    }
}
