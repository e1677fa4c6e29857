//! Health in: what each workload last said of itself.
//!
//! Workloads post every 5 to 10 seconds with their own token. The board keeps only the last word
//! and when it came; [`crate::plan::status`] decides what that is worth.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nodesys_core::message::Status;
use serde::Deserialize;

use crate::config::Workload;
use crate::plan::Heard;

/// The longest `detail` kept, in characters.
const MAX_DETAIL_CHARS: usize = 500;

/// The body of `POST /v1/health`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthPost {
    /// How the workload is.
    pub status: PostedStatus,
    /// For people.
    pub detail: Option<String>,
    /// Work done since the workload's start, in its own unit; a decimal string.
    pub work: Option<Work>,
}

/// What a workload may say of itself; that it is down shows by its silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostedStatus {
    /// Answering, and fit for work.
    Healthy,
    /// Not up yet.
    Starting,
    /// Up, but not fit.
    Degraded,
}

impl From<PostedStatus> for Status {
    fn from(posted: PostedStatus) -> Self {
        match posted {
            PostedStatus::Healthy => Self::Healthy,
            PostedStatus::Starting => Self::Starting,
            PostedStatus::Degraded => Self::Degraded,
        }
    }
}

/// An amount of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Work(#[serde(with = "nodesys_core::message::decimal")] pub u128);

/// A workload's last word.
#[derive(Debug, Clone)]
pub struct LastPost {
    /// When, and which status.
    pub heard: Heard,
    /// For people.
    pub detail: Option<String>,
    /// Work done.
    pub work: Option<u128>,
}

/// The last word of every workload, in the order of the configuration.
pub struct Board {
    workloads: Vec<Workload>,
    posts: Mutex<Vec<Option<LastPost>>>,
    started_millis: u64,
    grace_millis: u64,
}

impl Board {
    /// A board on which nobody has written yet.
    pub fn new(workloads: Vec<Workload>, started_millis: u64, grace_secs: u64) -> Self {
        let posts = Mutex::new(vec![None; workloads.len()]);
        Self { workloads, posts, started_millis, grace_millis: grace_secs.saturating_mul(1000) }
    }

    /// The workloads, in the order of the configuration.
    pub fn workloads(&self) -> &[Workload] {
        &self.workloads
    }

    /// Which workload a token belongs to. Every token is compared, so that the time taken says
    /// nothing.
    pub fn owner_of(&self, token: &str) -> Option<usize> {
        self.workloads.iter().enumerate().fold(None, |found, (i, workload)| {
            if workload.token.matches(token).into() { Some(i) } else { found }
        })
    }

    /// Writes down what a workload says.
    pub fn hear(&self, workload: usize, post: HealthPost, now_millis: u64) {
        let heard = Heard { at_millis: now_millis, status: post.status.into() };
        let detail = post.detail.map(|text| text.chars().take(MAX_DETAIL_CHARS).collect());
        let work = post.work.map(|Work(work)| work);
        if let Some(slot) = self.lock().get_mut(workload) {
            *slot = Some(LastPost { heard, detail, work });
        }
    }

    /// A workload's last word.
    pub fn last(&self, workload: usize) -> Option<LastPost> {
        self.lock().get(workload).cloned().flatten()
    }

    /// How a workload is now.
    pub fn status(&self, workload: usize, now_millis: u64) -> Status {
        let heard = self.lock().get(workload).and_then(|post| post.as_ref().map(|post| post.heard));
        crate::plan::status(heard, self.started_millis, self.grace_millis, now_millis)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<LastPost>>> {
        // Each change is one assignment, so a poisoned list is still whole.
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_read_strictly() {
        let read = |text: &str| serde_json::from_str::<HealthPost>(text);
        let post = read(r#"{"status":"healthy","detail":"ok","work":"12"}"#).unwrap();
        assert_eq!((post.status, post.work), (PostedStatus::Healthy, Some(Work(12))));
        assert!(read(r#"{"status":"degraded"}"#).is_ok());
        for bad in [
            r#"{"status":"down"}"#,
            r#"{"status":"healthy","work":12}"#,
            r#"{"status":"healthy","work":"-1"}"#,
            r#"{"status":"healthy","license":"0x"}"#,
            "{}",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
