//! Tickets as workloads show them: [`WorkloadTicket`] with its node's signature in one header.
//!
//! A workload asks its manager for a ticket (`POST /v1/ticket`) and sends it to its project's master
//! as `Authorization: Bearer 0x<hex>`. The bytes are fixed: project (20), license (32), fence (8),
//! audience (32), notAfter (8, seconds since 1970), signature (65), numbers big-endian. Who signed is
//! recovered, not said. The header is that of RFC 6750, the origin that of RFC 6454.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::ids::Fence;
//! use nodesys_core::message::{Domain, Signed, WorkloadTicket};
//! use nodesys_core::signature::SigningKey;
//! use nodesys_core::ticket::{Origin, TicketError, TicketText};
//! use nodesys_core::time::Timestamp;
//! use nodesys_core::{Address, B256};
//!
//! let (node, project) = (SigningKey::from_bytes(&[7; 32])?, Address::repeat_byte(2));
//! let domain = Domain::new(31_337, Address::repeat_byte(1));
//! let master: Origin = "https://Tasks.example.org:443/v1".parse()?;
//! assert_eq!(master.as_str(), "https://tasks.example.org");
//! let ticket = WorkloadTicket {
//!     project,
//!     license: B256::repeat_byte(3),
//!     fence: Fence::checked_new(4).expect("below 2^63"),
//!     audience: master.audience(),
//!     not_after: 1_767_226_200,
//! };
//! let header = TicketText(Signed::new(ticket, &domain, &node)).to_string();
//!
//! let ticket: TicketText = header.parse()?;
//! let at = |secs| ticket.check(&domain, project, &master, Timestamp::from_secs(secs));
//! assert_eq!(at(1_767_225_600), Ok(node.address()));
//! assert!(matches!(at(1_767_226_201), Err(TicketError::Expired(_))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256, hex, keccak256};
use serde::{Deserialize, Serialize};

use crate::ids::Fence;
use crate::message::{Domain, Message as _, Signed, WorkloadTicket};
use crate::signature::{Signature, SignatureError};
use crate::time::Timestamp;

/// The longest life of a ticket, in seconds.
pub const MAX_TICKET_SECS: u64 = 600;
/// How far a node's clock may be ahead of the master's, in seconds.
pub const TICKET_SKEW_SECS: u64 = 30;

const BYTES: usize = 20 + 32 + 8 + 32 + 8 + 65;

/// The body of a manager's `POST /v1/ticket`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketRequest {
    /// Whom the ticket is for: the master's public URL, of which the origin counts.
    pub audience: Origin,
}

/// A manager's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketView {
    /// What the workload sends as its bearer token.
    pub ticket: TicketText,
    /// Last second of its validity, seconds since 1970.
    #[serde(with = "crate::message::decimal")]
    pub not_after: u64,
}

/// The origin of a service's public URL: scheme, host and port, in lower case, the scheme's own
/// port left out. What a path or a query says is left out too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// Why a URL has no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:.80?} is no URL of a service: expected http(s)://host[:port], without user or password"
)]
pub struct NoOrigin(String);

