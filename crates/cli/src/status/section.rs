//! One part of the status: read, with what is not well about it; failed; or not configured.

use std::fmt;

use serde::Serialize;

/// A section.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Section<T> {
    /// It was read.
    Read {
        /// Problems; empty when all is well.
        problems: Vec<String>,
        /// The data.
        #[serde(flatten)]
        data: T,
    },
    /// It could not be read.
    Failed {
        /// Why not.
        error: String,
    },
    /// Nobody asked for it.
    NotConfigured {
        /// The setting that it needs.
        missing: String,
    },
}

impl<T> Section<T> {
    pub(crate) fn not_configured(missing: &str) -> Self {
        Self::NotConfigured { missing: missing.to_owned() }
    }

    /// From a reading that may fail: the data, and what is not well about it.
    pub(crate) fn from_result(read: anyhow::Result<(T, Vec<String>)>) -> Self {
        match read {
            Ok((data, problems)) => Self::Read { problems, data },
            Err(error) => Self::Failed { error: format!("{error:#}") },
        }
    }

    /// Nothing is known to be wrong.
    pub(crate) fn is_well(&self) -> bool {
        match self {
            Self::Read { problems, .. } => problems.is_empty(),
            Self::Failed { .. } => false,
            Self::NotConfigured { .. } => true,
        }
    }
}

pub(crate) fn show_section<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    section: &Section<T>,
) -> fmt::Result {
    let word = match section {
        Section::Read { problems, .. } if problems.is_empty() => "well",
        Section::Read { .. } => "NOT WELL",
        Section::Failed { .. } => "CANNOT BE READ",
        Section::NotConfigured { .. } => "not configured",
    };
    writeln!(f, "{name}: {word}")?;
    match section {
        Section::Read { problems, data } => {
            for line in data.to_string().lines() {
                writeln!(f, "  {line}")?;
            }
            for problem in problems {
                writeln!(f, "  ! {problem}")?;
            }
        }
        Section::Failed { error } => writeln!(f, "  ! {error}")?,
        Section::NotConfigured { missing } => writeln!(f, "  {missing}")?,
    }
    writeln!(f)
}
