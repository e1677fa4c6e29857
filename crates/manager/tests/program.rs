//! The program as a process, in front of a stand-in for a cluster's API: one that grants the Lease and
//! has nothing in it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use nodesys_clock::Clock;
use nodesys_service::ready::Ready;
use nodesys_testing::logs::{FILTERS, hide_the_secret};
use nodesys_testing::server::Server;
use nodesys_testing::{anvil, key};
use serde_json::json;

/// What the API answers: no object is there, and what is written is taken.
async fn api(method: Method, uri: Uri, body: Bytes) -> Response {
    if method != Method::GET {
        return ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    }
    // /api/v1/namespaces/NAME/KIND and /apis/GROUP/VERSION/namespaces/NAME/KIND are lists.
    let parts = uri.path().split('/').skip(1).count();
    if parts == if uri.path().starts_with("/apis/") { 6 } else { 5 } {
        let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": [] });
        return Json(list).into_response();
    }
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 404,
        "reason": "NotFound", "message": "by the test",
    });
    (StatusCode::NOT_FOUND, Json(status)).into_response()
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// The files of a manager in a cluster, with an RPC of this URL.
fn write_configuration(home: &Path, api: &Server, rpc: &str) {
    write(&home.join("node.key"), &key(8).to_hex());
    write(&home.join("rpc"), rpc);
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{ "name": "it", "cluster": { "server": format!("http://{}", api.addr) } }],
        "users": [{ "name": "it", "user": {} }],
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
    });
    write(&home.join("kubeconfig"), &kubeconfig.to_string());
    let amounts = json!({ "cpu_millis": 100, "memory_mib": 64, "storage_mib": 64 });
    let config = json!({
        "chain_id": anvil::CHAIN_ID.to_string(),
        "registry": "0x5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f",
        "backend": "http://127.0.0.1:1",
        "node_key_file": "node.key",
        "state_dir": "state",
        "listen": "127.0.0.1:0",
        "cluster": {
            "rpc_file": "rpc", "kubeconfig": "kubeconfig", "manager_url": "http://127.0.0.1:1",
        },
        "workloads": [{
            "name": "alpha",
            "collection": "0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
            "token_id": "1",
            "project": "0x0101010101010101010101010101010101010101",
            "grant": {
                "requests": amounts, "limits": amounts, "persistent_mib": 0,
                "persistent_volumes": 0, "egress": { "internet": false },
            },
        }],
    });
    write(&home.join("manager.json"), &config.to_string());
}

/// Until `look` finds something; the program must go on meanwhile.
async fn until<T>(program: &mut Child, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut sleeper = Clock::system().sleeper();
    for _ in 0..3_000 {
        if let Some(found) = look() {
            return found;
        }
        assert_eq!(program.try_wait().unwrap(), None, "it ended before {what}");
        sleeper.sleep(Duration::from_millis(20)).await;
    }
    let _ = program.kill();
    panic!("not within a minute: {what}")
}

#[tokio::test]
async fn no_line_of_its_log_tells_the_rpcs_secret() {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    let rpc = Server::start(Router::new().fallback(move |uri: Uri| {
        seen.fetch_or(uri == "/v2/SECRET?key=SECRET", Ordering::AcqRel);
        async { StatusCode::SERVICE_UNAVAILABLE }
    }));
    let api = Server::start(Router::new().fallback(api));
    for filter in FILTERS {
        let folder = tempfile::tempdir().unwrap();
        let (home, ready) = (folder.path(), folder.path().join("ready"));
        write_configuration(home, &api, &format!("http://{}/v2/SECRET?key=SECRET", rpc.addr));
        asked.store(false, Ordering::Release);
        let mut program = Command::new(env!("CARGO_BIN_EXE_nodesys-manager"))
            .arg("--config")
            .arg(home.join("manager.json"))
            .arg("--ready-file")
            .arg(&ready)
            .env("NODESYS_LOG", filter)
            .stdin(Stdio::null())
            .stderr(File::create(home.join("log")).unwrap())
            .spawn()
            .unwrap();
        let said = until(&mut program, "it is ready", || Ready::read(&ready).unwrap()).await;
        assert_eq!((said.pid, &*said.build_id), (program.id(), env!("CARGO_PKG_VERSION")));
        let is_asked = || asked.load(Ordering::Acquire).then_some(());
        until(&mut program, "it asks the RPC", is_asked).await;
        let pid = program.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(program.wait().unwrap().code(), Some(0), "it did not end in order");
        let log = std::fs::read_to_string(home.join("log")).unwrap();
        hide_the_secret(filter, &log, &rpc.addr.to_string());
    }
}
