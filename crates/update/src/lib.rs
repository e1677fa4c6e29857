//! TUF repositories of releases: verified for a node, and made by publishers.
//!
//! This crate alone depends on `tough` and so on aws-lc; the command line runs it as a program of
//! its own, `nodesys-update`, and passes it the time. It runs, moves and stores no listed file: it
//! reports a repository's content once signatures, versions and dates are verified, and keeps the
//! metadata seen so that nobody can present anything older.

use std::io::Write as _;

pub mod author;
pub mod keys;
mod transport;
mod trusted;
pub mod verify;

pub use transport::Place;
pub use verify::{VerifyRequest, verify};

/// The reason a repository is refused.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("{0}")]
    Unreachable(String),
    /// It fails verification.
    #[error("{0}")]
    Refused(String),
    /// The request is invalid.
    #[error("{0}")]
    Usage(String),
    /// This machine does not permit it.
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
    /// The exit code, as in `nodesys`.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Here(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 7,
        }
    }
}
