//! `nodesys update --timer`: the units that let a machine update its node.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::{Here, inside, machine};
use nodesys_testing::home::Home;
use nodesys_testing::program::must;

/// systemd itself is the stand-in, so what fires the timer is the machine's and is not tested; what
/// would run then is run by hand.
#[test]
#[ignore = "needs root: scripts/test kube"]
fn a_timer_updates_the_node_until_it_is_turned_off() {
    if !inside("timer::a_timer_updates_the_node_until_it_is_turned_off") {
        return;
    }
    let before = machine();
    let home = Home::paired();
    home.run(&Here, "update --timer on").fails(2, "no repository is known yet");
    std::fs::create_dir_all(home.path("update")).unwrap();
    let state = json!({ "format": "nodesys-update-state-1", "repository": "/nowhere" });
    std::fs::write(home.path("update/state.json"), state.to_string()).unwrap();

    let folder = tempfile::tempdir_in("/usr/local").unwrap();
    let mode = |path: &Path, mode: &str| {
        must(Command::new("chmod").arg(mode).arg(path));
    };
    mode(folder.path(), "755");
    let program = folder.path().join("nodesys");
    std::fs::copy(env!("CARGO_BIN_EXE_nodesys"), &program).unwrap();
    let verifier = folder.path().join("nodesys-update");
    std::fs::copy(env!("CARGO_BIN_EXE_nodesys"), &verifier).unwrap();
    let run = |line: &str| {
        let mut command = Command::new(&program);
        let output = command
            .args(line.split_whitespace())
            .env("NODESYS_HOME", home.path(""))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    // Whoever can replace the program would be root within the hour.
    for path in [&program, &verifier] {
        mode(path, "777");
        let (code, _, words) = run("update --timer on");
        assert!(code == Some(1) && words.contains("install both programs"), "{words}");
        mode(path, "755");
    }
    mode(&home.path("update/state.json"), "666");
    let (code, _, words) = run("update --timer on");
    assert!(code == Some(1) && words.contains("a home of its own"), "{words}");
    mode(&home.path("update/state.json"), "600");
    let owner = |owner: &str| must(Command::new("chown").arg(owner).arg(home.path(".")));
    owner("65534");
    let (code, _, words) = run("update --timer on");
    assert!(code == Some(1) && words.contains("a home of its own"), "{words}");
    owner("0");
    std::fs::remove_dir("/run/systemd/system").unwrap();
    let (code, _, words) = run("update --timer on");
    assert!(code == Some(1) && words.contains("not run by systemd"), "{words}");
    std::fs::create_dir("/run/systemd/system").unwrap();
    let with_folder = machine();

    let (code, told, words) = run("update --timer on");
    assert!(code == Some(0) && told.contains("timer       on:"), "{told}{words}");
    let units = ["nodesys-update.service", "nodesys-update.timer"];
    let made: Vec<String> =
        machine().into_iter().filter(|line| !with_folder.contains(line)).collect();
    assert_eq!(made, units.map(|unit| format!("/etc/systemd/system/{unit}")));
    for unit in &made {
        must(Command::new("systemd-analyze").args(["verify", unit]));
    }
    must(Command::new("systemctl").args(["is-active", "--quiet", units[1]]));
    assert!(run("update --timer on").1.contains("on, as it was"));
    // Stopped by somebody: on again.
    must(Command::new("systemctl").args(["stop", units[1]]));
    assert!(run("update --timer on").1.contains("timer       on:"));
    // What the timer runs finds this home, and says what is wrong with its repository.
    let ran = Command::new("systemctl").args(["start", units[0]]).output().unwrap();
    let words = String::from_utf8(ran.stderr).unwrap();
    assert!(!ran.status.success() && words.contains("nodesys-update"), "{words}");

    // Another home's timer is left alone; an uninstall takes its own with it.
    let other = Home::paired();
    assert!(other.run(&Here, "update --timer off").expect(0).contains("off, as it was"));
    std::fs::create_dir_all(other.path("update")).unwrap();
    std::fs::write(other.path("update/state.json"), state.to_string()).unwrap();
    let line = format!("--home {} update --timer on", other.path(".").display());
    let (code, _, words) = run(&line);
    assert!(code == Some(1) && words.contains("is another home's"), "{words}");
    other.run(&Here, "uninstall --yes").expect(0);
    assert!(Path::new(&made[0]).exists());
    let (code, told, words) = run("uninstall --yes");
    assert!(code == Some(0) && told.contains("the timer of updates"), "{told}{words}");
    assert!(run("update --timer off").1.contains("off, as it was"));
    assert_eq!(machine(), with_folder);
    drop(folder);
    assert_eq!(machine(), before);
}
