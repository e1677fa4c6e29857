//! Runs the program as a person would: its own home, nobody's environment, no terminal.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nodesys_testing::program::Run;

/// A home folder of a test's own.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs a line of words.
    pub fn run(&self, line: &str) -> Run {
        self.run_full(&[], "", line)
    }

    pub fn run_with(&self, environment: &[(&str, &str)], line: &str) -> Run {
        self.run_full(environment, "", line)
    }

    pub fn run_on(&self, stdin: &str, line: &str) -> Run {
        self.run_full(&[], stdin, line)
    }

    fn run_full(&self, environment: &[(&str, &str)], stdin: &str, line: &str) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nodesys"))
            .env_clear()
            .env("NODESYS_HOME", self.0.path())
            .current_dir(self.0.path())
            .envs(environment.iter().copied())
            .args(line.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that reads nothing may have closed its end.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        Run::of(child.wait_with_output().unwrap())
    }
}
