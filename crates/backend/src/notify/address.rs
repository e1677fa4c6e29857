//! Allowed targets of messages: strangers choose the URLs, so none may lead into our own network.
//!
//! The name is resolved here, every address is checked, and the connection uses only those
//! addresses, so a name that changes between check and connection gains nothing.

use nodesys_core::notify::MAX_URL_BYTES;
use reqwest::Url;

use crate::public::{is_public, literal, refusal};

/// Ports of web servers, and no others: a stranger chooses the URL.
const PORTS: [u16; 2] = [443, 8443];

/// A target's URL, if it is allowed.
pub(super) fn parse(text: &str, allow_private: bool) -> Result<Url, String> {
    if text.len() > MAX_URL_BYTES {
        return Err(format!("the URL is longer than {MAX_URL_BYTES} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err("the URL must begin with https://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("leave user name and password out of the URL".to_owned());
    }
    if url.fragment().is_some() {
        return Err("leave the # part out of the URL".to_owned());
    }
    if !allow_private && url.port_or_known_default().is_none_or(|port| !PORTS.contains(&port)) {
        return Err("the URL's port must be 443 or 8443".to_owned());
    }
    if !allow_private
        && let Some(ip) = literal(&url)
        && !is_public(ip)
    {
        return Err(refusal(ip));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_lead_inside_are_refused() {
        let why = |text: &str| parse(text, false).unwrap_err();
        for text in [
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "https://0177.0.0.1/",
            "https://169.254.169.254/latest",
            "https://127.1/",
            "https://[fe80::1]:8443/x",
        ] {
            assert!(why(text).contains("no public address"), "{text}: {}", why(text));
            assert!(parse(text, true).is_ok(), "{text}");
        }
        assert!(why("http://example.org/").contains("https://"));
        assert!(why("ftp://example.org/").contains("https://"));
        assert!(why("https://a:b@example.org/").contains("password"));
        assert!(why("https://example.org/#x").contains('#'));
        assert!(why("nonsense").contains("not a URL"));
        assert!(why(&format!("https://example.org/{}", "x".repeat(2048))).contains("2048"));
        assert!(why("https://example.org:22/").contains("8443"));
        assert!(parse("https://hooks.example.org:8443/a?b=c", false).is_ok());
    }
}
