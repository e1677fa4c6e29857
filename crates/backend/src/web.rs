//! The dashboard: the files of a built site, read once at start and served from memory.
//!
//! So no request reaches the disk, no path leads out of the folder, and no page mixes two builds. What is
//! no file is the site's page where a browser asks for a page, and otherwise, as everything below `/v1/`, a
//! problem document: the site never hides that a route does not exist.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use nodesys_core::keccak256;

use crate::cached;
use crate::error::ApiError;

/// Most bytes of a site: it stays in memory.
const MOST_BYTES: u64 = 32 << 20;

/// What a page may do. Scripts and styles come from here; the chain is read over a wallet, or over an RPC
/// that the visitor types: any with TLS, or one on the visitor's machine.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; \
    connect-src 'self' https: http://127.0.0.1:* http://localhost:*; worker-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// What the worker may do that verifies days: it compiles its Keccak.
const WORKER_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    connect-src 'self' https: http://127.0.0.1:* http://localhost:*";

/// A built site.
#[derive(Debug, Default)]
pub(crate) struct Site {
    /// By path, without the first slash.
    files: HashMap<String, File>,
}

#[derive(Debug)]
struct File {
    kind: &'static str,
    hash: String,
    plain: Bytes,
    /// The same compressed, by the name of the coding, best first.
    packed: Vec<(&'static str, Bytes)>,
}

impl Site {
    /// Reads the folder that `npm run build` of `web/` has made.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Arc<Self>> {
        let mut found = HashMap::new();
        let mut left = MOST_BYTES;
        collect(folder, "", &mut found, &mut left).with_context(|| {
            format!("cannot read the dashboard's files in {}", folder.display())
        })?;
        ensure!(
            found.contains_key("index.html"),
            "{} has no index.html: --web names the folder that is built by `npm run build` in web/",
            folder.display()
        );
        let mut files = HashMap::new();
        for (path, plain) in &found {
            let Some(kind) = kind(path) else { continue };
            let packed =
                [("br", "br"), ("gzip", "gz")].into_iter().filter_map(|(coding, ending)| {
                    Some((coding, found.get(&format!("{path}.{ending}"))?.clone()))
                });
            let hash = keccak256(plain).to_string();
            let packed = packed.collect();
            files.insert(path.clone(), File { kind, hash, plain: plain.clone(), packed });
        }
        Ok(Arc::new(Self { files }))
    }

    /// The answer to what is no route.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let nothing = || ApiError::not_found("no such route; see /v1/openapi.json").into_response();
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads || path == "/v1" || path.starts_with("/v1/") {
            return nothing();
        }
        let name = path.trim_start_matches('/');
        let headers = request.headers();
        if let Some(file) = self.files.get(name) {
            return file.answer(name, headers);
        }
        match self.files.get("index.html").filter(|_| wants_a_page(name, headers)) {
            Some(page) => page.answer("index.html", headers),
            None => nothing(),
        }
    }
}

impl File {
    fn answer(&self, name: &str, given: &HeaderMap) -> Response {
        let coded = self.packed.iter().find(|(coding, _)| accepts(given, coding));
        let tag = match coded {
            Some((coding, _)) => cached::tag(&format!("{}-{coding}", self.hash)),
            None => cached::tag(&self.hash),
        };
        let same = cached::same(given, &tag);
        let mut response = same.unwrap_or_else(|| {
            let bytes = coded.map_or(&self.plain, |(_, bytes)| bytes).clone();
            ([(header::CONTENT_TYPE, self.kind), (header::ETAG, &tag)], bytes).into_response()
        });
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        // The build names what is below assets/ by its hash, so that a name never changes its bytes.
        let built = name.starts_with("assets/");
        set(
            header::CACHE_CONTROL,
            if built { "public, max-age=31536000, immutable" } else { "no-cache" },
        );
        set(header::VARY, "accept-encoding");
        if let Some((coding, _)) = coded {
            set(header::CONTENT_ENCODING, coding);
        }
        let worker = name.starts_with("assets/worker-");
        set(header::CONTENT_SECURITY_POLICY, if worker { WORKER_POLICY } else { PAGE_POLICY });
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::REFERRER_POLICY, "no-referrer");
        response
    }
}

/// All files of a folder and of those in it, by their path. Links are left out: they may lead anywhere.
fn collect(
    folder: &Path,
    before: &str,
    found: &mut HashMap<String, Bytes>,
    left: &mut u64,
) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, file_name) = (entry.file_type()?, entry.file_name());
        let Some(name) = file_name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let path = format!("{before}{name}");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found, left)?;
        } else if kind.is_file() {
            let size = entry.metadata()?.len();
            *left = left
                .checked_sub(size)
                .with_context(|| format!("more than {MOST_BYTES} bytes: is it a built site?"))?;
            found.insert(path, std::fs::read(entry.path())?.into());
        }
    }
    Ok(())
}

