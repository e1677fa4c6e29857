//! The program as it is run, where no chain and no backend is: settings, files, questions, and the
//! code that each bad input ends with.

use crate::home::Home;
use nodesys_chain::keystore;
use nodesys_core::signature::SigningKey;
use nodesys_testing::logs::{FILTERS, hide_the_secret};

const REGISTRY: &str = "0x00000000000000000000000000000000000000aa";
const NOBODY: &str = "http://127.0.0.1:1";

/// A home whose settings name a network that nobody serves.
pub fn configured() -> Home {
    let home = Home::new();
    home.write(
        "config.json",
        &format!(
            r#"{{"chain_id": 31337, "registry": "{REGISTRY}", "project": "acme",
                "rpc": "{NOBODY}/SECRET", "backend": "{NOBODY}"}}"#
        ),
    );
    home
}

fn with_wallet(home: &Home) -> String {
    let key = SigningKey::from_bytes(&[7; 32]).unwrap();
    keystore::create(&home.path("wallet.json"), &key, "secret").unwrap();
    home.write("password", "secret\n");
    home.path("wallet.json").display().to_string()
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file() {
    let home = configured();
    let get = |environment: &[(&str, &str)], line: &str| {
        home.run_with(environment, line).expect(0).trim().to_owned()
    };
    assert_eq!(get(&[], "config get chain_id"), "31337");
    let environment = [("NODESYS_CHAIN_ID", "5")];
    assert_eq!(get(&environment, "config get chain_id"), "5");
    assert_eq!(get(&environment, "config get chain_id --chain-id 7"), "7");
    assert_eq!(get(&[("NODESYS_OUTPUT", "json")], "config show")[..1], *"{");
}

#[test]
fn settings_are_written_checked_and_never_shown_whole() {
    let home = Home::new();
    let path = home.run("config path").expect(0);
    assert!(path.trim().ends_with("config.json"), "{path}");
    home.run("config set rpc https://rpc.example.org/v2/SECRET").expect(0);
    home.run("config set chain_id 8453").expect(0);
    assert_eq!(home.run("config get rpc").expect(0), "https://rpc.example.org\n");
    let shown = home.run("config show -o json").expect(0);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["chain_id"], "8453");
    assert_eq!(shown["backend"], serde_json::Value::Null);
    assert!(!shown.to_string().contains("SECRET"));
    assert!(home.read("config.json").contains("SECRET"));

    home.run("config set chain_id x").fails(2, "chain_id: invalid digit");
    assert!(home.read("config.json").contains("8453"));
    home.run("config unset chain_id").expect(0);
    home.run("config unset chain_id").fails(3, "is not set");
    home.run("config get chain_id").fails(3, "config set chain_id");

    // A file that is not in order stops every command but those that mend it.
    home.write("config.json", r#"{"backnd": "x"}"#);
    home.run("config show").fails(2, "unknown variant `backnd`");
    home.run("status").fails(2, "config.json is not a settings file");
    home.run("config path").expect(0);
}

#[test]
fn pairing_walks_by_files_from_node_to_wallet_and_back() {
    let home = configured();
    let wallet = with_wallet(&home);
    let request = home.run("pair request").expect(0);
    home.write("request.json", &request);
    let path = |name: &str| home.path(name).display().to_string();
    let (file, password) = (path("request.json"), path("password"));
    let sign = format!("pair sign {file} --keystore {wallet} --password-file {password}");
    let signed = home.run(&sign);
    assert!(signed.stderr.contains("for its licenses and nothing else"), "{}", signed.stderr);
    home.write("signed.json", &signed.expect(0));

    // By standard input as well, the same bytes.
    let piped = format!("pair sign - --keystore {wallet} --password-file {password}");
    assert_eq!(home.run_on(&request, &piped).expect(0), home.read("signed.json"));

    let finish = format!("pair finish {}", path("signed.json"));
    // All checks are passed, then nobody is there to take it.
    home.run(&finish).fails(7, "does not answer");
    let other = Home::new();
    other.write("config.json", &home.read("config.json"));
    other.run(&finish).fails(1, "node.key cannot be read");
    other.run("pair request").expect(0);
    other.run(&format!("{finish} --rpc {NOBODY}")).fails(7, "does not answer");
    home.run(&format!("{finish} --chain-id 1")).fails(2, "for chain 31337, but --chain-id is 1");
    home.run(&format!("pair finish {file}")).fails(1, "its format is \"nodesys-pair-request-1\"");

    home.write("request.json", "{");
    home.run(&sign).fails(1, "is not a nodesys-pair-request-1 file");
}

#[test]
fn without_a_terminal_a_question_names_its_flag() {
    let home = configured();
    let wallet = with_wallet(&home);
    home.write("request.json", &home.run("pair request").expect(0));
    let request = home.path("request.json").display().to_string();
    home.run(&format!("pair sign {request} --keystore {wallet}")).fails(2, "--password-file");
    home.write("password", "wrong\n");
    let password = home.path("password").display().to_string();
    home.run(&format!("pair sign {request} --keystore {wallet} --password-file {password}"))
        .fails(1, "check the password");
    home.run(&format!("pair sign {request} --keystore {request} --password-file {password}"))
        .fails(1, "does not open");
    home.run(&format!("pair sign {request} --keystore none.json")).fails(1, "none.json");
}

#[cfg(unix)]
#[test]
fn a_node_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = configured();
    home.run("pair request").expect(0);
    let key = home.path("node.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    home.run("pair request").fails(1, "chmod 600");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&key, "zz").unwrap();
    home.run("pair request").fails(1, "64 hex digits");
}

#[test]
fn what_is_missing_is_usage_and_what_is_down_is_network() {
    let empty = Home::new();
    for line in [
        "pair request",
        "license list",
        "license show A1",
        "uptime A1",
        "rewards list",
        "rewards show",
        "rewards claim --dry-run --account 0x00000000000000000000000000000000000000a1",
        "audit",
    ] {
        empty.run(line).fails(2, "is missing");
    }
    empty.run("status").fails(2, "--manager, --backend or --rpc");
    empty.run("rewards claim --backend http://127.0.0.1:1").fails(2, "--keystore");
    empty.run("audit --bundles /nowhere/at/all").fails(7, "cannot be read");
    empty.run("audit --from 2026-01-02 --to 2026-01-01").fails(2, "before");
    empty.run("status --backend nonsense").fails(5, "CANNOT BE READ");
    empty.run("license show A1 --clock 127.0.0.1:1").fails(2, "--rpc is missing");

    let down = configured();
    for line in [
        "license list",
        "license show A1 --operator 0x00000000000000000000000000000000000000a1",
        "uptime A1",
        "rewards show --account 0x00000000000000000000000000000000000000a1",
        "rewards list --account 0x00000000000000000000000000000000000000a1",
        "audit",
    ] {
        let run = down.run(line);
        assert!(!run.stderr.contains("SECRET") && !run.stdout.contains("SECRET"), "{line}");
        run.fails(7, "127.0.0.1:1");
    }
    // Not even a log tells the RPC's secret.
    for filter in FILTERS {
        let logged = down.run_with(&[("NODESYS_LOG", filter)], "license list");
        hide_the_secret(filter, &logged.stderr, "127.0.0.1:1");
        logged.fails(7, "127.0.0.1:1");
    }
    down.run("pair request --clock 127.0.0.1:1").fails(7, "stepped clock");
    down.run("pair request --clock 127.0.0.1:1 --chain-id 1").fails(2, "development chain");
    // Each section fails by itself.
    let status = down.run("status --manager http://127.0.0.1:1 -o json");
    assert_eq!(status.code, Some(3), "{}", status.stderr);
    let body: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    for section in ["manager", "node", "chain"] {
        assert_eq!(body[section]["state"], "failed", "{body}");
    }
    down.run("status").fails(5, "");
}

#[test]
fn a_cluster_is_asked_for_and_a_broken_one_is_named() {
    let home = configured();
    for line in ["stop", "logs", "uninstall --keep-keys --yes"] {
        home.run(line).fails(3, "no cluster");
    }
    assert!(home.run("info").expect(0).contains("cluster     none"));
    let image = format!("localhost/nodesys-manager@sha256:{}", "a".repeat(64));
    home.run("start").fails(2, "--driver is missing");
    home.run("start --driver existing").fails(2, "--kubeconfig is missing");
    home.run("start --driver k3s").fails(2, "--manager-image is missing");
    for (line, part) in [
        ("--driver k3s --kubeconfig x", "--kubeconfig is for the driver existing"),
        ("--driver k3s --k3s-pin none.json", "the pin none.json cannot be read"),
        ("--driver k3d --k3s-pin none.json", "--k3s-pin is for the driver k3s"),
        ("--driver k3d --context x", "--context is for the driver existing"),
        ("--driver existing --kubeconfig x --image-archive y", "for the driver k3s or k3d"),
        ("--driver kind", "possible values: k3s, k3d, existing"),
    ] {
        home.run(&format!("start --manager-image {image} {line}")).fails(2, part);
    }
    let start = "start --driver existing --kubeconfig none.yaml";
    home.run(start).fails(2, "--manager-image is missing");
    home.run(&format!("{start} --manager-image nodesys-manager:1")).fails(2, "by its digest");
    let start = format!("{start} --manager-image {image}");
    home.run(&start).fails(2, "inside the cluster is the pod itself");
    let far = format!("{start} --backend http://192.0.2.1 --rpc http://192.0.2.1");
    home.run(&far).fails(4, "has no key yet");
    home.run("pair request").expect(0);
    home.run(&far).fails(4, "is not paired");
    assert!(!home.path("cluster.json").exists());

    home.write("cluster.json", "{");
    for line in ["start", "stop", "logs", "info", "uninstall --keep-keys --yes"] {
        home.run(line).fails(1, "restore a backup");
    }
    // The others do not need it.
    home.run("status").fails(3, "cluster.json is not valid");
    home.run("config show").expect(0);

    let there = format!(
        r#"{{"format": "nodesys-cluster-1", "driver": "existing", "kubeconfig": "/none.yaml",
            "context": null, "manager_image": "{image}", "local_ranges": [], "phase": "running",
            "made": [{{"kind": "namespace", "name": "nodesys"}}]}}"#
    );
    home.write("cluster.json", &there);
    home.run("stop").fails(2, "/none.yaml cannot be read");
    home.run("start --kubeconfig /other.yaml").fails(2, "has the kubeconfig /none.yaml");
    home.run("uninstall --keep-keys").fails(2, "give --yes");
    assert!(home.read("cluster.json").contains("running"));

    home.write("admin.yaml", "apiVersion: v1\nkind: Config\nclusters: 5\n");
    home.write(
        "cluster.json",
        &there.replace("/none.yaml", &home.path("admin.yaml").display().to_string()),
    );
    home.run("stop").fails(2, "is not a kubeconfig");
    let server = |port: u16| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
             clusters: [{{name: a, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n\
             users: [{{name: a, user: {{}}}}]\n\
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n"
        )
    };
    home.write("admin.yaml", &server(1));
    home.run("stop").fails(7, "the cluster does not answer");
    assert!(home.run("info").expect(0).contains("does not answer"));
}

