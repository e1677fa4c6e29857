//! Why an audit cannot be carried out.

use nodesys_chain::ChainError;

use crate::day::DayError;

/// Why an audit could not be carried out; what it finds is no error.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The chain could not be asked, or the RPCs do not agree.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The project is not on that chain.
    #[error(transparent)]
    Project(DayError),
    /// The chain has no posted commit in the range.
    #[error("project {name} has no posted commit {range}: nothing to audit")]
    NothingPosted {
        /// The project.
        name: String,
        /// The range in words.
        range: String,
    },
    /// The RPC's logs are not complete, so which commits there are cannot be told.
    #[error(
        "cannot tell: {problem}; try again in a minute, or name another --rpc with the project's \
         whole history"
    )]
    Incomplete {
        /// What is missing.
        problem: String,
    },
}
