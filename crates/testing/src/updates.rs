//! A machine with the real programs in a folder of their own, and a repository that the real tool
//! has made. A new release is either the real programs with another version in their bytes, or, where
//! many are needed, scripts that say a version and else run the programs as they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Run, built};

/// The version that runs.
pub const CURRENT: &str = env!("CARGO_PKG_VERSION");
const PROGRAMS: [&str; 2] = ["nodesys", "nodesys-update"];
/// The platform of this build, as repositories call it.
pub const PLATFORM: &str = const_platform();

const fn const_platform() -> &'static str {
    if cfg!(target_arch = "aarch64") { "aarch64-linux" } else { "x86_64-linux" }
}

/// The machine and the repository.
pub struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// The programs in place, a repository with no release.
    pub fn without_release() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["bin", "real", "home", "keys"] {
            std::fs::create_dir(world.path(folder)).unwrap();
        }
        for program in PROGRAMS {
            let real = world.path("real").join(program);
            // Without what debuggers read they are a third of the size.
            let strip = Command::new("strip").arg("-o").arg(&real).arg(built(program)).status();
            if !strip.is_ok_and(|status| status.success()) {
                std::fs::copy(built(program), &real).unwrap();
            }
            std::fs::copy(&real, world.path("bin").join(program)).unwrap();
        }
        for key in ["anna", "bob", "carl", "targets", "online"] {
            world.tool(&format!("key new keys/{key}"));
        }
        world.tool(
            "root make --root keys/anna.pub --root keys/bob.pub --root keys/carl.pub \
             --targets keys/targets.pub --snapshot keys/online.pub --timestamp keys/online.pub \
             --out root.json",
        );
        world.tool("root sign root.json --key keys/anna");
        world.tool("root sign root.json --key keys/bob");
        world.tool("root publish updates root.json");
        world
    }

    /// As [`Self::without_release`], with a good release published.
    pub fn with_release(version: &str) -> Self {
        let world = Self::without_release();
        world.release(version, "");
        world.publish();
        world
    }

    /// A file or folder of the machine.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The tool of those who release.
    pub fn tool(&self, line: &str) -> String {
        let output = self.tool_run(line);
        assert_eq!(output.code, Some(0), "{line}: {}", output.stderr);
        output.stdout
    }

    /// The same, however it ends.
    pub fn tool_run(&self, line: &str) -> Run {
        let mut command = Command::new(built("nodesys-repository"));
        command.args(line.split_whitespace()).current_dir(self.dir.path());
        Run::of(command.output().unwrap())
    }

    /// The real program, with another version of the same length in its bytes.
    pub fn patched(&self, program: &str, version: &str) -> PathBuf {
        let mut bytes = std::fs::read(self.path("real").join(program)).unwrap();
        let (old, new) = (CURRENT.as_bytes(), version.as_bytes());
        assert_eq!(old.len(), new.len());
        let found: Vec<usize> = (0..bytes.len() - old.len())
            .filter(|at| bytes[*at] == old[0] && bytes[*at..].starts_with(old))
            .collect();
        for at in found {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
        let path = self.path(&format!("{program}-{version}"));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Lists a release of the real programs.
    pub fn real_release(&self, version: &str, more: &str) {
        let [nodesys, update] = PROGRAMS.map(|program| self.patched(program, version));
        self.release_of(version, &nodesys, &update, more);
    }

    /// A program that says it is this version, and else is this build's.
    pub fn stand_in(&self, program: &str, version: &str) -> PathBuf {
        let path = self.path(&format!("{program}-{version}"));
        let real = self.path("real").join(program);
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo {program} {version}; exit; }}\n\
             exec {} \"$@\"\n",
            real.display()
        );
        std::fs::write(&path, script).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Lists a release of stand-ins.
    pub fn release(&self, version: &str, more: &str) {
        let [nodesys, update] = PROGRAMS.map(|program| self.stand_in(program, version));
        self.release_of(version, &nodesys, &update, more);
    }

    /// Lists a release of these files.
    pub fn release_of(&self, version: &str, nodesys: &Path, update: &Path, more: &str) {
        self.tool(&format!(
            "release add updates --version {version} --platform {PLATFORM} \
             --program nodesys={} --program nodesys-update={} --key keys/targets {more}",
            nodesys.display(),
            update.display()
        ));
    }

    /// Publishes what is listed.
    pub fn publish(&self) {
        self.tool("publish updates --snapshot-key keys/online --timestamp-key keys/online");
    }

    /// The program that is in place.
    pub fn command(&self, line: &str) -> Command {
        self.command_of(&self.path("home"), line)
    }

    /// The program that is in place, of whose home this is.
    pub fn command_of(&self, home: &Path, line: &str) -> Command {
        let mut command = Command::new(self.path("bin/nodesys"));
        command
            .env_clear()
            .env("NODESYS_HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .args(line.split_whitespace())
            .args(["-o", "json"])
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, line: &str) -> Run {
        Run::of(self.command(line).output().unwrap())
    }

    /// Ends it at a moment, as kill -9 would.
    pub fn run_until(&self, moment: &str, line: &str) -> Run {
        Run::of(self.command(line).env("NODESYS_FAILPOINT", moment).output().unwrap())
    }

    /// What a program in place says it is.
    pub fn installed(&self, program: &str) -> String {
        let output =
            Command::new(self.path("bin").join(program)).arg("--version").output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        said.trim().strip_prefix(program).unwrap().trim().to_owned()
    }

    /// Both programs are of this version.
    #[track_caller]
    pub fn is_at(&self, version: &str) {
        for program in PROGRAMS {
            assert_eq!(self.installed(program), version, "{program}");
        }
    }

    /// What lies in the programs' folder.
    pub fn programs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("bin")).unwrap().flatten();
        let mut names: Vec<String> =
            entries.map(|it| it.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A file of JSON.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

/// The command line of the first update.
pub const FIRST: &str = "update --repository updates --root root.json";
