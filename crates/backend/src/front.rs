//! The backend as people see it: its public address, and by it the text they sign, their cookie, and
//! whether a request comes from a page of ours.
//!
//! The address is configured. What a request says of its `Host` is never believed: a wallet would sign a
//! text for whatever name somebody found for this server.
//!
//! A text's nonce carries its time and a code over both and the account, so every replica recognises the
//! texts of the others, and to ask for one costs no row. One that is signed becomes a row, so that it is
//! taken once.

use alloy::signers::k256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use anyhow::bail;
use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use nodesys_core::login::LoginText;
use nodesys_core::ticket::Origin;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::{ApiError, ApiResult};

/// How long a text can be used.
const TEXT_MILLIS: u64 = 10 * 60_000;
/// How long a login goes on.
pub(crate) const LOGIN_MILLIS: u64 = 12 * 3_600_000;
/// What every request that changes something has beside the cookie: a form of another site cannot set it.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("nodesys-csrf");

/// The public address, with the secret behind the nonces.
pub(crate) struct Front {
    site: Origin,
    chain_id: u64,
    secret: Zeroizing<[u8; 32]>,
}

impl Front {
    /// Refuses an address at which a cookie could be read on the way.
    pub(crate) fn new(
        site: Origin,
        chain_id: u64,
        secret: Zeroizing<[u8; 32]>,
    ) -> anyhow::Result<Self> {
        if !site.is_https() && !site.is_loopback() {
            bail!(
                "--public-url {} is not https://: whoever reads the traffic could act as those who are \
                 signed in. Put a proxy with TLS in front, and give its https:// address",
                site.as_str()
            );
        }
        Ok(Self { site, chain_id, secret })
    }

    /// A text for an account to sign: itself, its nonce, and when it can no longer be used.
    pub(crate) fn write(&self, account: Address, now: Timestamp) -> (String, Nonce, Timestamp) {
        let mut nonce = [0; 24];
        nonce[..5].copy_from_slice(&now.secs().to_be_bytes()[3..]);
        OsRng.fill_bytes(&mut nonce[5..12]);
        let code = self.code(account, &nonce[..12]).finalize().into_bytes();
        nonce[12..].copy_from_slice(&code[..12]);
        let nonce = Nonce(nonce);
        (self.text(account, &nonce, &nonce.to_string()).to_string(), nonce, nonce.until())
    }

    /// What an account has signed, if it was written here for it and can still be used.
    pub(crate) fn digest(
        &self,
        account: Address,
        nonce: &Nonce,
        now: Timestamp,
    ) -> ApiResult<B256> {
        let code = self.code(account, &nonce.0[..12]);
        if code.verify_truncated_left(&nonce.0[12..]).is_err() {
            return Err(ApiError::bad_request(
                "the nonce is of no text that was written here for this account: ask for a new text",
            ));
        }
        if nonce.until() <= now {
            return Err(ApiError::login_text_old(format!(
                "the text could be used until {}: ask for a new one",
                nonce.until()
            )));
        }
        Ok(self.text(account, nonce, &nonce.to_string()).digest())
    }

    fn text<'a>(&'a self, account: Address, nonce: &Nonce, shown: &'a str) -> LoginText<'a> {
        LoginText {
            site: &self.site,
            account,
            chain_id: self.chain_id,
            nonce: shown,
            issued: nonce.issued(),
            until: nonce.until(),
        }
    }

