//! Every command where something is wrong: its flags, its settings, its rights, its disk, or the
//! place its output goes to. The command lines are those of docs/cli.md, which has all of them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use clap::CommandFactory as _;
use nodesys_cli::commands::Cli;

use crate::home::Home;
use crate::offline::configured;
use nodesys_testing::docs::told;

/// They need no settings.
const WITHOUT_SETTINGS: [&str; 3] = ["config path", "version", "completion bash"];
/// What they say depends on the machine.
const OF_THE_MACHINE: [&str; 2] = ["doctor", "status"];

fn lines() -> Vec<String> {
    let told = told(include_str!("../../../../docs/cli.md"));
    let lines = told.iter().map(|words| words[1..].join(" "));
    // Nobody outside is asked: an RPC that is not there says the same on every machine.
    lines
        .map(|line| {
            line.replace("--rpc https://rpc.example.org/v2/KEY", "--rpc http://127.0.0.1:9/KEY")
        })
        .collect()
}

/// Every command that does something, by its words.
fn commands() -> Vec<String> {
    fn each(command: &clap::Command, path: &str, all: &mut Vec<String>) {
        let verbs: Vec<_> =
            command.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
        if verbs.is_empty() {
            all.push(path.trim().to_owned());
        }
        for verb in verbs {
            each(verb, &format!("{path} {}", verb.get_name()), all);
        }
    }
    let mut all = Vec::new();
    each(&Cli::command(), "", &mut all);
    all
}

/// What a folder holds, but for the empty files that programs lock.
fn held(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    let read = |path: std::path::PathBuf| {
        (path.file_name().unwrap().display().to_string(), std::fs::read(path).unwrap())
    };
    files.map(read).filter(|(_, bytes)| !bytes.is_empty()).collect()
}

/// Ended by itself, with a code that says so, and not by a panic.
fn ended(line: &str, output: &Output) -> (i32, String) {
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap_or_else(|| panic!("nodesys {line}: killed\n{words}"));
    assert!(code <= 8 && !words.contains("panicked"), "nodesys {line}: {code}\n{words}");
    (code, words)
}

#[test]
fn no_command_takes_what_it_does_not_know() {
    let home = Home::new();
    let commands = commands();
    assert!(commands.len() > 40, "{commands:?}");
    for command in commands {
        home.run(&format!("{command} --no-such-flag")).fails(2, "--no-such-flag");
        home.run(&format!("{command} --output yaml")).fails(2, "possible values: table, json");
        home.run_with(&[("NODESYS_CHAIN_ID", "base")], &command).fails(2, "'base' for '--chain-id");
    }
    assert_eq!(held(&home.path("")).len(), 0);
}

#[test]
fn without_settings_every_command_says_what_it_needs() {
    let mut all = String::new();
    for line in lines() {
        // Each as on the first day.
        let home = Home::new();
        let run = home.run(&line);
        let code = run.code.unwrap();
        if code == 0 || OF_THE_MACHINE.iter().any(|it| line.starts_with(it)) {
            continue;
        }
        assert_eq!(run.stdout, "", "{line}");
        assert_eq!(held(&home.path("")).len(), 0, "{line}");
        let words = run.stderr.replace(&home.path("").display().to_string(), "HOME/");
        all.push_str(&format!("$ nodesys {line}\n{}\n[exit {code}]\n\n", words.trim()));
    }
    insta::assert_snapshot!("unconfigured", all);
}

#[test]
fn settings_that_cannot_be_read_stop_every_command_with_what_to_do() {
    let too_deep = "[".repeat(200);
    for (text, part) in [
        (&b"{\"backnd\": 1}"[..], "unknown variant `backnd`"),
        (b"{\"chain_id\": ", "EOF"),
        (b"{\"backend\": \"\xff\"}", "invalid unicode"),
        (b"", "EOF"),
        (too_deep.as_bytes(), "invalid type"),
    ] {
        let home = Home::new();
        std::fs::write(home.path("config.json"), text).unwrap();
        for line in lines() {
            let run = home.run(&line);
            if WITHOUT_SETTINGS.contains(&line.as_str()) {
                run.expect(0);
                continue;
            }
            for part in [part, "config.json is not a settings file", "repair it by hand"] {
                run.fails(2, part);
            }
        }
        assert_eq!(held(&home.path("")).get("config.json").map_or(&b""[..], |it| it), text);
    }
    let home = Home::new();
    std::fs::create_dir(home.path("config.json")).unwrap();
    home.run("config set chain_id 5").fails(2, "check its owner");
}

