//! Files with secrets: who else may read one, by one rule for every program.

use std::fs::{File, Metadata};
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

/// Longest file that is read; a URL or a key is far shorter.
const MAX_BYTES: u64 = 16 * 1024;

/// Reads a small file that nobody else may read.
///
/// # Errors
///
/// When it cannot be read, is no file, is too long, or others may read it.
pub fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let shown = path.display();
    let cannot = || format!("the secret file {shown} cannot be read");
    let file = File::open(path).with_context(cannot)?;
    // Of the open file, so that it cannot be swapped between check and reading.
    let metadata = file.metadata().with_context(cannot)?;
    ensure!(metadata.is_file(), "{shown} is not a file");
    if let Some(mode) = exposed(&metadata) {
        anyhow::bail!(
            "{shown} holds a secret, but can be read by others (mode {mode:04o}): chmod 600 {shown}"
        );
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(cannot)?;
    ensure!(text.len() as u64 <= MAX_BYTES, "{shown} is longer than {MAX_BYTES} bytes");
    Ok(text)
}

/// Reads the one value of such a file; space around it does not count.
///
/// # Errors
///
/// As [`read`], and when the file is empty.
pub fn value(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = read(path)?;
    let value = text.trim();
    ensure!(!value.is_empty(), "{} is empty", path.display());
    Ok(Zeroizing::new(value.to_owned()))
}

/// Reads the values of such a file: one a line, or with commas between them.
///
/// # Errors
///
/// As [`value`].
pub fn values(path: &Path) -> anyhow::Result<Vec<Zeroizing<String>>> {
    let text = read(path)?;
    let values = text.split([',', '\n']).map(str::trim).filter(|value| !value.is_empty());
    let values: Vec<_> = values.map(|value| Zeroizing::new(value.to_owned())).collect();
    ensure!(!values.is_empty(), "{} is empty", path.display());
    Ok(values)
}

/// Asks at the terminal for the password of a keystore.
///
/// # Errors
///
/// Where there is no terminal to ask at; `instead` is how else it can be given.
pub fn ask_password(keystore: &Path, instead: &str) -> anyhow::Result<Zeroizing<String>> {
    let keystore = keystore.display();
    let nobody = || {
        format!(
            "the password of {keystore} is needed, and there is no terminal to ask at: give {instead}"
        )
    };
    ensure!(std::io::stderr().is_terminal(), nobody());
    let question = format!("Password of {keystore}: ");
    rpassword::prompt_password(question).map(Zeroizing::new).with_context(nobody)
}

/// The file's mode, if others may read or change it.
#[cfg(unix)]
pub fn exposed(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode() & 0o777;
    let groups = || {
        let mut groups = rustix::process::getgroups().unwrap_or_default();
        groups.push(rustix::process::getegid());
        groups.into_iter().map(rustix::process::Gid::as_raw).collect::<Vec<_>>()
    };
    (!is_private(mode, metadata.uid(), metadata.gid(), groups)).then_some(mode)
}

/// Where files have no modes, nothing is said of them.
#[cfg(not(unix))]
pub fn exposed(_: &Metadata) -> Option<u32> {
    None
}

/// A file of mode 0600 or less is its owner's alone. One of root that a group may read, and nobody may
/// change but root, is ours in two cases: the group is one of this process's (Kubernetes mounts a pod's
/// secrets so, with `fsGroup`), or it is mode 0440 of root's group (systemd gives a service its
/// credentials by an access list, which shows as the group's bits).
#[cfg(unix)]
fn is_private(mode: u32, owner: u32, group: u32, ours: impl FnOnce() -> Vec<u32>) -> bool {
    let by_group = || match group {
        0 => mode == 0o440,
        group => mode & 0o037 == 0 && ours().contains(&group),
    };
    mode & 0o077 == 0 || (owner == 0 && by_group())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_secret_is_its_owners_or_the_pods_or_the_services() {
        let ours = || vec![0, 100, 65532];
        for (mode, owner, group, private) in [
            (0o600, 1000, 1000, true),
            (0o400, 0, 0, true),
            (0o640, 1000, 65532, false),
            (0o644, 0, 0, false),
            // Kubernetes, with fsGroup 65532, and for another pod's group.
            (0o440, 0, 65532, true),
            (0o640, 0, 65532, true),
            (0o440, 0, 70000, false),
            (0o444, 0, 65532, false),
            (0o660, 0, 65532, false),
            // systemd, by an access list.
            (0o440, 0, 0, true),
            (0o640, 0, 0, false),
            (0o440, 1000, 0, false),
        ] {
            let said = is_private(mode, owner, group, ours);
            assert_eq!(said, private, "{mode:o} of {owner}:{group}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_folder, path) = written("postgres://nodesys\n", 0o600);
        assert_eq!(value(&path).unwrap().as_str(), "postgres://nodesys");
        for mode in [0o644, 0o604, 0o602] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let error = value(&path).unwrap_err().to_string();
            assert!(
                error.contains("can be read by others") && error.contains("chmod 600"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_value_is_named() {
        for (text, says) in [("", "is empty"), (" \n", "is empty"), (&"x".repeat(20_000), "longer")]
        {
            let (_folder, path) = written(text, 0o600);
            let error = value(&path).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(values(&path).is_err());
        }
        assert!(read(Path::new("/")).unwrap_err().to_string().contains("is not a file"));
        let (_folder, path) = written("https://one.example\n\nhttps://two.example, three\n", 0o600);
        let values: Vec<_> = values(&path).unwrap().iter().map(|value| value.to_string()).collect();
        assert_eq!(values, ["https://one.example", "https://two.example", "three"]);
    }
}
