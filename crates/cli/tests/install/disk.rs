//! Where the disk of the home folder is full.

use std::path::Path;
use std::process::Command;

use crate::inside;
use nodesys_testing::home::Home;
use nodesys_testing::program::must;

/// A full disk under the home: what was there stays whole, and each command says why.
#[test]
#[ignore = "needs root: scripts/test kube"]
fn on_a_full_disk_nothing_is_half_written() {
    if !inside("disk::on_a_full_disk_nothing_is_half_written") {
        return;
    }
    let home = Home::paired();
    let held = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.is_file() && !path.ends_with("filler"));
        let mut all: Vec<_> =
            files.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect();
        all.retain(|(_, bytes)| !bytes.is_empty());
        all.sort();
        all
    };
    let disk = tempfile::tempdir().unwrap();
    must(Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(disk.path()));
    must(Command::new("cp").arg("-a").arg(home.path(".")).arg(disk.path()));
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k"])
        .arg(format!("of={}", disk.path().join("filler").display()))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&filled.stderr).contains("No space left"));
    let before = held(disk.path());
    assert!(before.len() >= 3, "{before:?}");
    let image = format!("localhost/nodesys-manager@sha256:{}", "a".repeat(64));
    for line in [
        "config set final_depth 5",
        "config unset chain_id",
        "pair request --node-key-file other.key",
        "backup node.backup",
        &format!("start --driver existing --kubeconfig /none --manager-image {image}"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_nodesys"))
            .args(line.split_whitespace())
            .env("NODESYS_HOME", disk.path())
            .current_dir(disk.path())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{line}: {words}");
        if !line.starts_with("start") {
            assert!(words.contains("No space left on device"), "{line}: {words}");
        }
        assert_eq!(held(disk.path()), before, "{line}");
    }
    // With space again the same commands do what they are for.
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nodesys"))
        .args(["config", "set", "final_depth", "5"])
        .env("NODESYS_HOME", disk.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    must(Command::new("umount").arg(disk.path()));
}
