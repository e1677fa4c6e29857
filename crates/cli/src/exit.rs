//! How a command ends: the exit codes, and which error means which.
//!
//! Commands fail with `anyhow` errors. [`Exit::of`] finds the typed error in one and gives its
//! code, so that a script can tell "nobody answers" from "it does not hold".

use std::fmt;
use std::process::ExitCode;

use nodesys_chain::ChainError;
use nodesys_chain::wallet_signature::WalletSignatureError;
use nodesys_sdk::audit::AuditError;
use nodesys_sdk::bundles::{Reason, StoreError};
use nodesys_sdk::client;
use nodesys_sdk::day::DayError;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failure = 1,
    /// A flag, a setting or an answer is missing or cannot be used.
    Usage = 2,
    /// No such thing, or it does not run.
    NotFound = 3,
    /// The node has no authorisation that holds: pair it.
    AuthorizationNeeded = 4,
    /// Something that runs is not well.
    Unhealthy = 5,
    /// Another node or license stands in the way.
    LeaseConflict = 6,
    /// The chain, a backend or a folder of files cannot be read.
    Network = 7,
    /// The audit found a difference.
    AuditDifference = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error of the command line itself, with its code.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
struct CommandError {
    exit: Exit,
    words: String,
}

impl Exit {
    /// An error that ends with this code.
    pub fn because(self, words: impl fmt::Display) -> anyhow::Error {
        CommandError { exit: self, words: words.to_string() }.into()
    }

    /// The code of an error: that of the first typed error in its chain.
    pub fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(of_cause).unwrap_or(Self::Failure)
    }
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(stop) = cause.downcast_ref::<CommandError>() {
        return Some(stop.exit);
    }
    if let Some(error) = cause.downcast_ref::<ChainError>() {
        return Some(of_chain(error));
    }
    if let Some(error) = cause.downcast_ref::<client::Error>() {
        return Some(of_client(error));
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return Some(of_store(error));
    }
    if let Some(error) = cause.downcast_ref::<DayError>() {
        return Some(of_day(error));
    }
    if let Some(error) = cause.downcast_ref::<AuditError>() {
        return Some(match error {
            AuditError::Chain(error) => of_chain(error),
            AuditError::Incomplete { .. } => Exit::Network,
            AuditError::Project(error) => of_day(error),
            AuditError::NothingPosted { .. } => Exit::NotFound,
        });
    }
    match cause.downcast_ref::<WalletSignatureError>()? {
        WalletSignatureError::Chain(error) => Some(of_chain(error)),
        WalletSignatureError::Signature(_) | WalletSignatureError::NotDeployed(_) => {
            Some(Exit::Failure)
        }
    }
}

fn of_chain(error: &ChainError) -> Exit {
    match error {
        ChainError::Unreachable { .. }
        | ChainError::Rpc { .. }
        | ChainError::Differ { .. }
        | ChainError::Behind { .. }
        | ChainError::NotMined { .. }
        | ChainError::StillWaits { .. }
        | ChainError::OthersWait { .. } => Exit::Network,
        ChainError::WrongChain { .. } | ChainError::SameRpc { .. } => Exit::Usage,
        ChainError::NoCode { .. } => Exit::NotFound,
        ChainError::Reverted { .. }
        | ChainError::NotEnough { .. }
        | ChainError::Record { .. }
        | ChainError::NoSigner(_)
        | ChainError::OutOfRange { .. } => Exit::Failure,
    }
}

fn of_client(error: &client::Error) -> Exit {
    let problem = match error {
        client::Error::Transport { .. } | client::Error::BadAnswer { .. } => return Exit::Network,
        client::Error::BadUrl { .. } => return Exit::Usage,
        client::Error::Setup(_) => return Exit::Failure,
        client::Error::Problem(problem) => problem,
    };
    match (problem.code.as_str(), problem.status) {
        (
            "unknown_node" | "authorization_expired" | "authorization_revoked" | "not_entitled",
            _,
        ) => Exit::AuthorizationNeeded,
        ("workload_taken", _) => Exit::LeaseConflict,
        (_, 404) => Exit::NotFound,
        (_, 502..=504) => Exit::Network,
        _ => Exit::Failure,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Server(error) => of_client(error),
        // Bytes that somebody else may have; where no place knows of the file, it is not there.
        StoreError::Missing { passed_over, .. }
            if passed_over.iter().any(|one| one.reason != Reason::Missing) =>
        {
            Exit::Network
        }
        StoreError::Missing { .. } => Exit::NotFound,
        StoreError::Io { .. } => Exit::Network,
        StoreError::Bad { .. } => Exit::Failure,
    }
}

fn of_day(error: &DayError) -> Exit {
    match error {
        DayError::Chain(error) => of_chain(error),
        DayError::Backend(error) => of_client(error),
        DayError::Store(error) => of_store(error),
        DayError::UnknownProject { .. } => Exit::NotFound,
        _ => Exit::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use nodesys_core::api::Problem;

    fn problem(code: &str, status: u16) -> anyhow::Error {
        let (kind, title, detail) = (String::new(), String::new(), String::new());
        let problem = Problem { kind, title, status, detail, code: code.into(), difference: None };
        client::Error::Problem(Box::new(problem)).into()
    }

    fn unreachable() -> ChainError {
        let rpc = "http://127.0.0.1:1".parse().unwrap();
        ChainError::Unreachable { what: "x".into(), rpc, problem: "y".into() }
    }

    #[test]
    fn the_typed_error_decides_whatever_is_said_around_it() {
        let wrapped = Err::<(), _>(unreachable()).context("reading the license").unwrap_err();
        assert_eq!(Exit::of(&wrapped), Exit::Network);
        assert_eq!(Exit::of(&anyhow::anyhow!("x")), Exit::Failure);
        let stop = Err::<(), _>(Exit::Usage.because("x")).context("y").unwrap_err();
        assert_eq!(Exit::of(&stop), Exit::Usage);
        // Transparent errors hide the one within from the chain.
        assert_eq!(Exit::of(&AuditError::Chain(unreachable()).into()), Exit::Network);
        assert_eq!(Exit::of(&DayError::Chain(unreachable()).into()), Exit::Network);
    }

    #[test]
    fn a_backends_refusal_is_told_by_its_code() {
        for (code, status, exit) in [
            ("unknown_node", 404, Exit::AuthorizationNeeded),
            ("authorization_revoked", 403, Exit::AuthorizationNeeded),
            ("workload_taken", 409, Exit::LeaseConflict),
            ("unknown_license", 404, Exit::NotFound),
            ("chain_unavailable", 503, Exit::Network),
            ("internal", 500, Exit::Failure),
            ("bad_signature", 401, Exit::Failure),
        ] {
            assert_eq!(Exit::of(&problem(code, status)), exit, "{code}");
        }
    }
}