/// What is said about bad input, word for word.
#[test]
fn errors_are_as_committed() {
    let home = configured();
    let image = format!("localhost/nodesys-manager@sha256:{}", "a".repeat(64));
    let far = "--backend http://192.0.2.1 --rpc http://192.0.2.1";
    let mut all = String::new();
    let mut told = |line: &str| {
        let run = home.run(line);
        let words = format!("{}{}", run.stdout, run.stderr);
        let words = words.replace(&home.path("").display().to_string(), "HOME/");
        let code = run.code.unwrap();
        all.push_str(&format!(
            "$ nodesys {}\n{}\n[exit {code}]\n\n",
            line.replace(&image, "IMAGE"),
            words.trim()
        ));
    };
    for line in [
        "start".to_owned(),
        "start --driver kind".to_owned(),
        "start --driver k3s --manager-image nodesys-manager:latest".to_owned(),
        format!("start --driver k3s --manager-image {image}"),
        format!("start --driver k3s --kubeconfig x --manager-image {image}"),
        format!("start --driver existing --manager-image {image}"),
        format!("start --driver existing --kubeconfig x --wait-secs 1 --manager-image {image}"),
        format!("start --driver existing --kubeconfig /none --manager-image {image} {far}"),
        format!("start --driver existing --kubeconfig /none --manager-image {image}"),
        format!("start --bundle x --manager-image {image}"),
        "start --bundle x".to_owned(),
        "start --bundle-signer 0x00000000000000000000000000000000000000a1".to_owned(),
        "stop".to_owned(),
        "logs --follow --previous".to_owned(),
        "logs --lines 0".to_owned(),
        "uninstall".to_owned(),
        "doctor --fix --isolation".to_owned(),
        "restore".to_owned(),
        "backup -".to_owned(),
        "bundle".to_owned(),
    ] {
        told(&line);
    }
    insta::assert_snapshot!("errors", all);
}

