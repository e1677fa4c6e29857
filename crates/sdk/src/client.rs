//! The backend's client: one method per `/v1` route, in the types of [`nodesys_core::api`].
//!
//! It only carries. Nothing an answer says is believed here: who calls verifies signatures, paths
//! and hashes. Every request has a time limit and every answer a size limit, redirects are not
//! followed, and what goes wrong is told apart: a refusal ([`Error::Problem`]), a network that
//! does not carry ([`Error::Transport`]), an answer that is not the backend's
//! ([`Error::BadAnswer`]).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nodesys_core::api::Problem;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

mod error;
mod routes;
#[cfg(test)]
mod tests;

pub use error::Error;

/// The time limit of a request, its answer included, unless [`Client::with_timeout`] sets another.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest JSON answer taken, in bytes.
pub const MAX_JSON_BYTES: usize = 4 << 20;
/// The largest file taken, in bytes: a day of a million licenses is about half of it.
pub const MAX_FILE_BYTES: usize = 1 << 30;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A backend; cheap to clone, its connections are shared.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use nodesys_sdk::client::{Client, Error};
///
/// async fn example() -> Result<(), Error> {
///     let backend = Client::new("https://backend.example.org")?.with_timeout(Duration::from_secs(5));
///     match backend.day("2026-01-31".parse().expect("a day")).await {
///         Ok(day) => println!("closed: {}", day.closed.is_some()),
///         Err(error) if error.is_passing() => println!("worth trying again: {error}"),
///         Err(error) => return Err(error),
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
    timeout: Duration,
}

impl Client {
    /// The backend at `base`, as in `https://backend.example.org` (a path in front is kept).
    ///
    /// The program must have installed a TLS provider: `rustls::crypto::ring::default_provider()
    /// .install_default()` first thing in `main`.
    ///
    /// # Errors
    ///
    /// [`Error::BadUrl`] where `base` is no http(s) URL or has a user, a password, a query or a fragment;
    /// [`Error::Setup`] where no TLS provider is installed or the HTTP client cannot start.
    pub fn new(base: &str) -> Result<Self, Error> {
        let base = parse_base(base)?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Error::Setup(
                "no TLS provider is installed: call \
                 rustls::crypto::ring::default_provider().install_default() first thing in main"
                    .to_owned(),
            ));
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("nodesys-sdk/", env!("CARGO_PKG_VERSION")))
            // Following one would hand signed requests to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| Error::Setup(error::chain(&error)))?;
        Ok(Self { base, http, timeout: DEFAULT_TIMEOUT })
    }

    /// The same backend with another time limit of a request.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Where the backend is.
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// The route's URL, each segment escaped.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("parse_base takes http and https only, which have paths")
            // A base that ends in a slash has an empty last segment.
            .pop_if_empty()
            .extend(segments);
        url
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, Error> {
        let answer = self.send(Method::GET, &url, None, MAX_JSON_BYTES).await?;
        parse(&url, &answer)
    }

    async fn post<T: DeserializeOwned>(&self, url: Url, body: &impl Serialize) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Setup(error.to_string()))?;
        let body = Some(("application/json", Bytes::from(body)));
        let answer = self.send(Method::POST, &url, body, MAX_JSON_BYTES).await?;
        parse(&url, &answer)
    }

    async fn put<T: DeserializeOwned>(
        &self,
        content_type: &'static str,
        url: Url,
        body: Bytes,
    ) -> Result<T, Error> {
        let body = Some((content_type, body));
        let answer = self.send(Method::PUT, &url, body, MAX_JSON_BYTES).await?;
        parse(&url, &answer)
    }

    async fn file(&self, url: Url) -> Result<Bytes, Error> {
        self.send(Method::GET, &url, None, MAX_FILE_BYTES).await
    }

    /// Sends, and takes the body of a success.
    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Option<(&'static str, Bytes)>,
        limit: usize,
    ) -> Result<Bytes, Error> {
        let mut request = self
            .http
            .request(method, url.clone())
            .timeout(self.timeout)
            .header(ACCEPT, "application/json, text/csv, application/problem+json, */*;q=0.1");
        if let Some((content_type, bytes)) = body {
            request = request.header(CONTENT_TYPE, content_type).body(bytes);
        }
        let response =
            request.send().await.map_err(|error| Error::transport(&self.base, url, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            return self.body(response, url, limit).await;
        }
        let body = self.body(response, url, MAX_JSON_BYTES).await?;
        Err(refusal(url, status, &headers, &body))
    }

    /// The whole body, refused as soon as it passes the limit.
    async fn body(&self, mut response: Response, url: &Url, limit: usize) -> Result<Bytes, Error> {
        let status = response.status();
        let too_large =
            || Error::bad_answer(url, status, format!("its body is larger than {limit} bytes"));
        // What is announced is refused before it is read; what is not, as soon as it is too much.
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).map_or(true, |announced| announced > limit) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        loop {
            let chunk = response.chunk().await;
            match chunk.map_err(|error| Error::transport(&self.base, url, &error))? {
                None => return Ok(body.freeze()),
                Some(chunk) if body.len() + chunk.len() > limit => return Err(too_large()),
                Some(chunk) => body.extend_from_slice(&chunk),
            }
        }
    }
}

fn parse_base(text: &str) -> Result<Url, Error> {
    // Whatever else is wrong with it, text with a password is not repeated.
    let shown = if text.contains('@') { "(hidden)" } else { text };
    let bad = |why: &str| Error::BadUrl { url: shown.chars().take(200).collect(), why: why.into() };
    let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("expected http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("leave user name and password out"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("a backend's URL has no ? and no #"));
    }
    Ok(url)
}

fn parse<T: DeserializeOwned>(url: &Url, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::bad_answer(url, StatusCode::OK, format!("cannot read it: {error}")))
}

/// What an answer other than a success means: the backend's problem document, or somebody else's
/// words (a proxy's, another program's).
fn refusal(url: &Url, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    // By its type: a proxy's page of JSON may happen to read as a problem.
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_problem = content_type.is_some_and(|value| value.starts_with(Problem::CONTENT_TYPE));
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if is_problem => Error::Problem(Box::new(problem)),
        _ => Error::bad_answer(
            url,
            status,
            format!("status {status} without a problem document; is a backend there?"),
        ),
    }
}
