//! Replacing programs, and putting them back. Both may be run again after an end at any moment.
//!
//! A program's file is only ever replaced whole, by a rename on its own disk, after the one before
//! was kept beside it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nodesys_core::update::Program;
use nodesys_failpoint::reach;
use semver::Version;
use tokio::process::Command;

use crate::download::hash::hash_of;
use crate::exit::Exit;
use crate::update::state::{Swap, sync_folder};

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// The paths of a program: itself, the new one, the previous one.
pub(crate) fn places(folder: &Path, program: Program, version: &Version) -> [PathBuf; 3] {
    let name = program.name();
    [
        folder.join(name),
        folder.join(format!(".{name}-{version}.new")),
        folder.join(format!("{name}.previous")),
    ]
}

/// The folder of programs can be written; else what to do.
pub(crate) fn writable(folder: &Path) -> anyhow::Result<()> {
    tempfile::NamedTempFile::new_in(folder).map(drop).map_err(|error| {
        Exit::Failure.because(format!(
            "{} cannot be written ({error}): run it as the user who installed nodesys, for example with sudo; \
             if a package manager did, update with that",
            folder.display()
        ))
    })
}

/// The new program is one for this machine, and says that it is what it is listed as.
pub(crate) async fn try_out(swap: &Swap, version: &Version) -> anyhow::Result<()> {
    allow(&swap.staged)?;
    says(&swap.staged, swap.program, version).await
}

/// A program says its version.
pub(crate) async fn says(path: &Path, program: Program, version: &Version) -> anyhow::Result<()> {
    let bad = |problem: String| {
        Exit::Failure
            .because(format!("{program} {version} does not run on this machine: {problem}"))
    };
    let mut command = Command::new(path);
    command.arg("--version").kill_on_drop(true).stdin(std::process::Stdio::null());
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| bad(format!("it says nothing within {} s", PATIENCE.as_secs())))?
        .map_err(|error| bad(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let said: String = said.trim().chars().take(80).collect();
    let expected = format!("{program} {version}");
    if !output.status.success() {
        return Err(bad(format!("it ends with {}", output.status)));
    }
    if said != expected {
        return Err(bad(format!("it says it is {said:?}, not {expected:?}")));
    }
    Ok(())
}

/// Puts the new programs in place.
pub(crate) fn swap(swaps: &[Swap]) -> anyhow::Result<()> {
    for swap in swaps {
        let shown = swap.path.display();
        let found = hash_of(&swap.path)?;
        if found == swap.new {
            continue;
        }
        if found != swap.old {
            return Err(Exit::Failure.because(format!(
                "{shown} was changed by somebody else meanwhile (SHA-256 {found})"
            )));
        }
        put(&swap.path, &swap.previous)?;
        reach("update:kept");
        if hash_of(&swap.staged)? != swap.new {
            let words = format!("{} is not the file that was fetched", swap.staged.display());
            return Err(Exit::Failure.because(words));
        }
        std::fs::rename(&swap.staged, &swap.path)
            .with_context(|| format!("cannot replace {shown}"))?;
        sync_folder(swap.path.parent().unwrap_or(Path::new(".")))?;
        reach("update:one-swapped");
    }
    Ok(())
}

/// Puts the programs of before back.
pub(crate) fn undo(swaps: &[Swap]) -> anyhow::Result<()> {
    for swap in swaps {
        if hash_of(&swap.path).is_ok_and(|found| found == swap.old) {
            continue;
        }
        let kept = hash_of(&swap.previous);
        if !kept.as_ref().is_ok_and(|found| *found == swap.old) {
            return Err(Exit::Failure.because(format!(
                "{} is not the previous program (SHA-256 {}): put that one in place of {} by hand",
                swap.previous.display(),
                swap.old,
                swap.path.display()
            )));
        }
        put(&swap.previous, &swap.path)?;
        reach("update:one-undone");
    }
    Ok(())
}

/// Takes away what was fetched and not used.
pub(crate) fn clear(swaps: &[Swap]) {
    for swap in swaps {
        // What is left would only take room.
        let _ = std::fs::remove_file(&swap.staged);
    }
}

/// Has a copy of a program at another place, whole.
fn put(from: &Path, to: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", to.display());
    let folder = to.parent().unwrap_or(Path::new("."));
    let new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    std::fs::copy(from, new.path()).with_context(cannot)?;
    let file = File::open(new.path()).with_context(cannot)?;
    file.sync_all().with_context(cannot)?;
    new.persist(to).with_context(cannot)?;
    sync_folder(folder)
}

/// Lets everybody run it.
fn allow(path: &Path) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode)
            .with_context(|| format!("cannot change {}", path.display()))?;
    }
    Ok(())
}
