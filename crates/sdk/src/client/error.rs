//! What can go wrong between a client and the backend, in words a person can act on.

use nodesys_core::api::Problem;
use reqwest::{StatusCode, Url};

/// Why a request has no usable answer.
///
/// *Those of a request*, as the methods of [`Client`](super::Client) say: [`Problem`](Self::Problem) where
/// the backend refuses, [`Transport`](Self::Transport) where nobody answers in time, and
/// [`BadAnswer`](Self::BadAnswer) where what answers is no backend, or says too much. Codes that a route
/// has for itself stand with its method.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The backend refused, and says why.
    #[error("{}: {} ({})", .0.title, .0.detail, .0.code)]
    Problem(Box<Problem>),
    /// Nobody answered, or not in time; whether the request was acted upon is not known.
    #[error(
        "the server at {base} cannot be reached: {why}; \
         check that it runs, that the URL is right and that the network carries"
    )]
    Transport {
        /// The backend's URL.
        base: String,
        /// The request's.
        url: String,
        /// What the network said.
        why: String,
    },
    /// Something answered that does not speak as the backend does.
    #[error("{url} gave an answer that is not a backend's: {problem}")]
    BadAnswer {
        /// The request's URL.
        url: String,
        /// The answer's status.
        status: u16,
        /// What is wrong with it.
        problem: String,
    },
    /// The backend's URL cannot be used.
    #[error("{url:?} is not a backend's URL: {why}; it looks like https://backend.example.org")]
    BadUrl {
        /// As it was given.
        url: String,
        /// Why not.
        why: String,
    },
    /// The client could not be made.
    #[error("the HTTP client cannot start: {0}")]
    Setup(String),
}

impl Error {
    /// The stable code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// Whether the same request may do better in a moment: the network, or a 502, 503 or 504.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Problem(problem) => matches!(problem.status, 502..=504),
            Self::BadAnswer { status, .. } => matches!(status, 502..=504),
            Self::BadUrl { .. } | Self::Setup(_) => false,
        }
    }

    pub(super) fn transport(base: &Url, url: &Url, error: &reqwest::Error) -> Self {
        let why = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            // The outermost words repeat the URL; the cause is what helps.
            std::error::Error::source(error).map_or_else(|| error.to_string(), chain)
        };
        Self::Transport { base: base.to_string(), url: url.to_string(), why }
    }

    pub(super) fn bad_answer(url: &Url, status: StatusCode, problem: String) -> Self {
        Self::BadAnswer { url: url.to_string(), status: status.as_u16(), problem }
    }
}

/// An error and all its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
