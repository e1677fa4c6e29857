//! What `start` and its like show while they work: one line per step, on standard error.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::say;

/// The steps of one command.
pub(super) struct Steps {
    /// The line of the step that runs, where there is a terminal to move it on.
    line: Option<ProgressBar>,
}

impl Steps {
    pub(super) fn new() -> Self {
        let line = std::io::stderr().is_terminal().then(|| {
            let line = ProgressBar::new_spinner();
            line.set_style(ProgressStyle::default_spinner().tick_chars("-\\|/ "));
            line.enable_steady_tick(Duration::from_millis(120));
            line
        });
        Self { line }
    }

    /// Says what is being done, or waited for, now.
    pub(super) fn doing(&self, what: impl Into<String>) {
        if let Some(line) = &self.line {
            line.set_message(what.into());
        }
    }

    /// A step is done, and how it ended.
    pub(super) fn done(&self, what: &str, how: impl std::fmt::Display) {
        let words = format!("  ok    {what}: {how}");
        match &self.line {
            Some(line) => line.println(words),
            None => say(words),
        }
    }

    /// Something to know that stops nothing.
    pub(super) fn warn(&self, words: impl std::fmt::Display) {
        let words = format!("  note  {words}");
        match &self.line {
            Some(line) => line.println(words),
            None => say(words),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}
