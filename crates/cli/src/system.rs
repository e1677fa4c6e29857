//! Programs, files and services of this machine.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nodesys_clock::Clock;

/// The folder of the systemd units of the machine's owner.
pub(crate) const UNITS: &str = "/etc/systemd/system";

/// Runs a program of the machine to its end; what it printed, or what it complained of.
pub(crate) fn command(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(words).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    let line = [&[program], words].concat().join(" ");
    ensure!(output.status.success(), "{}", complaint(&line, &output));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// How a program ended and what it complained of; one that was killed says nothing itself.
pub(crate) fn complaint(command: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    match said.trim() {
        "" => format!("{command} ended with {} and said nothing", output.status),
        said => format!("{command} ended with {}: {said}", output.status),
    }
}

/// Puts a file in its place, whole; whether it was otherwise.
pub(crate) fn put(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<bool> {
    if std::fs::read(path).is_ok_and(|there| there == content) {
        return Ok(false);
    }
    let cannot = || format!("cannot write {}", path.display());
    let folder = path.parent().with_context(cannot)?;
    std::fs::create_dir_all(folder).with_context(cannot)?;
    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    new.write_all(content).with_context(cannot)?;
    new.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).with_context(cannot)?;
    new.as_file().sync_all().with_context(cannot)?;
    new.persist(path).with_context(cannot)?;
    Ok(true)
}

/// The path of nft.
pub(crate) fn nft() -> Option<String> {
    let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];
    let paths = folders.map(|folder| format!("{folder}/nft"));
    paths.into_iter().find(|path| Path::new(path).exists())
}

/// Waits a moment of real time: the cluster lives in it, whatever clock a development chain has.
pub(crate) async fn pause(millis: u64) {
    Clock::system().sleeper().sleep(Duration::from_millis(millis)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_killed_is_told_of() {
        let error = command("sh", &["-c", "kill -9 $$"]).unwrap_err().to_string();
        assert!(error.contains("signal: 9") && error.ends_with("said nothing"), "{error}");
        let error = command("sh", &["-c", "echo why >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with(": why"), "{error}");
        assert_eq!(command("sh", &["-c", "echo fine"]).unwrap(), "fine");
    }
}
