//! A repository's location, and reading its metadata: a folder, or a server over HTTP.
//!
//! Nothing read here is trusted. A file longer than any metadata of ours, or a silent server, ends
//! the reading.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use reqwest::StatusCode;
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

use crate::Problem;

/// Far above any metadata file of ours.
pub(crate) const MAX_FILE: u64 = 4 << 20;
const CONNECT: Duration = Duration::from_secs(15);
/// Time limit for one whole file, against servers that trickle.
const PATIENCE: Duration = Duration::from_secs(60);

/// A repository's location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A server.
    Server(Url),
}

impl Place {
    /// Parses user input: an http(s) URL, else a folder.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if !text.contains("://") {
            return Ok(Self::Folder(text.into()));
        }
        let usage = |problem: &str| {
            Problem::Usage(format!(
                "{text:.200?} is no repository: {problem}; give an http(s) URL or a folder"
            ))
        };
        let mut url: Url = text.parse().map_err(|_| usage("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(usage("only http and https are read"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(usage("it ends with a query"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self::Server(url))
    }

    /// The base of its metadata or targets.
    pub(crate) fn base(&self, part: &str) -> Result<Url, Problem> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.join(part).canonicalize().map_err(|error| {
                    Problem::Unreachable(format!(
                        "{} is no repository: its folder {part} cannot be read ({error})",
                        folder.display()
                    ))
                })?;
                Url::from_directory_path(&folder).map_err(|()| {
                    Problem::Usage(format!("{} is no folder of a repository", folder.display()))
                })
            }
            Self::Server(url) => url.join(&format!("{part}/")).map_err(|error| {
                Problem::Usage(format!("{url} is no address of a repository: {error}"))
            }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            // What stands behind the host may be a secret.
            Self::Server(url) => f.write_str(&url.origin().ascii_serialization()),
        }
    }
}

/// The error for a file that is too long.
#[derive(Debug, thiserror::Error)]
#[error("it is longer than {MAX_FILE} bytes")]
pub(crate) struct Endless;

/// Reads metadata.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    client: reqwest::Client,
}

impl Reader {
    pub(crate) fn new() -> Result<Self, Problem> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Problem::Here(format!("the client cannot be made: {error}")))?;
        Ok(Self { client })
    }

    async fn over_http(&self, url: &Url) -> Result<Bytes, TransportError> {
        let broken = |error: reqwest::Error| {
            TransportError::new_with_cause(TransportErrorKind::Other, url, error.without_url())
        };
        let answer = self.client.get(url.clone()).send().await.map_err(broken)?;
        match answer.status() {
            StatusCode::OK => {}
            // Stores of files answer either for what they do not have.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => {
                return Err(TransportError::new(TransportErrorKind::FileNotFound, url));
            }
            status => {
                let words = format!("it answers {status}");
                return Err(TransportError::new_with_cause(TransportErrorKind::Other, url, words));
            }
        }
        let mut whole = BytesMut::new();
        let mut body = answer.bytes_stream();
        while let Some(chunk) = body.next().await {
            whole.extend_from_slice(&chunk.map_err(broken)?);
            if whole.len() as u64 > MAX_FILE {
                return Err(TransportError::new_with_cause(
                    TransportErrorKind::Other,
                    url,
                    Endless,
                ));
            }
        }
        Ok(whole.freeze())
    }
}

#[async_trait]
impl Transport for Reader {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        if url.scheme() == "file" {
            return tough::FilesystemTransport.fetch(url).await;
        }
        let whole = self.over_http(&url).await?;
        Ok(Box::pin(futures::stream::iter([Ok(whole)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_server() {
        assert_eq!(Place::parse("./releases").unwrap(), Place::Folder("./releases".into()));
        let server = Place::parse("https://updates.example.org/stable").unwrap();
        let base = server.base("metadata").unwrap();
        assert_eq!(base.as_str(), "https://updates.example.org/stable/metadata/");
        assert_eq!(server.to_string(), "https://updates.example.org");
        for bad in ["ftp://updates.example.org", "https://", "https://updates.example.org/?x=1"] {
            assert_eq!(Place::parse(bad).unwrap_err().code(), 2, "{bad}");
        }
        assert_eq!(Place::parse("/none").unwrap().base("metadata").unwrap_err().code(), 7);
    }
}
