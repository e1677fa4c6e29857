//! The timer of updates: systemd runs `nodesys update` every hour, as root, until it is turned off.
//!
//! Nobody else may be able to replace a program that root runs by itself, or its data. So the program,
//! the home folder and the folders above them are checked first.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use nodesys_core::update::Program;

use super::repository::{BUILT_IN_REPOSITORY, here};
use crate::exit::Exit;
use crate::system::{UNITS, command, put};
use crate::update::state::{UpdateFolder, UpdateState};

pub(crate) const SERVICE: &str = "nodesys-update.service";

pub(crate) const TIMER: &str = "nodesys-update.timer";

/// Turns it on; whether anything changed.
pub(crate) fn turn_on(home: &Path) -> anyhow::Result<bool> {
    let folder = UpdateFolder::of(home);
    if UpdateState::read(&folder)?.repository.is_none() && BUILT_IN_REPOSITORY.is_none() {
        return Err(Exit::Usage.because(
            "no repository is known yet: run nodesys update --repository URL --root FILE first",
        ));
    }
    possible()?;
    let program = here()?;
    let home = home.canonicalize().context("the home folder")?;
    for path in [&program, &program.with_file_name(Program::Update.name())] {
        rightful(path, "install both programs below /usr/local/bin, as root")?;
    }
    let believed = ["state.json", "trusted.json"].map(|name| UpdateFolder::of(&home).path(name));
    for path in [&home].into_iter().chain(believed.iter().filter(|path| path.exists())) {
        rightful(path, "let root have a home of its own: sudo nodesys --home DIR")?;
    }
    let service = service(word(&program)?, word(&home)?);
    if let Some(other) = installed()?.filter(|text| !is_of(text, &home)) {
        let line = other.lines().find(|line| line.starts_with("ExecStart=")).unwrap_or_default();
        return Err(Exit::Failure.because(format!(
            "the timer is another home's ({line}): turn it off with that --home first"
        )));
    }
    let mut changed = place(SERVICE, &service)?;
    changed |= place(TIMER, TIMER_UNIT)?;
    let runs = command("systemctl", &["is-active", "--quiet", TIMER]).is_ok();
    // Each time, since a run may have ended before it; it reads changed units anew.
    command("systemctl", &["daemon-reload"])?;
    command("systemctl", &["enable", TIMER])?;
    if changed || !runs {
        command("systemctl", &["restart", TIMER])?;
    }
    Ok(changed || !runs)
}

/// Turns it off, where it is this home's; whether it was on.
pub(crate) fn turn_off(home: &Path) -> anyhow::Result<bool> {
    let home = home.canonicalize().context("the home folder")?;
    if !installed()?.is_some_and(|text| is_of(&text, &home)) {
        return Ok(false);
    }
    possible()?;
    if Path::new(UNITS).join(TIMER).exists() {
        command("systemctl", &["disable", "--now", TIMER])?;
    }
    // The service last: it says whose all of this is.
    for unit in [TIMER, SERVICE] {
        let path = Path::new(UNITS).join(unit);
        if path.exists() {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    command("systemctl", &["daemon-reload"])?;
    Ok(true)
}

/// The service as it is installed; `None` where there is none.
fn installed() -> anyhow::Result<Option<String>> {
    let path = Path::new(UNITS).join(SERVICE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Whether a service is for this home folder.
fn is_of(service: &str, home: &Path) -> bool {
    service.contains(&format!(" --home {} update\n", home.display()))
}

/// Root, and a machine that systemd runs.
fn possible() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Exit::Failure.because(format!(
            "{UNITS} is root's: run it by sudo, or run nodesys update from a timer of your own"
        )));
    }
    if !Path::new("/run/systemd/system").exists() {
        return Err(Exit::Failure.because(
            "this machine is not run by systemd: run nodesys update from its own timer, cron say",
        ));
    }
    Ok(())
}

/// Nobody but root may replace it.
fn rightful(path: &Path, fix: &str) -> anyhow::Result<()> {
    const STICKY: u32 = 0o1000;
    for above in path.ancestors() {
        let found = std::fs::metadata(above)
            .with_context(|| format!("{} cannot be looked at", above.display()))?;
        let (mode, owner) = (found.mode(), found.uid());
        // In a folder with the sticky bit only the owner takes a file away.
        let open = mode & 0o022 != 0 && !(found.is_dir() && mode & STICKY != 0);
        if owner != 0 || open {
            return Err(Exit::Failure.because(format!(
                "root would run by {}, which others may replace ({} is of user {owner}, mode \
                 {:04o}): {fix}",
                path.display(),
                above.display(),
                mode & 0o7777
            )));
        }
    }
    Ok(())
}

/// A path as one word of a unit file, in which blanks, quotes, `%` and `$` mean something.
fn word(path: &Path) -> anyhow::Result<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:~".contains(c);
    path.to_str().filter(|text| text.chars().all(plain)).ok_or_else(|| {
        Exit::Failure.because(format!(
            "{} has characters that a unit file does not take: use a plain path, or run nodesys \
             update from a timer of your own",
            path.display()
        ))
    })
}

fn service(program: &str, home: &str) -> String {
    format!(
        "# Written by nodesys update --timer on; --timer off removes it.\n\
         [Unit]\n\
         Description=Takes a newer release of nodesys and its manager, when it is this node's turn\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={program} --home {home} update\n\
         TimeoutStartSec=2h\n"
    )
}

const TIMER_UNIT: &str = "# Written by nodesys update --timer on; --timer off removes it.\n\
    [Unit]\n\
    Description=Updates this Node System node every hour\n\
    \n\
    [Timer]\n\
    OnCalendar=hourly\n\
    RandomizedDelaySec=1h\n\
    FixedRandomDelay=true\n\
    Persistent=true\n\
    \n\
    [Install]\n\
    WantedBy=timers.target\n";

/// Puts a unit in its place; whether it was another before.
fn place(unit: &str, text: &str) -> anyhow::Result<bool> {
    put(&Path::new(UNITS).join(unit), text.as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_as_committed() {
        let all = [&service("/usr/local/bin/nodesys", "/var/lib/nodesys"), TIMER_UNIT];
        insta::assert_snapshot!("units", all.join("----\n"));
        for path in ["/home/a b", "/x%n", "/x$HOME", "/x\"", "/x\\", "/x\ny"] {
            assert!(word(Path::new(path)).unwrap_err().to_string().contains("plain path"));
        }
    }

    #[test]
    fn root_runs_only_what_nobody_else_may_replace() {
        rightful(Path::new("/bin/sh"), "").unwrap();
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("nodesys");
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o777)).unwrap();
        let error = rightful(&program, "mend it").unwrap_err().to_string();
        assert!(error.contains("may replace") && error.contains("mend it"), "{error}");
    }
}