    fn code(&self, account: Address, part: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_ref())
            .expect("HMAC takes a secret of any length");
        mac.update(account.as_slice());
        mac.update(part);
        mac
    }

    /// Refuses a request that a page of another site may have made.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> ApiResult<()> {
        let own = self.site.as_str();
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let given = origins.next().and_then(|origin| origin.to_str().ok());
        if given != Some(own) || origins.next().is_some() {
            return Err(ApiError::cross_site(format!(
                "the request's Origin must be {own}, as a browser sets it on a page of this backend"
            )));
        }
        if headers.get(CSRF_HEADER).is_none_or(|value| value != "1") {
            return Err(ApiError::cross_site(format!(
                "the request lacks the header {CSRF_HEADER}: 1"
            )));
        }
        Ok(())
    }

    /// The address of a page here.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.site.as_str())
    }

    /// A short secret as it is kept: who reads the database cannot try all of them.
    pub(crate) fn hidden(&self, id: &[u8; 16], secret: &str) -> B256 {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_ref())
            .expect("HMAC takes a secret of any length");
        mac.update(b"code");
        mac.update(id);
        mac.update(secret.as_bytes());
        B256::from_slice(&mac.finalize().into_bytes())
    }

    /// The cookie that keeps a browser signed in.
    pub(crate) fn cookie(&self, token: &Token) -> String {
        self.set_cookie(&token.text(), LOGIN_MILLIS / 1000)
    }

    /// The cookie that ends it.
    pub(crate) fn no_cookie(&self) -> String {
        self.set_cookie("", 0)
    }

    fn set_cookie(&self, value: &str, secs: u64) -> String {
        // Browsers take no `Secure` cookie, and so no `__Host-`, over http:// everywhere.
        let secure = if self.site.is_https() { "; Secure" } else { "" };
        let name = self.cookie_name();
        format!("{name}={value}; Path=/; Max-Age={secs}; HttpOnly; SameSite=Strict{secure}")
    }

    /// A name with this beginning is taken from no subdomain and no insecure page.
    fn cookie_name(&self) -> &'static str {
        if self.site.is_https() { "__Host-nodesys-login" } else { "nodesys-login" }
    }

    /// The secret of the request's cookie; `None` without one, or with two that contradict each other.
    pub(crate) fn token(&self, headers: &HeaderMap) -> Option<Token> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs =
            cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
        let mut values = pairs
            .filter(|(name, _)| name.trim() == self.cookie_name())
            .map(|(_, value)| value.trim());
        let token = Token::parse(values.next()?)?;
        values.next().is_none().then_some(token)
    }
}

/// A nonce: its time in seconds (5 bytes), random bytes (7), a code over these and the account (12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce(pub(crate) [u8; 24]);

impl Nonce {
    /// From its 48 hex digits in lower case: a text has one spelling.
    pub(crate) fn parse(text: &str) -> ApiResult<Self> {
        let mut nonce = [0; 24];
        alloy::hex::decode_to_slice(text, &mut nonce)
            .ok()
            .map(|()| Self(nonce))
            .filter(|nonce| nonce.to_string() == text)
            .ok_or_else(|| ApiError::bad_request("the nonce is not the one of a login text"))
    }

    fn issued(&self) -> Timestamp {
        let mut secs = [0; 8];
        secs[3..].copy_from_slice(&self.0[..5]);
        Timestamp::from_secs(u64::from_be_bytes(secs))
    }

    /// When its text can no longer be used.
    pub(crate) fn until(&self) -> Timestamp {
        self.issued().plus_millis(TEXT_MILLIS)
    }
}

impl std::fmt::Display for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&alloy::hex::encode(self.0))
    }
}

/// A secret that stands for somebody: given out once, and kept here as its hash only.
pub(crate) struct Token(Zeroizing<[u8; 32]>);

