//! Webhooks: messages to a URL of somebody's choosing, signed so that the receiver knows the sender.
//!
//! The signature is that of the [Standard Webhooks](https://www.standardwebhooks.com) specification
//! (1.0.0): HMAC-SHA256 with the receiver's secret over `id.timestamp.body`, in three headers. A
//! receiver refuses old timestamps and takes an id once. Timestamps are seconds since 1970.
//!
//! # Examples
//!
//! A vector of `test/vectors/webhooks.json`, made by Node's crypto.
//!
//! ```
//! use nodesys_core::webhook::Secret;
//!
//! let secret: Secret = "whsec_QSxVRFDLa1fd/loHI0rY9CzhvLNbAvDo".parse()?;
//! let header = secret.sign("msg_1", 1_767_225_600, b"{}");
//! assert_eq!(header, "v1,712SWKJqsIpuRa4FIw5WVZsNS4gs9vvnh/H6Gf9cVik=");
//! assert!(secret.verify("msg_1", 1_767_225_600, b"{}", &header));
//! assert!(!secret.verify("msg_1", 1_767_225_601, b"{}", &header), "the time is signed too");
//! # Ok::<(), nodesys_core::ids::ParseError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ids::ParseError;

/// Header with the message's id, the same for every try.
pub const ID_HEADER: &str = "webhook-id";
/// Header with the time of the try, seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// Header with the signature.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";
/// Lengths of a secret that the specification recommends, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A receiver's secret, `whsec_` and base64. Its `Debug` shows nothing; it is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// From fresh random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The secret as the receiver writes it down.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(&*self.0)))
    }

    /// The signature header's value for one try of a message.
    pub fn sign(&self, id: &str, timestamp_secs: u64, body: &[u8]) -> String {
        let mac = self.mac(id, timestamp_secs, body).finalize();
        format!("{VERSION}{}", STANDARD.encode(mac.into_bytes()))
    }

    /// Whether one of the signatures in a received header holds, compared in constant time. The
    /// receiver also refuses a time that is far from its own.
    pub fn verify(&self, id: &str, timestamp_secs: u64, body: &[u8], header: &str) -> bool {
        // A sender that changes secrets signs with both for a while, so there may be several.
        header.split(' ').filter_map(|signature| signature.strip_prefix(VERSION)).any(|digits| {
            // What is no base64 becomes an empty code, which is refused like any wrong one.
            let claimed = STANDARD.decode(digits).unwrap_or_default();
            self.mac(id, timestamp_secs, body).verify_slice(&claimed).is_ok()
        })
    }

    fn mac(&self, id: &str, timestamp_secs: u64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a secret of any length");
        mac.update(format!("{id}.{timestamp_secs}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl FromStr for Secret {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // The text stays out of the error: it is a secret.
        let bad = |problem| ParseError::new("webhook secret", problem, "(not shown)");
        let digits = text.strip_prefix(PREFIX).ok_or_else(|| bad("expected whsec_ and base64"))?;
        let bytes = STANDARD.decode(digits).map_err(|_| bad("what follows whsec_ is no base64"))?;
        if LENGTHS.contains(&bytes.len()) {
            Ok(Self(Zeroizing::new(bytes)))
        } else {
            Err(bad("it must have 24 to 64 bytes"))
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference implementations.
    #[test]
    fn signs_as_the_specification_has_it() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(secret.expose().as_str(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn one_of_several_signatures_must_hold() {
        let (ours, other) = (Secret::from_random([7; 32]), Secret::from_random([8; 32]));
        let (right, wrong) = (ours.sign("msg_1", 9, b"{}"), other.sign("msg_1", 9, b"{}"));
        assert!(ours.verify("msg_1", 9, b"{}", &right));
        assert!(ours.verify("msg_1", 9, b"{}", &format!("v1a,AAAA {wrong} {right}")));
        for header in [wrong.as_str(), "", "v1,", "v1,!", &right[3..]] {
            assert!(!ours.verify("msg_1", 9, b"{}", header), "{header}");
        }
        assert!(!ours.verify("msg_2", 9, b"{}", &right));
        assert!(!ours.verify("msg_1", 10, b"{}", &right));
        assert!(!ours.verify("msg_1", 9, b"{ }", &right));
    }

    #[test]
    fn a_bad_secret_is_refused_and_never_shown() {
        let fresh = Secret::from_random([7; 32]).expose();
        assert!(fresh.parse::<Secret>().is_ok());
        for bad in ["", "SECRET", "whsec_SECRET!", "whsec_U0VDUkVU"] {
            let error = bad.parse::<Secret>().unwrap_err().to_string();
            assert!(!error.contains("SECRET") && !error.contains("U0VD"), "{error}");
        }
        assert_eq!(format!("{:?}", Secret::from_random([7; 32])), "Secret(hidden)");
    }
}