impl Origin {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port, without the scheme.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Whether it is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Whether it is on the machine of whoever asks, so that TLS would add nothing.
    pub fn is_loopback(&self) -> bool {
        let authority = self.authority();
        let host = match authority.find(']') {
            Some(bracket) => authority.split_at(bracket + 1).0,
            None => authority.split(':').next().unwrap_or_default(),
        };
        host == "localhost"
            || host == "[::1]"
            || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    /// What tickets name it by: keccak256 of the text.
    pub fn audience(&self) -> B256 {
        keccak256(&self.0)
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(url: &str) -> Result<Self, NoOrigin> {
        let no = || NoOrigin(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(no)?;
        let scheme = scheme.to_ascii_lowercase();
        let own_port = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(no()),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let authority = authority.strip_suffix(own_port).unwrap_or(&authority);
        // An IPv6 address stands in brackets, since it has colons of its own (RFC 3986, 3.2.2).
        let host_end = match authority.rfind(']') {
            Some(bracket) if authority.starts_with('[') => bracket + 1,
            Some(_) => return Err(no()),
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at(host_end);
        let good_port = match port.strip_prefix(':') {
            None => port.is_empty(),
            Some(digits) => {
                !digits.starts_with('0')
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && digits.parse::<u16>().is_ok()
            }
        };
        // No `@` among them: a user or a password would make two origins of one service.
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
        if host.is_empty() || !good_port || !host.bytes().all(good) {
            return Err(no());
        }
        Ok(Self(format!("{scheme}://{authority}")))
    }
}

impl TryFrom<String> for Origin {
    type Error = NoOrigin;

    fn try_from(url: String) -> Result<Self, NoOrigin> {
        url.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A signed ticket that reads and writes itself as `0x` hex. Nothing of it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TicketText(pub Signed<WorkloadTicket>);

/// What is wrong with a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not the hex of a ticket.
    #[error("a ticket is 0x and {} hex digits", BYTES * 2)]
    Malformed,
    /// Its signature cannot be one.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// For another project.
    #[error("the ticket is for project {given}, this master serves {expected}")]
    Project {
        /// In the ticket.
        given: Address,
        /// The master's.
        expected: Address,
    },
    /// For another service.
    #[error("the ticket is for another audience: ask for one with audience {0}")]
    Audience(Origin),
    /// Longer than tickets may be.
    #[error(
        "the ticket is valid for more than {MAX_TICKET_SECS} seconds from now: sign a shorter one, \
         and check the node's clock"
    )]
    TooLong,
    /// Over.
    #[error("the ticket ended at {0}: ask the manager for a new one")]
    Expired(Timestamp),
}

impl TicketText {
    /// Everything that can be told from the ticket alone, cheapest first. The answer is the node
    /// key that signed; that it holds the license's lease is for the caller to find out.
    ///
    /// # Errors
    ///
    /// [`TicketError`] says which check failed first: project, audience, time, signature.
    pub fn check(
        &self,
        domain: &Domain,
        project: Address,
        audience: &Origin,
        now: Timestamp,
    ) -> Result<Address, TicketError> {
        let ticket = &self.0.message;
        // Recovering a key costs thousands of times what these comparisons do.
        if ticket.project != project {
            return Err(TicketError::Project { given: ticket.project, expected: project });
        }
        if ticket.audience != audience.audience() {
            return Err(TicketError::Audience(audience.clone()));
        }
        if ticket.not_after < now.secs() {
            return Err(TicketError::Expired(Timestamp::from_secs(ticket.not_after)));
        }
        if ticket.not_after > now.secs().saturating_add(MAX_TICKET_SECS + TICKET_SKEW_SECS) {
            return Err(TicketError::TooLong);
        }
        Ok(self.0.signature.recover(ticket.digest(domain))?)
    }
}

impl FromStr for TicketText {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let mut bytes = [0; BYTES];
        text.strip_prefix("0x")
            .and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok())
            .ok_or(TicketError::Malformed)?;
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_be_bytes(eight)
        };
        let message = WorkloadTicket {
            project: Address::from_slice(&bytes[..20]),
            license: B256::from_slice(&bytes[20..52]),
            fence: Fence::checked_new(number(52)).ok_or(TicketError::Malformed)?,
            audience: B256::from_slice(&bytes[60..92]),
            not_after: number(92),
        };
        Ok(Self(Signed { message, signature: Signature::from_bytes(&bytes[100..])? }))
    }
}

impl fmt::Display for TicketText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WorkloadTicket { project, license, fence, audience, not_after } = &self.0.message;
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(project.as_slice());
        bytes.extend_from_slice(license.as_slice());
        bytes.extend_from_slice(&fence.get().to_be_bytes());
        bytes.extend_from_slice(audience.as_slice());
        bytes.extend_from_slice(&not_after.to_be_bytes());
        bytes.extend_from_slice(self.0.signature.as_bytes());
        f.write_str(&hex::encode_prefixed(bytes))
    }
}

impl TryFrom<String> for TicketText {
    type Error = TicketError;

    fn try_from(text: String) -> Result<Self, TicketError> {
        text.parse()
    }
}

