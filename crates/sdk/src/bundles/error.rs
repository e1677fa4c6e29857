//! Why bundles cannot be read or written, and what is wrong with the places that were passed over.

use std::path::PathBuf;
use std::{fmt, io};

use nodesys_core::time::UtcDay;
use serde::Serialize;

use crate::client;

/// Why a place was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has no such file.
    Missing,
    /// It did not answer, or answered with an error.
    Unavailable,
    /// It gave bytes that nobody committed to.
    Altered,
}

/// A place that was passed over for a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// The folder or server.
    pub place: String,
    /// The day.
    pub day: UtcDay,
    /// The file.
    pub file: String,
    /// Why.
    pub reason: Reason,
    /// In words.
    pub problem: String,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} at {}: {}", self.file, self.day, self.place, self.problem)
    }
}

/// One line for each place and problem, however many files it concerns.
#[must_use]
pub fn passed_over_lines(passed_over: &[PassedOver]) -> Vec<String> {
    let same = |a: &PassedOver, b: &PassedOver| a.place == b.place && a.problem == b.problem;
    let mut groups: Vec<(&PassedOver, usize)> = Vec::new();
    for one in passed_over {
        match groups.iter_mut().find(|(first, _)| same(first, one)) {
            Some((_, more)) => *more += 1,
            None => groups.push((one, 0)),
        }
    }
    let line = |(one, more): (&PassedOver, usize)| match more {
        0 => one.to_string(),
        1 => {
            format!("{} of {} and 1 more file at {}: {}", one.file, one.day, one.place, one.problem)
        }
        _ => format!(
            "{} of {} and {more} more files at {}: {}",
            one.file, one.day, one.place, one.problem
        ),
    };
    groups.into_iter().map(line).collect()
}

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The server.
    #[error(transparent)]
    Server(#[from] client::Error),
    /// No place has the file, or the bytes of it that were committed.
    #[error(
        "{place} has no {file} of {day}{}; try again later, or another place that has the project's bundles",
        in_words(.passed_over)
    )]
    Missing {
        /// The folders or servers.
        place: String,
        /// The file.
        file: String,
        /// The day.
        day: UtcDay,
        /// What each of them gave instead.
        passed_over: Vec<PassedOver>,
    },
    /// A file that does not hold together.
    #[error("the bundle of {day} in {place}: {problem}")]
    Bad {
        /// The folder or server.
        place: String,
        /// The day.
        day: UtcDay,
        /// What is wrong.
        problem: String,
    },
}

/// What places gave instead, where there is more to say than that they have nothing.
fn in_words(passed_over: &[PassedOver]) -> String {
    let told: Vec<String> = passed_over
        .iter()
        .filter(|one| one.reason != Reason::Missing)
        .map(|one| format!("{}: {}", one.place, one.problem))
        .collect();
    if told.is_empty() { String::new() } else { format!(" ({})", told.join("; ")) }
}
