use serde_json::{Value, json};

use super::*;

const REGISTRY: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

fn good() -> Value {
    json!({
        "format": FORMAT, "name": "acme", "chain_id": "8453", "registry": REGISTRY,
        "first_block": "21", "backends": ["https://b.example/", "https://c.example/"],
        "rpc": ["https://rpc.example/"],
        "manager_image": format!("registry.example/manager@sha256:{}", "ab".repeat(32)),
        "k3s": { "format": "nodesys-k3s-pin-1", "version": "v1.33.4+k3s1", "k3s": [{
            "arch": "x86_64", "sha256": "cd".repeat(32), "size": 5, "urls": ["https://k.example/"],
        }] },
        "updates": { "repository": "https://u.example/", "root": { "signed": {} } },
    })
}

fn parse(value: &Value) -> anyhow::Result<NetworkFile> {
    NetworkFile::parse(value.to_string().as_bytes())
}

#[test]
fn a_network_is_written_as_an_account() {
    let text = format!("eip155:8453:{REGISTRY}");
    let id: NetworkId = text.parse().unwrap();
    assert_eq!(id.to_string().to_lowercase(), text);
    for (bad, part) in [
        ("", "expected eip155:"),
        ("acme", "expected eip155:"),
        ("eip155:8453", "expected eip155:"),
        ("solana:1:x", "expected eip155:"),
        (&format!("{text}:1"), "expected eip155:"),
        (&format!("eip155:0x1:{REGISTRY}"), "no number"),
        ("eip155:1:0x12", "address"),
    ] {
        let words = bad.parse::<NetworkId>().unwrap_err().to_string();
        assert!(words.contains(part), "{bad}: {words}");
    }
}

#[test]
fn a_network_file_is_read_strictly() {
    let file = parse(&good()).unwrap();
    assert_eq!(file.backends[0].as_str(), "https://b.example/");
    let example = include_bytes!("../../../master/network.example.json");
    assert!(NetworkFile::parse(example).unwrap().k3s.is_some());
    let many: Vec<&str> = vec!["https://b.example/"; MOST_URLS + 1];
    for (pointer, value, part) in [
        ("/format", json!("nodesys-network-2"), "its format is"),
        ("/name", json!("A b"), "name"),
        ("/chain_id", json!(8453), "invalid type"),
        ("/chain_id", json!("0"), "is zero"),
        ("/registry", json!("0x12"), "line 1"),
        ("/registry", json!("0x5fbDB2315678afecb367f032d93f642f64180aa3"), "checksum"),
        ("/first_block", json!("-1"), "decimal"),
        ("/backends", json!([]), "names no backend"),
        ("/backends", json!(many), "more than 16"),
        ("/backends", json!(["http://b.example/"]), "is no https URL"),
        ("/backends", json!(["file:///etc/passwd"]), "is no https URL"),
        ("/backends", json!(["https://user:pw@b.example/"]), "user's name or password"),
        ("/rpc", json!(["ws://h"]), "is no https URL"),
        ("/manager_image", json!("registry.example/manager:latest"), "line 1"),
        ("/k3s/version", json!(""), "k3s: \"\" is no version"),
        ("/updates/root", json!({}), "no root.json"),
        ("/updates/repository", json!("ftp://u.example"), "is no https URL"),
    ] {
        let mut changed = good();
        *changed.pointer_mut(pointer).unwrap() = value;
        let words = format!("{:#}", parse(&changed).unwrap_err());
        assert!(words.contains(part), "{pointer}: {words}");
        assert!(!words.contains("pw"), "{words}");
    }
    let mut more = good();
    more["surprise"] = json!(1);
    assert!(parse(&more).unwrap_err().to_string().contains("surprise"));
    let long = format!("{}{}", good(), " ".repeat(MAX_BYTES));
    assert!(NetworkFile::parse(long.as_bytes()).unwrap_err().to_string().contains("more than"));
}

#[tokio::test]
async fn only_the_announced_bytes_are_taken_wherever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Place::File(path)
    };
    let bytes = good().to_string().into_bytes();
    let (right, altered) = (write("right", &bytes), write("altered", b"{}"));
    let missing = Place::File(folder.path().join("missing"));
    let on_chain = Place::OnChain("ipfs://file".to_owned());
    let id: NetworkId = format!("eip155:8453:{REGISTRY}").parse().unwrap();
    let announced = |hash| Announced { hash, uri: String::new(), from: Timestamp::from_secs(0) };
    let known = announced(keccak256(&bytes));

    let places = [altered.clone(), missing.clone(), right.clone()];
    assert_eq!(fetch(id, &known, &places).await.unwrap().bytes, bytes);
    let words = fetch(id, &known, &[altered, missing, on_chain]).await.unwrap_err().to_string();
    for part in ["other bytes", "cannot be read", "is not fetched here", "--from"] {
        assert!(words.contains(part), "{words}");
    }

    let other = NetworkId { chain_id: 1, ..id };
    let words = fetch(other, &known, &[right]).await.unwrap_err().to_string();
    assert!(words.contains("of another network, eip155:8453:"), "{words}");
    let empty = announced(keccak256(b"{}"));
    let words = fetch(id, &empty, &places[..1]).await.unwrap_err().to_string();
    assert!(words.contains("not a network file"), "{words}");
}

#[tokio::test]
async fn a_place_on_chain_does_not_lead_into_the_operators_network() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let id: NetworkId = format!("eip155:8453:{REGISTRY}").parse().unwrap();
    let uri = "http://169.254.169.254/latest".to_owned();
    let known = Announced { hash: B256::ZERO, uri: uri.clone(), from: Timestamp::from_secs(0) };
    let words = fetch(id, &known, &[Place::OnChain(uri)]).await.unwrap_err().to_string();
    assert!(words.contains("which is not a public address"), "{words}");
}
