//! Release documents: fetched from wherever they are, and taken only if their hash is the announced
//! one, so that no server has to be trusted.
//!
//! A project's server is named by its owner, so it is asked as [`crate::fetch`] does: at public addresses only
//! (any on the development chain).

use anyhow::{Context as _, bail};
use nodesys_core::B256;
use nodesys_core::release::{MAX_BYTES, Release};
use reqwest::Url;

use crate::fetch::{get, shown};

/// Where releases are asked for.
///
/// # Examples
///
/// ```no_run
/// use nodesys_core::B256;
/// use nodesys_sdk::release::fetch::Fetcher;
///
/// async fn example(announced: B256) -> Result<(), Box<dyn std::error::Error>> {
///     let fetcher = Fetcher::new("https://backend.example.org", false)?;
///     let project = ["https://releases.acme.example".parse()?];
///     let release = fetcher.release(&project, announced).await?;
///     assert_eq!(release.hash(), announced);
///     Ok(())
/// }
/// ```
pub struct Fetcher {
    backend: Url,
    /// Whether private addresses may be asked: on the development chain.
    private: bool,
}

impl Fetcher {
    /// The backend is the operator's own choice, and may be anywhere.
    ///
    /// # Errors
    ///
    /// Where `backend` is no URL.
    pub fn new(backend: &str, private: bool) -> anyhow::Result<Self> {
        let backend = backend.parse().context("the backend's URL")?;
        Ok(Self { backend, private })
    }

    /// The release of this hash: from the project's own servers first, then from the backend.
    ///
    /// # Errors
    ///
    /// Where no server gives the announced bytes, with what each of them gave instead: it did not answer, led
    /// to an address that is not public, or sent too much or other bytes.
    pub async fn release(&self, project: &[Url], hash: B256) -> anyhow::Result<Release> {
        let mut problems = Vec::new();
        for base in project {
            match self.from(base, &[&format!("{hash}.json")], hash, self.private).await {
                Ok(release) => return Ok(release),
                Err(error) => problems.push(format!("{}: {error:#}", shown(base))),
            }
        }
        let route = ["v1", "releases", &hash.to_string()];
        match self.from(&self.backend, &route, hash, true).await {
            Ok(release) => Ok(release),
            Err(error) => {
                problems.push(format!("{}: {error:#}", shown(&self.backend)));
                bail!("release {hash} was not found: {}", problems.join("; "))
            }
        }
    }

    async fn from(
        &self,
        base: &Url,
        path: &[&str],
        hash: B256,
        private: bool,
    ) -> anyhow::Result<Release> {
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("the URL has no path"))?
            .pop_if_empty()
            .extend(path);
        let body = get(&url, MAX_BYTES, private).await?;
        Ok(Release::from_announced(&body, hash)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_servers_are_not_asked() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let fetcher = Fetcher::new("http://127.0.0.1:1", false).unwrap();
        for base in [
            "http://127.0.0.1:1/",
            "http://169.254.169.254/latest",
            "http://[::1]:1/",
            "http://192.168.1.1",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost:1",
        ] {
            let error = fetcher.release(&[base.parse().unwrap()], B256::ZERO).await.unwrap_err();
            let words = format!("{error:#}");
            assert!(words.contains("which is not a public address"), "{base}: {words}");
        }
    }
}