impl Token {
    /// A new one, from the system's randomness.
    pub(crate) fn draw() -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(secret.as_mut());
        Self(secret)
    }

    /// From its text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Room for what a decoder may write before it knows the length.
        let mut secret = Zeroizing::new([0; 48]);
        let length = (text.len() == 43)
            .then(|| URL_SAFE_NO_PAD.decode_slice(text, secret.as_mut()).ok())
            .flatten()?;
        (length == 32).then(|| {
            let mut token = Zeroizing::new([0; 32]);
            token.copy_from_slice(&secret[..32]);
            Self(token)
        })
    }

    /// As it is given out: 43 characters.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_ref()))
    }

    /// As it is kept: a secret of 256 random bits needs no slow hash.
    pub(crate) fn hash(&self) -> B256 {
        B256::from_slice(&Sha256::digest(self.0.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

    fn front(site: &str) -> anyhow::Result<Front> {
        Front::new(site.parse().unwrap(), 1, Zeroizing::new([7; 32]))
    }

    #[test]
    fn a_text_is_for_its_account_its_site_and_ten_minutes() {
        let here = front("https://nodes.example.org").unwrap();
        let (account, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let (text, nonce, until) = here.write(account, NOW);
        assert!(text.contains(&format!("\nNonce: {nonce}\n")), "{text}");
        assert_eq!(until, NOW.plus_millis(600_000));
        let digest = alloy::primitives::eip191_hash_message(&text);
        assert_eq!(here.digest(account, &nonce, NOW).unwrap(), digest);
        let last = until.plus_millis(0);
        assert_eq!(here.digest(account, &nonce, last).unwrap_err().code(), "login_text_old");
        assert_eq!(here.digest(other, &nonce, NOW).unwrap_err().code(), "bad_request");
        for byte in 0..24 {
            let mut altered = nonce;
            altered.0[byte] ^= 1;
            assert_eq!(here.digest(account, &altered, NOW).unwrap_err().code(), "bad_request");
        }
        // Another replica has the same secret; another backend has not.
        let replica = front("https://nodes.example.org").unwrap();
        assert_eq!(replica.digest(account, &nonce, NOW).unwrap(), digest);
        let elsewhere =
            Front::new("https://nodes.example.org".parse().unwrap(), 1, Zeroizing::new([8; 32]));
        assert!(elsewhere.unwrap().digest(account, &nonce, NOW).is_err());
        assert_ne!(here.write(account, NOW).1, nonce);

        assert_eq!(Nonce::parse(&nonce.to_string()).unwrap(), nonce);
        for bad in ["", "00", &nonce.to_string().to_uppercase(), &format!("0x{nonce}")] {
            assert!(Nonce::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cookie_never_travels_in_the_open() {
        assert!(front("http://nodes.example.org").is_err());
        let token = Token::draw();
        let secure = front("https://nodes.example.org").unwrap().cookie(&token);
        let (pair, attributes) = secure.split_once("; ").unwrap();
        assert_eq!(pair, format!("__Host-nodesys-login={}", *token.text()));
        assert_eq!(attributes, "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
        let local = front("http://127.0.0.1:8080").unwrap().cookie(&token);
        assert!(local.starts_with("nodesys-login=") && !local.contains("Secure"), "{local}");
    }

    #[test]
    fn a_cookie_is_read_where_it_is_the_only_one() {
        let front = front("https://nodes.example.org").unwrap();
        let token = Token::draw();
        let (good, other) = (token.text(), Token::draw().text());
        let (good, other) = (good.as_str(), other.as_str());
        let read = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            front.token(&headers).map(|token| token.hash())
        };
        let own = format!("__Host-nodesys-login={good}");
        assert_eq!(read(&[&own]), Some(token.hash()));
        assert_eq!(read(&[&format!("a=b; {own}; nodesys-login={other}")]), Some(token.hash()));
        assert_eq!(read(&["a=b", &own]), Some(token.hash()));
        for bad in [
            format!("nodesys-login={good}"),
            format!("__Host-nodesys-login={}", &good[1..]),
            format!("__Host-nodesys-login={good}="),
            format!("{own}; __Host-nodesys-login={other}"),
            "__Host-nodesys-login".to_owned(),
        ] {
            assert_eq!(read(&[&bad]), None, "{bad}");
        }
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        let front = front("https://nodes.example.org").unwrap();
        let ask = |origins: &[&str], csrf: Option<&str>| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(header::ORIGIN, origin.parse().unwrap());
            }
            headers.extend(csrf.map(|value| (CSRF_HEADER, value.parse().unwrap())));
            front.check_origin(&headers).map_err(|error| error.code())
        };
        let own = "https://nodes.example.org";
        assert_eq!(ask(&[own], Some("1")), Ok(()));
        for (origins, csrf) in [
            (&[own][..], None),
            (&[own], Some("0")),
            (&[], Some("1")),
            (&["null"], Some("1")),
            (&["http://nodes.example.org"], Some("1")),
            (&["https://evil.example.org"], Some("1")),
            (&["https://nodes.example.org.evil.example"], Some("1")),
            (&[own, "https://evil.example.org"], Some("1")),
        ] {
            assert_eq!(ask(origins, csrf), Err("cross_site"), "{origins:?}, {csrf:?}");
        }
    }
}