impl From<TicketText> for String {
    fn from(ticket: TicketText) -> Self {
        ticket.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::SigningKey;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_secs(1_767_312_000);

    fn domain() -> Domain {
        Domain::new(31_337, Address::repeat_byte(1))
    }

    fn origin(url: &str) -> Origin {
        url.parse().unwrap()
    }

    fn ticket(not_after: u64) -> TicketText {
        let message = WorkloadTicket {
            project: Address::repeat_byte(2),
            license: B256::repeat_byte(3),
            fence: Fence::checked_new(4).unwrap(),
            audience: origin("https://tasks.example.org").audience(),
            not_after,
        };
        let key = SigningKey::from_bytes(&[7; 32]).unwrap();
        TicketText(Signed::new(message, &domain(), &key))
    }

    #[test]
    fn an_origin_says_where_it_is() {
        for (url, authority, https, loopback) in [
            ("https://nodes.example.org", "nodes.example.org", true, false),
            ("https://nodes.example.org:8443/path", "nodes.example.org:8443", true, false),
            ("http://localhost:8080", "localhost:8080", false, true),
            ("http://127.8.0.1", "127.8.0.1", false, true),
            ("http://[::1]:80", "[::1]", false, true),
            ("http://127.0.0.1.example.org", "127.0.0.1.example.org", false, false),
            ("http://localhost.example.org", "localhost.example.org", false, false),
        ] {
            let origin = origin(url);
            assert_eq!(origin.authority(), authority);
            assert_eq!((origin.is_https(), origin.is_loopback()), (https, loopback), "{url}");
        }
    }

    #[test]
    fn an_origin_has_one_spelling() {
        for (url, expected) in [
            ("https://Tasks.Example.org", "https://tasks.example.org"),
            ("HTTPS://tasks.example.org:443/v1?x#y", "https://tasks.example.org"),
            ("http://127.0.0.1:8090/", "http://127.0.0.1:8090"),
            ("http://localhost:80", "http://localhost"),
            ("http://[::1]:8090/x", "http://[::1]:8090"),
            ("https://tasks.example.org:80", "https://tasks.example.org:80"),
        ] {
            let origin = origin(url);
            assert_eq!(origin.as_str(), expected);
            assert_eq!(origin.as_str().parse(), Ok(origin.clone()));
        }
        for bad in [
            "",
            "tasks.example.org",
            "ftp://x",
            "https://",
            "https:///x",
            "https://user:pw@x",
            "https://x:",
            "https://x:0",
            "https://x:99999",
            "https://x:8o",
            "https://x y",
            "https://\u{e4}.example",
            "http://x]:1",
            "http://:80",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ticket_is_for_one_project_one_service_and_ten_minutes() {
        let (project, here) = (Address::repeat_byte(2), origin("https://tasks.example.org/"));
        let check = |ticket: &TicketText, project, here: &Origin| {
            ticket.check(&domain(), project, here, NOW)
        };
        let good = ticket(NOW.secs() + MAX_TICKET_SECS);
        let signer = SigningKey::from_bytes(&[7; 32]).unwrap().address();
        assert_eq!(check(&good, project, &here), Ok(signer));
        assert_eq!(check(&ticket(NOW.secs()), project, &here), Ok(signer));

        let other = check(&good, Address::repeat_byte(9), &here).unwrap_err();
        assert!(matches!(other, TicketError::Project { .. }), "{other}");
        let other = check(&good, project, &origin("http://tasks.example.org")).unwrap_err();
        assert!(other.to_string().contains("http://tasks.example.org"), "{other}");
        let over = check(&ticket(NOW.secs() - 1), project, &here).unwrap_err();
        assert!(matches!(over, TicketError::Expired(_)), "{over}");
        let long = ticket(NOW.secs() + MAX_TICKET_SECS + TICKET_SKEW_SECS + 1);
        assert_eq!(check(&long, project, &here), Err(TicketError::TooLong));
        // In another domain the signature is another key's.
        let elsewhere = Domain::new(1, Address::repeat_byte(1));
        assert_ne!(good.check(&elsewhere, project, &here, NOW), Ok(signer));
    }

    #[test]
    fn a_ticket_survives_its_text_and_nothing_else_is_one() {
        let good = ticket(5);
        let text = good.to_string();
        assert_eq!(text.parse(), Ok(good.clone()));
        let json = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<TicketText>(&json).unwrap(), good);
        for bad in ["", "0x", &text[2..], &text[..text.len() - 2], &format!("{text}00")] {
            assert_eq!(bad.parse::<TicketText>(), Err(TicketError::Malformed));
        }
        let bad = format!("{}05", &text[..text.len() - 2]);
        assert!(matches!(bad.parse::<TicketText>(), Err(TicketError::Signature(_))));
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_the_same_nodes_ticket(at in 0..BYTES, to in any::<u8>()) {
            let good = ticket(NOW.secs());
            let mut bytes = hex::decode(good.to_string()).unwrap();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let signer = good.0.signature.recover(good.0.message.digest(&domain())).unwrap();
            if let Ok(changed) = hex::encode_prefixed(bytes).parse::<TicketText>() {
                let recovered = changed.0.signature.recover(changed.0.message.digest(&domain()));
                prop_assert_ne!(recovered, Ok(signer));
            }
        }

        #[test]
        fn origins_never_panic(url in ".{0,40}") {
            if let Ok(origin) = url.parse::<Origin>() {
                prop_assert_eq!(origin.as_str().parse(), Ok(origin.clone()));
            }
        }
    }
}
