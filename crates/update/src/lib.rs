//! TUF repositories of releases: verified for a node, and made by the people who release.
//!
//! This crate alone depends on `tough` and so on aws-lc; the command line runs it as a program of
//! its own, `nodesys-update`, and passes it the time. Nothing that is listed here is run, moved or
//! kept by it: it says what a repository holds once signatures, versions and dates do, and keeps
//! what it has seen so that nobody can show it anything older.

use std::io::Write as _;

pub mod author;
pub mod keys;
mod transport;
mod trusted;
pub mod verify;

pub use transport::Place;
pub use verify::{Wanted, verify};

/// Why a repository is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("{0}")]
    Unreachable(String),
    /// It does not hold.
    #[error("{0}")]
    Refused(String),
    /// It was asked for in a way that cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// This machine does not let it be done.
    #[error("{0}")]
    Here(String),
}

/// Prints a command's answer on standard output.
pub fn tell(text: &str) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Problem::Here(format!("cannot write to standard output: {error}")))
}

impl Problem {
    /// The exit code, as `nodesys` has them.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Here(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 7,
        }
    }
}