#[test]
fn a_backup_holds_no_key_and_is_restored_under_a_new_one() {
    let home = configured();
    home.run("backup x").fails(3, "no node to back up");
    home.run("pair request").expect(0);
    let key = home.read("node.key");
    let backup = home.run("backup -");
    assert_eq!(backup.code, Some(0), "{}", backup.stderr);
    assert!(!backup.stdout.contains(key.trim()) && backup.stdout.contains("SECRET"));
    let path = home.path("node.backup").display().to_string();
    home.run(&format!("backup {path}")).expect(0);
    home.run(&format!("backup {path}")).fails(2, "is there already");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    home.run(&format!("restore {path} --yes")).fails(2, "into an empty home folder");
    let other = Home::new();
    other.run(&format!("restore {path}")).fails(2, "give --yes");
    assert!(!other.path("config.json").exists());
    let restored = other.run(&format!("restore {path} --yes -o json"));
    let restored: serde_json::Value = serde_json::from_str(&restored.expect(4)).unwrap();
    assert_eq!(restored["moved"], false);
    assert_ne!(restored["node_key"], restored["old_node_key"]);
    let next = restored["next"][0].as_str().unwrap();
    assert!(
        next.contains("pair revoke --node")
            && next.to_lowercase().contains(restored["old_node_key"].as_str().unwrap())
    );
    assert_ne!(other.read("node.key"), key);
    other.run("config get chain_id").expect(0);
    // Again it is the same new node; with a wallet, nobody is there to tell.
    let again = other.run(&format!("restore {path} --yes -o json"));
    let again: serde_json::Value = serde_json::from_str(&again.expect(4)).unwrap();
    assert_eq!(again["node_key"], restored["node_key"]);
    let (wallet, password) = (with_wallet(&home), home.path("password").display().to_string());
    let moved = format!("restore {path} --yes --keystore {wallet} --password-file {password}");
    other.run(&moved).fails(7, "cannot be reached");

    let third = Home::new();
    for (text, part) in [("{", "not a backup"), (r#"{"format": "x"}"#, "not a backup")] {
        home.write("broken", text);
        let path = home.path("broken").display().to_string();
        third.run(&format!("restore {path} --yes")).fails(1, part);
    }
    third.run("restore none --yes").fails(2, "cannot be read");
}

#[test]
fn the_doctor_names_each_thing_with_its_fix_and_mends_what_it_can() {
    let home = configured();
    let report = home.run("doctor -o json");
    let report: serde_json::Value = serde_json::from_str(&report.expect(5)).unwrap();
    let bad = |report: &serde_json::Value| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap().iter();
        let bad = findings.filter(|it| it["verdict"] == "bad" && it["fix"].is_string());
        bad.map(|it| it["check"].as_str().unwrap().to_owned()).collect()
    };
    assert!(bad(&report).contains(&"cluster".to_owned()), "{report}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        home.run("pair request").expect(0);
        let key = home.path("node.key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        home.run("doctor").fails(5, "WRONG    node key: others may read");
        let fixed = home.run("doctor --fix -o json");
        let fixed: serde_json::Value = serde_json::from_str(&fixed.expect(5)).unwrap();
        assert!(fixed["fixed"][0].as_str().unwrap().starts_with("chmod 600"), "{fixed}");
        assert!(!bad(&fixed).contains(&"node key".to_owned()), "{fixed}");
        let mode = std::fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_bundle_is_made_signed_and_refused_for_others() {
    let home = configured();
    let wallet = with_wallet(&home);
    let password = home.path("password").display().to_string();
    home.write("pin.json", "{}");
    home.write("manager.tar", "images");
    let (pin, tar) = (home.path("pin.json"), home.path("manager.tar"));
    let (pin, tar) = (pin.display(), tar.display());
    let image = format!("localhost/nodesys-manager@sha256:{}", "a".repeat(64));
    let create = format!(
        "bundle create --k3s-pin {pin} --image-archive {tar} --manager-image {image} --keystore \
         {wallet} --password-file {password} --out {}",
        home.path("node.bundle").display()
    );
    home.run(&create).fails(2, "is not a pin of k3s");
    let sha256 = "ab".repeat(32);
    home.write(
        "pin.json",
        &format!(
            r#"{{"format": "nodesys-k3s-pin-1", "version": "v1", "k3s": [
                {{"arch": "x86_64", "sha256": "{sha256}", "size": 5, "urls": ["{NOBODY}/k3s"]}},
                {{"arch": "aarch64", "sha256": "{sha256}", "size": 5, "urls": ["{NOBODY}/k3s"]}}]}}"#
        ),
    );
    home.run(&create).fails(7, "cannot be downloaded from any place");
    assert!(!home.path("node.bundle").exists());
    home.run("bundle apply none").fails(2, "--bundle-signer is missing");
    let signer = "--signer 0x00000000000000000000000000000000000000a1";
    home.run(&format!("bundle apply none {signer}")).fails(2, "the bundle none cannot be read");
    home.run(&format!("bundle apply {tar} {signer}")).fails(2, "is not a bundle");
    home.run(&format!("start --bundle {tar} --manager-image {image}"))
        .fails(2, "cannot be used with");
}

