//! The progress of a long command: a line for each step, on standard error.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output::say;

/// The steps of one command.
pub(crate) struct Progress {
    /// The line of the step that runs, where there is a terminal to move it on.
    line: Option<ProgressBar>,
    all: MultiProgress,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let all = MultiProgress::new();
        let line = std::io::stderr().is_terminal().then(|| {
            let line = all.add(ProgressBar::new_spinner());
            line.set_style(ProgressStyle::default_spinner().tick_chars("-\\|/ "));
            line.enable_steady_tick(Duration::from_millis(120));
            line
        });
        Self { line, all }
    }

    /// Says what is being done, or waited for, now.
    pub(crate) fn doing(&self, what: impl Into<String>) {
        if let Some(line) = &self.line {
            line.set_message(what.into());
        }
    }

    /// A bar for something of a known size, where there is a terminal.
    pub(crate) fn bar(&self, size: u64, what: &str) -> ProgressBar {
        let Some(line) = &self.line else { return ProgressBar::hidden() };
        line.set_message("");
        let bar = self.all.add(ProgressBar::new(size));
        let style = "  {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.to_owned());
        bar
    }

    /// A step is done, and how it ended.
    pub(crate) fn done(&self, what: &str, how: impl std::fmt::Display) {
        let words = format!("  ok    {what}: {how}");
        match &self.line {
            Some(line) => line.println(words),
            None => say(words),
        }
    }

    /// Something to know that stops nothing.
    pub(crate) fn warn(&self, words: impl std::fmt::Display) {
        let words = format!("  note  {words}");
        match &self.line {
            Some(line) => line.println(words),
            None => say(words),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}
