use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use clap::CommandFactory as _;
use tempfile::TempDir;

use super::*;

fn write(home: &TempDir, name: &str, text: &str, mode: u32) {
    let path = home.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn home(config: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    write(&home, "manager.json", config, 0o644);
    write(&home, "node.key", &format!("0x{}\n", "07".repeat(32)), 0o600);
    write(&home, "alpha.token", "alpha-0123456789abcdef\n", 0o600);
    write(&home, "beta.token", "beta-0123456789abcdef\n", 0o600);
    home
}

fn settings(home: &TempDir, flags: &[&str]) -> anyhow::Result<Settings> {
    let config = home.path().join("manager.json");
    let mut args = vec!["nodesys-manager", "--config", config.to_str().unwrap()];
    args.extend(flags);
    Args::try_parse_from(args)?.settings()
}

fn problem(home: &TempDir) -> String {
    format!("{:#}", settings(home, &[]).err().unwrap())
}

const EXAMPLE: &str = include_str!("../../example.json");

#[test]
fn the_example_is_read() {
    let home = home(EXAMPLE);
    let settings = settings(&home, &[]).unwrap();
    assert_eq!(settings.domain.chain_id(), 31_337);
    assert_eq!(settings.backend, "http://127.0.0.1:8080");
    assert_eq!(settings.state_dir, home.path().join("state"));
    assert_eq!(settings.listen.to_string(), "127.0.0.1:7070");
    assert_eq!(settings.start_grace_secs, 120);
    assert!(settings.receipt_key.is_some());
    let names: Vec<&str> = settings.workloads.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["alpha", "beta"]);
    assert_eq!(settings.workloads[1].license.token_id, U256::from(1));
    assert!(bool::from(
        settings.workloads[0].token.as_ref().unwrap().matches("alpha-0123456789abcdef")
    ));
    assert!(!bool::from(
        settings.workloads[0].token.as_ref().unwrap().matches("alpha-0123456789abcdeg")
    ));
}

#[test]
fn a_flag_goes_before_the_file() {
    let home = home(EXAMPLE);
    let flags = ["--backend", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--chain-id", "5"];
    let settings = settings(&home, &flags).unwrap();
    assert_eq!((settings.backend.as_str(), settings.listen.port()), ("http://127.0.0.1:9", 0));
    assert_eq!(settings.workloads[0].license.chain_id, 5);
}

#[test]
fn a_clock_is_the_system_s_unless_the_file_or_the_flag_says_so() {
    let file = EXAMPLE.replacen('{', "{ \"clock\": \"10.77.0.2:7000\",", 1);
    for (config, flags, clock) in [
        (EXAMPLE, &[][..], None),
        (&file, &[], Some("10.77.0.2:7000")),
        (&file, &["--clock", "127.0.0.1:7"], Some("127.0.0.1:7")),
    ] {
        let settings = settings(&home(config), flags).unwrap();
        assert_eq!(settings.clock.map(|at| at.to_string()).as_deref(), clock);
    }
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    for (file, mode) in [("node.key", 0o640), ("node.key", 0o604), ("alpha.token", 0o644)] {
        let home = home(EXAMPLE);
        std::fs::set_permissions(home.path().join(file), Permissions::from_mode(mode)).unwrap();
        let problem = problem(&home);
        assert!(problem.contains("chmod 600") && problem.contains(file), "{problem}");
    }
}

#[test]
fn what_is_missing_or_double_is_named() {
    let base = home(EXAMPLE);
    write(&base, "manager.json", r#"{"workloads":[]}"#, 0o644);
    assert!(problem(&base).contains("--chain-id"), "{}", problem(&base));

    let unknown = home(&EXAMPLE.replace("state_dir", "state_folder"));
    assert!(problem(&unknown).contains("state_folder"));

    let one_token = home(&EXAMPLE.replace("beta.token", "alpha.token"));
    assert!(problem(&one_token).contains("health token"));
    let one_name = home(&EXAMPLE.replace("\"beta\"", "\"alpha\""));
    assert!(problem(&one_name).contains("is listed twice"));

    let short = home(EXAMPLE);
    write(&short, "beta.token", "short", 0o600);
    assert!(problem(&short).contains("16 to 256"));
    let bad_key = home(EXAMPLE);
    write(&bad_key, "node.key", "zz", 0o600);
    let words = problem(&bad_key);
    assert!(words.contains("64 hex digits") && !words.contains("zz"), "{words}");
}

#[test]
fn the_command_line_is_well_formed() {
    Args::command().debug_assert();
}