#[test]
fn workloads_without_a_cluster_say_what_is_missing() {
    let home = Home::new();
    assert!(home.run("workload list").expect(0).contains("nodesys workload add PROJECT/WORKLOAD"));
    assert_eq!(home.run("workload list -o json").expect(0).trim(), "[]");
    home.run("workload add acme/render").fails(3, "no cluster yet");
    for verb in ["status", "logs", "describe", "restart", "pause", "resume", "remove"] {
        home.run(&format!("workload {verb} render")).fails(3, "it has none");
    }
    home.write("workloads.json", "{");
    for verb in ["list", "status render", "remove render --yes"] {
        home.run(&format!("workload {verb}")).fails(1, "is not a list of workloads");
    }
    let entry = r#"{"name": "render", "collection": "0x00000000000000000000000000000000000000c0",
        "token_id": "1", "project": "0x00000000000000000000000000000000000000aa",
        "project_name": "acme", "grant": {
            "requests": {"cpu_millis": 1, "memory_mib": 4, "storage_mib": 1},
            "limits": {"cpu_millis": 1, "memory_mib": 4, "storage_mib": 1},
            "persistent_mib": 8, "persistent_volumes": 1, "egress": {"internet": false}}}"#;
    home.write("workloads.json", &format!("{{\"workloads\": [{entry}]}}"));
    home.run("workload remove render").fails(2, "give --yes");
    home.run("workload remove render --yes").fails(3, "no cluster yet");
    home.run("workload restart other").fails(3, "it has acme/render");
    // Each part fails by itself.
    let listed = home.run("workload list -o json").expect(0);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["lease"]["state"], "unknown");
    assert!(listed[0]["problems"][1].as_str().unwrap().contains("no cluster yet"), "{listed}");
}

#[test]
fn version_is_the_programs_own_hash_and_completion_needs_no_settings() {
    let home = Home::new();
    let version = home.run("version -o json").expect(0);
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let sum = std::process::Command::new("sha256sum")
        .arg(env!("CARGO_BIN_EXE_nodesys"))
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert_eq!(sum.split(' ').next(), version["build"].as_str());
    home.write("config.json", "broken");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(home.run(&format!("completion {shell}")).expect(0).contains("nodesys"), "{shell}");
    }
}
