//! Our own programs: their paths, a check that they are built from the current sources, and
//! one-shot runs of their commands.
//!
//! `cargo test` of one crate does not rebuild the programs of others, so a program older than one
//! of its sources, by cargo's list, is refused.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use serde::de::DeserializeOwned;
use tokio::process::Command;

/// The programs the devnet starts.
const NAMES: [&str; 5] =
    ["nodesys", "nodesys-backend", "nodesys-master", "nodesys-manager", "nodesys-sample-workload"];

/// A folder with all of our programs, fresh.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

/// The result of a one-shot command.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Words.
    pub stderr: String,
}

impl Programs {
    /// The programs beside this one (a test stands one folder deeper).
    pub fn find() -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("this program has no path")?;
        let mut folder = this.parent().context("this program has no folder")?;
        if folder.file_name() == Some(OsStr::new("deps")) {
            folder = folder.parent().context("target has a folder")?;
        }
        for name in NAMES {
            check_fresh(folder, name)?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// A program's path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command of one of the programs, without the settings of the caller's environment.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.path(name));
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(|variable| variable.starts_with("NODESYS_")) {
                command.env_remove(variable);
            }
        }
        command
    }
}

/// Runs a command to its end.
pub async fn run(mut command: Command) -> anyhow::Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot run {}", words(&command)))?;
    Ok(Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

impl Output {
    /// The standard output of a command that succeeded.
    pub fn ok(self) -> anyhow::Result<String> {
        ensure!(self.code == Some(0), "exit {:?}: {}{}", self.code, self.stderr, self.stdout);
        Ok(self.stdout)
    }

    /// The JSON output of a command that succeeded.
    pub fn json<T: DeserializeOwned>(self) -> anyhow::Result<T> {
        let text = self.ok()?;
        serde_json::from_str(&text).with_context(|| format!("not the JSON expected: {text}"))
    }
}

/// A command line as a person would type it.
pub fn words(command: &Command) -> String {
    let command = command.as_std();
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Refuses a program that is missing or older than one of its sources, by cargo's own list of them.
fn check_fresh(folder: &Path, name: &str) -> anyhow::Result<()> {
    let program = folder.join(name);
    let build = "run: cargo build --workspace --bins";
    let built = std::fs::metadata(&program)
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("{} is not built; {build}", program.display()))?;
    let list = folder.join(format!("{name}.d"));
    let list = std::fs::read_to_string(&list)
        .with_context(|| format!("{} cannot be read; {build}", list.display()))?;
    for source in sources(&list) {
        let changed = std::fs::metadata(&source).and_then(|metadata| metadata.modified());
        if changed.is_ok_and(|changed| changed > built) {
            bail!("{name} is older than {}; {build}", source.display());
        }
    }
    Ok(())
}

/// The sources in a dependency file: `program: source source ...`, spaces in names escaped.
fn sources(list: &str) -> Vec<PathBuf> {
    const SPACE: &str = "\u{0}";
    let Some((_, sources)) = list.lines().next().unwrap_or_default().split_once(": ") else {
        return Vec::new();
    };
    sources
        .replace("\\ ", SPACE)
        .split_whitespace()
        .map(|source| PathBuf::from(source.replace(SPACE, " ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_file_names_its_sources() {
        let list = "/t/debug/nodesys: /a/b.rs /with\\ space/c.rs\n";
        assert_eq!(sources(list), [PathBuf::from("/a/b.rs"), PathBuf::from("/with space/c.rs")]);
        assert!(sources("").is_empty());
    }

    #[test]
    fn a_program_older_than_its_source_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let error = check_fresh(folder.path(), "p").unwrap_err().to_string();
        assert!(error.contains("not built"), "{error}");
        for name in ["p", "source.rs"] {
            std::fs::write(at(name), "").unwrap();
        }
        std::fs::write(at("p.d"), format!("p: {}", at("source.rs").display())).unwrap();
        let touch = |name: &str, secs| {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs);
            std::fs::File::options()
                .write(true)
                .open(at(name))
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        touch("source.rs", 100);
        touch("p", 200);
        check_fresh(folder.path(), "p").unwrap();
        touch("source.rs", 300);
        let error = check_fresh(folder.path(), "p").unwrap_err().to_string();
        assert!(error.contains("older than") && error.contains("source.rs"), "{error}");
    }
}
