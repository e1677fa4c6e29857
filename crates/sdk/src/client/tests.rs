use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use nodesys_core::Address;
use nodesys_core::bundle::{Beneficiary, Terms};
use nodesys_core::ids::Amount;
use nodesys_core::points::Rule;
use nodesys_core::signature::{SigningKey, WalletSignature};
use nodesys_core::time::UtcDay;
use tokio::net::TcpListener;

use super::*;

fn client(base: &str) -> Result<Client, Error> {
    // Installed by whichever test comes first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(base)
}

async fn serve(router: Router) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    client(&format!("http://{addr}")).unwrap()
}

fn problem(content_type: &'static str) -> impl IntoResponse {
    let body = r#"{"type":"urn:nodesys:problem:day_open","title":"The day is not closed yet",
        "status":409,"detail":"2026-01-01 closes at 00:05","code":"day_open"}"#;
    (StatusCode::CONFLICT, [(header::CONTENT_TYPE, content_type)], body)
}

#[tokio::test]
async fn a_problem_document_is_a_refusal_with_its_code() {
    let router = Router::new()
        .route("/v1/network", get(|| async { problem("application/problem+json") }))
        .route("/v1/roots/{project}", get(|| async { problem("text/html") }));
    let client = serve(router).await;
    let refused = client.network().await.unwrap_err();
    assert_eq!(refused.code(), Some("day_open"));
    assert!(!refused.is_passing());
    assert!(refused.to_string().contains("2026-01-01 closes at 00:05"), "{refused}");

    let other = client.roots(Address::ZERO).await.unwrap_err();
    assert!(matches!(other, Error::BadAnswer { status: 409, .. }), "{other}");
}

#[tokio::test]
async fn an_answer_that_is_not_a_backends_is_told_apart() {
    let router = Router::new()
        .route("/v1/network", get(|| async { "<html>welcome</html>" }))
        .route("/v1/sessions", post(|| async { StatusCode::BAD_GATEWAY }))
        .route("/healthz", get(|| async { axum::response::Redirect::to("/elsewhere") }))
        .route("/v1/roots/{project}", get(|| async { vec![b' '; MAX_JSON_BYTES + 1] }));
    let client = serve(router).await;
    let html = client.network().await.unwrap_err();
    assert!(matches!(html, Error::BadAnswer { status: 200, .. }), "{html}");
    let gateway = client.session(Address::ZERO).await.unwrap_err();
    assert!(gateway.is_passing(), "{gateway}");
    let redirect = client.health().await.unwrap_err();
    assert!(matches!(redirect, Error::BadAnswer { status: 303, .. }), "{redirect}");
    let large = client.roots(Address::ZERO).await.unwrap_err();
    assert!(large.to_string().contains("larger than"), "{large}");
}

#[tokio::test]
async fn a_silent_network_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    // Accepts by the kernel's backlog and never answers.
    let silent = client(&base).unwrap().with_timeout(Duration::from_millis(200));
    let error = silent.network().await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("no answer in time"), "{error}");

    drop(listener);
    let error = client(&base).unwrap().network().await.unwrap_err();
    assert!(error.to_string().contains("check that it runs"), "{error}");
    assert!(matches!(error, Error::Transport { .. }));
}

#[tokio::test]
async fn urls_are_escaped_and_keep_the_path_in_front() {
    let client = client("http://127.0.0.1:1/api/").unwrap();
    let url = client.url(&["v1", "bundles", "../x"]);
    assert_eq!(url.as_str(), "http://127.0.0.1:1/api/v1/bundles/..%2Fx");
}

#[tokio::test]
async fn points_carry_terms_and_signature_in_the_query() {
    let echo = axum::routing::put(|uri: axum::http::Uri, body: Bytes| async move {
        (StatusCode::IM_A_TEAPOT, format!("{uri} {}", body.len()))
    });
    let client = serve(Router::new().route("/v1/points/{project}/{day}", echo)).await;
    let terms = Terms {
        day_reward: Amount::new(5),
        rule: Rule::default(),
        beneficiary: Beneficiary::Renter,
        excluded: Vec::new(),
    };
    let key = SigningKey::from_bytes(&[1; 32]).unwrap();
    let signature = WalletSignature::from(key.sign(terms.hash()));
    let sent = client
        .put_points(Address::ZERO, UtcDay(20_454), &terms, &signature, Bytes::from_static(b"x\n"))
        .await
        .unwrap_err();
    assert!(matches!(sent, Error::BadAnswer { status: 418, .. }), "{sent}");
    let Error::BadAnswer { url, .. } = sent else { unreachable!() };
    assert!(
        url.contains("/v1/points/0x0000000000000000000000000000000000000000/2026-01-01?terms=ey")
    );
    assert!(url.contains("&signature=0x"), "{url}");
}

#[test]
fn only_a_backends_url_is_taken() {
    for bad in ["", "backend", "ftp://x", "http://x?y=1", "http://x#y"] {
        assert!(matches!(client(bad), Err(Error::BadUrl { .. })), "{bad}");
    }
    for secret in [
        "http://user:hunter2@x",
        "http://user:hunter2@x?y",
        "ftp://user:hunter2@x",
        "user:hunter2@",
    ] {
        let error = client(secret).unwrap_err();
        let words = format!("{error} {error:?}");
        assert!(words.contains("(hidden)") && !words.contains("hunter2"), "{words}");
    }
}