/// The media type of what a site consists of.
fn kind(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// A browser that goes to an address of the site; one that lacks a file is told so.
fn wants_a_page(name: &str, headers: &HeaderMap) -> bool {
    let accept =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html") && !name.starts_with("assets/")
}

/// Whether the client takes a coding.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter();
    given.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case(coding) && !refused
    })
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn site() -> (tempfile::TempDir, Arc<Site>) {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("assets")).unwrap();
        write("index.html", "<!doctype html>");
        write("assets/app-1.js", "plain");
        write("assets/app-1.js.br", "packed");
        write("assets/worker-1.js", "worker");
        write("key.pem", "of no known kind");
        write(".hidden.html", "not for anybody");
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link.txt")).unwrap();
        let site = Site::read(folder.path()).unwrap();
        (folder, site)
    }

    fn ask(site: &Site, path: &str, headers: &[(header::HeaderName, &str)]) -> Response {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        site.answer(&request.body(axum::body::Body::empty()).unwrap())
    }

    fn value(response: &Response, name: header::HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    const PAGE: &[(header::HeaderName, &str)] = &[(header::ACCEPT, "text/html,*/*;q=0.8")];

    #[test]
    fn a_page_for_every_address_of_the_site_and_problems_for_the_rest() {
        let (_folder, site) = site();
        for path in ["/", "/projects/acme", "/nodes/0x1?day=2026-01-01", "/v10"] {
            let page = ask(&site, path, PAGE);
            assert_eq!(page.status(), StatusCode::OK, "{path}");
            assert_eq!(value(&page, header::CACHE_CONTROL), "no-cache");
            assert_eq!(value(&page, header::CONTENT_SECURITY_POLICY), PAGE_POLICY);
        }
        for path in [
            "/v1",
            "/v1/none",
            "/v1/../index.html",
            "/assets/gone.js",
            "/assets/../../etc/hostname",
        ] {
            let refused = ask(&site, path, PAGE);
            assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(value(&refused, header::CONTENT_TYPE), "application/problem+json", "{path}");
        }
        // A program, and what is in the folder without being part of a site.
        assert_eq!(ask(&site, "/projects/acme", &[]).status(), StatusCode::NOT_FOUND);
        for path in ["/key.pem", "/.hidden.html", "/link.txt", "/assets/app-1.js.br"] {
            assert_eq!(ask(&site, path, &[]).status(), StatusCode::NOT_FOUND, "{path}");
        }
        let post = Request::post("/projects/acme").header(header::ACCEPT, "text/html");
        let post = site.answer(&post.body(axum::body::Body::empty()).unwrap());
        assert_eq!(post.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn no_page_runs_what_was_not_built() {
        for word in ["unsafe-inline", "unsafe-eval", "http:", "*;"] {
            let bare = PAGE_POLICY.replace("http://127.0.0.1:* http://localhost:*;", "");
            assert!(!bare.contains(word), "{word}");
        }
        let (_folder, site) = site();
        let worker = ask(&site, "/assets/worker-1.js", &[]);
        assert_eq!(value(&worker, header::CONTENT_SECURITY_POLICY), WORKER_POLICY);
        assert_eq!(value(&worker, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }

    #[test]
    fn a_file_is_sent_once_and_packed_where_the_client_unpacks() {
        let (_folder, site) = site();
        let plain = ask(&site, "/assets/app-1.js", &[]);
        assert!(value(&plain, header::CACHE_CONTROL).contains("immutable"));
        assert_eq!(value(&plain, header::CONTENT_ENCODING), "");
        let packed = ask(&site, "/assets/app-1.js", &[(header::ACCEPT_ENCODING, "gzip, br")]);
        assert_eq!(value(&packed, header::CONTENT_ENCODING), "br");
        assert_ne!(value(&packed, header::ETAG), value(&plain, header::ETAG));
        assert_eq!(value(&packed, header::VARY), "accept-encoding");
        let refused = ask(&site, "/assets/app-1.js", &[(header::ACCEPT_ENCODING, "br;q=0")]);
        assert_eq!(value(&refused, header::CONTENT_ENCODING), "");
        let tag = value(&plain, header::ETAG);
        let again = ask(&site, "/assets/app-1.js", &[(header::IF_NONE_MATCH, tag)]);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn a_folder_that_is_no_site_is_refused_and_no_site_answers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = format!("{:#}", Site::read(folder.path()).unwrap_err());
        assert!(error.contains("npm run build"), "{error}");
        let error = format!("{:#}", Site::read(&folder.path().join("none")).unwrap_err());
        assert!(error.contains("cannot read the dashboard's files"), "{error}");
        assert_eq!(ask(&Site::default(), "/", PAGE).status(), StatusCode::NOT_FOUND);
    }
}
