use serde_json::{Value, json};

use super::*;

fn file(change: impl FnOnce(&mut Value)) -> NetworkFile {
    let mut value = json!({
        "format": "nodesys-network-1", "name": "acme", "chain_id": "8453",
        "registry": "0x5fbdb2315678afecb367f032d93f642f64180aa3", "first_block": "21",
        "backends": ["https://b.example/", "https://c.example/"],
        "manager_image": format!("registry.example/manager@sha256:{}", "ab".repeat(32)),
        "updates": { "repository": "https://u.example/", "root": { "signed": { "version": 1 } } },
    });
    change(&mut value);
    NetworkFile::parse(value.to_string().as_bytes()).unwrap()
}

fn config(entries: &[(SettingKey, &str)]) -> ConfigFile {
    entries.iter().map(|(key, value)| (*key, SettingValue((*value).to_owned()))).collect()
}

const RPC: &str = "https://rpc.example/KEY";

#[test]
fn a_first_join_writes_all_settings() {
    let merged = merge(&ConfigFile::new(), None, &file(|_| ()), RPC);
    let value = |key| merged.config.get(&key).map(|SettingValue(text)| text.as_str());
    assert_eq!(value(SettingKey::Backend), Some("https://b.example/"));
    assert_eq!(value(SettingKey::Rpc), Some(RPC));
    assert_eq!(
        (value(SettingKey::ChainId), value(SettingKey::FirstBlock)),
        (Some("8453"), Some("21"))
    );
    assert_eq!((merged.written.len(), merged.kept.len()), (5, 0));
    // Safe to re-run.
    let again = merge(&merged.config, Some(&file(|_| ())), &file(|_| ()), RPC);
    assert_eq!((again.config, again.written, again.kept), (merged.config, vec![], vec![]));
}

#[test]
fn a_changed_url_follows_the_network_unless_the_operator_chose_another() {
    let moved = file(|it| it["backends"] = json!(["https://d.example/"]));
    let backend = |text: &str| {
        let merged =
            merge(&config(&[(SettingKey::Backend, text)]), Some(&file(|_| ())), &moved, RPC);
        (merged.config[&SettingKey::Backend].0.clone(), merged.kept)
    };
    assert_eq!(backend("https://b.example"), ("https://d.example/".to_owned(), vec![]));
    let own = "https://own.example/";
    assert_eq!(backend(own), (own.to_owned(), vec![SettingKey::Backend]));
    // The second of the network's own is a choice too.
    let second = config(&[(SettingKey::Backend, "https://c.example")]);
    let merged = merge(&second, Some(&file(|_| ())), &file(|_| ()), RPC);
    assert_eq!(merged.config[&SettingKey::Backend].0, "https://c.example");
}

#[test]
fn what_runs_on_the_node_is_told_apart() {
    let told = |change: &dyn Fn(&mut Value)| {
        let all = changes(&file(|_| ()), &file(change));
        all.iter().map(|it| (it.what, it.runs)).collect::<Vec<_>>()
    };
    assert_eq!(told(&|_| ()), []);
    assert_eq!(told(&|it| it["backends"] = json!(["https://d.example/"])), [("backends", false)]);
    assert_eq!(told(&|it| it["rpc"] = json!(["https://r.example/"])), [("RPC hints", false)]);
    let image = format!("registry.example/manager@sha256:{}", "cd".repeat(32));
    assert_eq!(told(&|it| it["manager_image"] = json!(image)), [("manager image", true)]);
    assert_eq!(
        told(&|it| it["updates"]["root"]["signed"] = json!({ "version": 1, "keys": {} })),
        [("root of updates", true)],
        "the same version with other keys"
    );
    let pin = |url: &str| {
        json!({ "format": "nodesys-k3s-pin-1", "version": "v1.33.4+k3s1", "k3s": [{
            "arch": "x86_64", "sha256": "cd".repeat(32), "size": 5, "urls": [url],
        }] })
    };
    assert_eq!(told(&|it| it["k3s"] = pin("https://k.example/")), [("k3s", true)]);
}
