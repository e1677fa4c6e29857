//! The URL of an RPC endpoint, which mostly is a secret.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use nodesys_core::ids::ParseError;

/// The http(s) URL of an RPC endpoint. It is shown as scheme, host and port only, since the rest
/// often carries a secret key.
///
/// # Examples
///
/// ```
/// use nodesys_chain::RpcUrl;
///
/// let url: RpcUrl = "https://rpc.example.org/v2/SECRET".parse()?;
/// assert_eq!(url.to_string(), "https://rpc.example.org");
/// assert_eq!(url.expose().path(), "/v2/SECRET");
/// assert!("wss://rpc.example.org".parse::<RpcUrl>().is_err());
/// # Ok::<(), nodesys_core::ids::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RpcUrl(Arc<reqwest::Url>);

impl RpcUrl {
    /// The whole URL, with whatever secret it carries.
    pub fn expose(&self) -> &reqwest::Url {
        &self.0
    }
}

impl FromStr for RpcUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // The text itself stays out of the error: it may hold a secret.
        let bad = |problem| ParseError::new("RPC URL", problem, "(not shown)");
        let url: reqwest::Url = text.parse().map_err(|_| bad("not a URL"))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self(Arc::new(url))),
            _ => Err(bad("expected http://HOST or https://HOST")),
        }
    }
}

impl fmt::Display for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RpcUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpc_url_never_shows_its_secret() {
        let url: RpcUrl =
            "https://user:pass@rpc.example:8545/v2/SECRET?key=SECRET".parse().unwrap();
        assert_eq!(url.to_string(), "https://rpc.example:8545");
        assert_eq!(format!("{url:?}"), "RpcUrl(https://rpc.example:8545)");
        for bad in ["", "SECRET", "ws://h/SECRET", "file:///SECRET"] {
            let error = bad.parse::<RpcUrl>().unwrap_err().to_string();
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
