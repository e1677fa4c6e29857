use super::*;
use crate::setup::Setup;

fn file(json: &str) -> anyhow::Result<ConfigFile> {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(CONFIG_JSON), json).unwrap();
    read_file(home.path())
}

/// Backends' URLs are parsed by the client, which wants a TLS provider.
fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[test]
fn the_file_holds_texts_and_numbers_of_known_names() {
    install_tls();
    let file = file(
        r#"{"backend": "http://127.0.0.1:1", "chain_id": 31337, "final_depth": "2",
            "node_key_file": "keys/node.key", "clock": "127.0.0.1:9", "output": "json"}"#,
    )
    .unwrap();
    let settings = Settings::of_file(&file, Path::new("/srv")).unwrap();
    assert_eq!((settings.chain_id, settings.final_depth), (Some(31_337), Some(2)));
    assert_eq!(settings.node_key_file.as_deref(), Some(Path::new("/srv/keys/node.key")));
    assert_eq!(settings.output, Some(Format::Json));
    assert_eq!(settings.clock, Some("127.0.0.1:9".parse().unwrap()));
}

#[test]
fn a_file_that_cannot_be_meant_is_refused() {
    install_tls();
    for (json, part) in [
        ("", "EOF"),
        ("[]", "map"),
        (r#"{"backnd": "http://h"}"#, "unknown variant `backnd`, expected one of `backend`"),
        (r#"{"home": "/"}"#, "unknown variant"),
        (r#"{"chain_id": -1}"#, "config.json"),
        (r#"{"chain_id": null}"#, "config.json"),
    ] {
        let error = file(json).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage, "{json}");
        assert!(error.to_string().contains(part), "{json}: {error}");
    }
    for (json, part) in [
        (r#"{"chain_id": "0x1"}"#, "chain_id: invalid digit"),
        (r#"{"backend": "h"}"#, "backend: \"h\" is not a backend's URL"),
        (r#"{"rpc": "ws://h/SECRET"}"#, "rpc: RPC URL"),
        (r#"{"registry": "0x12"}"#, "registry:"),
        (r#"{"project": "A B"}"#, "project: name"),
        (r#"{"output": "yaml"}"#, "output:"),
    ] {
        let error = Settings::of_file(&file(json).unwrap(), Path::new("/h")).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage, "{json}");
        let words = error.to_string();
        assert!(words.contains(part) && !words.contains("SECRET"), "{json}: {words}");
    }
}

#[test]
fn what_was_said_goes_before_the_file() {
    let said = Settings { chain_id: Some(1), ..Settings::default() };
    let file = Settings { chain_id: Some(2), final_depth: Some(3), ..Settings::default() };
    let both = said.or(file);
    assert_eq!((both.chain_id, both.final_depth, both.first_block), (Some(1), Some(3), None));
}

#[test]
fn a_written_file_is_read_back_and_private() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("made/when/needed");
    let mut file = read_file(&home).unwrap();
    assert!(file.is_empty());
    file.insert(SettingKey::Rpc, SettingValue("https://rpc.example.org/SECRET".to_owned()));
    write_file(&home, &file).unwrap();
    assert_eq!(read_file(&home).unwrap(), file);
    let settings = Settings::of_file(&file, &home).unwrap();
    assert_eq!(settings.shown(SettingKey::Rpc).as_deref(), Some("https://rpc.example.org"));
    assert!(!format!("{settings:?}").contains("SECRET"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(home.join(CONFIG_JSON)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

#[test]
fn every_key_has_a_name_and_can_be_shown() {
    for key in SettingKey::value_variants() {
        assert_eq!(serde_json::to_value(key).unwrap(), key.to_string());
        assert_eq!(Settings::default().shown(*key), None);
    }
}

#[test]
fn what_is_missing_is_named_with_all_three_ways() {
    let error = Setup::need(&None::<u64>, "--chain-id").unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
    for part in ["--chain-id", "NODESYS_CHAIN_ID", "config set chain_id"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}