/// Nobody's, as far as this user is concerned: it may look, and change nothing.
#[test]
fn without_rights_nothing_is_half_done() {
    let home = configured();
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("nodesys");
    std::fs::copy(env!("CARGO_BIN_EXE_nodesys"), &program).unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(place.path(), 0o755);
    mode(&home.path(""), 0o555);
    mode(&home.path("config.json"), 0o444);
    let run = |line: &str| {
        let mut command = Command::new(&program);
        command
            .env_clear()
            .env("NODESYS_HOME", home.path(""))
            .current_dir(home.path(""))
            .args(line.split_whitespace())
            .stdin(std::process::Stdio::null());
        if rustix::process::geteuid().is_root() {
            // Rights do not bind root.
            command.uid(65534).gid(65534);
        }
        ended(line, &command.output().unwrap())
    };
    let before = held(&home.path(""));
    for line in lines().iter().filter(|line| !line.contains("--watch")) {
        run(line);
    }
    for line in ["pair request", "config set chain_id 5", "config unset chain_id"] {
        let (code, words) = run(line);
        assert_eq!(code, 1, "{line}: {words}");
        assert!(words.contains("Permission denied"), "{line}: {words}");
    }
    assert_eq!(held(&home.path("")), before);

    mode(&home.path("config.json"), 0o000);
    for line in lines() {
        let (code, words) = run(&line);
        if WITHOUT_SETTINGS.contains(&line.as_str()) {
            assert_eq!(code, 0, "{line}: {words}");
        } else {
            assert_eq!(code, 2, "{line}: {words}");
            assert!(words.contains("check its owner"), "{line}: {words}");
        }
    }
    mode(&home.path(""), 0o755);
}

/// A limit on the size of files, which a write finds as it finds a full disk. On a full disk itself
/// the installation runs (tests/install).
#[test]
fn where_nothing_can_be_written_what_was_there_stays() {
    let home = configured();
    home.run("pair request").expect(0);
    let before = held(&home.path(""));
    let run = |line: &str| {
        let mut command = Command::new("bash");
        command
            .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "-"])
            .arg(env!("CARGO_BIN_EXE_nodesys"))
            .args(line.split_whitespace())
            .env("NODESYS_HOME", home.path(""))
            .current_dir(home.path(""))
            .stdin(std::process::Stdio::null());
        ended(line, &command.output().unwrap())
    };
    for line in lines().iter().filter(|line| !line.contains("--watch")) {
        run(line);
        assert_eq!(held(&home.path("")), before, "{line}");
    }
    for (line, part) in [
        ("config set chain_id 5", "cannot write"),
        ("config unset chain_id", "cannot write"),
        ("backup node.backup", "cannot"),
        ("pair request --node-key-file other.key", "cannot be made"),
    ] {
        let (code, words) = run(line);
        assert_eq!(code, 1, "{line}: {words}");
        assert!(words.contains(part) && words.contains("File too large"), "{line}: {words}");
        assert_eq!(held(&home.path("")), before, "{line}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let home = configured();
    home.run("pair request").expect(0);
    let run = |line: &str, out: std::process::Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodesys"));
        command.env("NODESYS_HOME", home.path("")).args(line.split_whitespace()).stdout(out);
        ended(line, &command.output().unwrap())
    };
    for line in [
        "pair request",
        "info",
        "workload list",
        "backup -",
        "config show",
        "config get chain_id",
        "config path",
        "version",
        "completion bash",
        "completion fish",
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, words) = run(line, full.into());
        assert_eq!(code, 1, "{line}: {words}");
        assert!(words.contains("cannot write to standard output"), "{line}: {words}");
        // A reader that has gone away has read enough.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, words) = run(line, writer.into());
        assert_eq!(code, 0, "{line}: {words}");
    }
}
