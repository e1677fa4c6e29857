//! Our programs as they are run, and what they said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The project's folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A program of this build: beside this one, which is one folder deeper.
pub fn built(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let path = this.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is missing: cargo build --workspace --bins", path.display());
    path
}

/// Runs to success, or says why there is no test.
pub fn must(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output();
    let Output { status, stdout, .. } = output.unwrap_or_else(|error| panic!("not run: {error}"));
    assert!(status.success(), "not run: {command:?} ended with {status}");
    String::from_utf8(stdout).unwrap()
}

/// What a run said.
pub struct Run {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Its data.
    pub stdout: String,
    /// Its words.
    pub stderr: String,
}

impl Run {
    /// Of a program that has ended.
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The data, once the run is found to have ended so. Secrets of tests hold the word SECRET.
    #[track_caller]
    pub fn expect(&self, code: i32) -> String {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "{stdout}\n{stderr}");
        assert!(!stdout.contains("SECRET") && !stderr.contains("SECRET"), "{stdout}\n{stderr}");
        stdout.clone()
    }

    /// The same where the data is JSON; null where there is none.
    #[track_caller]
    pub fn json(&self, code: i32) -> Value {
        serde_json::from_str(&self.expect(code)).unwrap_or(Value::Null)
    }

    /// It ended so, and said this.
    #[track_caller]
    pub fn fails(&self, code: i32, part: &str) {
        self.expect(code);
        let said = format!("{}\n{}", self.stdout, self.stderr);
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }

    /// It was ended by a signal, as a failpoint does.
    #[track_caller]
    pub fn was_killed(&self) {
        assert_eq!(self.code, None, "{}\n{}", self.stdout, self.stderr);
    }
}
