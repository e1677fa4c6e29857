//! Health in: each workload's last report.
//!
//! Workloads post every 5 to 10 seconds with their own token. The board keeps only the last report
//! and its time; [`crate::plan::status`] evaluates it. In a cluster the pods of each release have
//! their own token, so that during an update the posting version is known; the workload's status is
//! then that of its healthiest version.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nodesys_core::message::Status;
use serde::Deserialize;

use crate::config::{HealthToken, Workload};
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

/// The statuses a workload may post; silence means down.
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

/// A workload's last report.
#[derive(Debug, Clone)]
pub struct LastPost {
    /// Time and status.
    pub heard: Heard,
    /// For people.
    pub detail: Option<String>,
    /// Work done.
    pub work: Option<u128>,
}

/// A token that is good now, and the release whose pods have it (0 outside a cluster).
pub struct Issued {
    /// The release.
    pub release: u64,
    /// The token.
    pub token: HealthToken,
}

/// The state of one workload.
struct Slot {
    issued: Vec<Issued>,
    posts: Vec<(u64, LastPost)>,
    /// The time it should have started, and its grace period.
    since_millis: u64,
    grace_millis: u64,
    /// The release that heartbeats name.
    release: u64,
    /// Whether an update is on its way.
    updating: bool,
}

/// The last report of every workload, in the order of the configuration.
pub struct HealthBoard {
    workloads: Vec<Workload>,
    slots: Mutex<Vec<Slot>>,
}

impl HealthBoard {
    /// An empty board.
    pub fn new(mut workloads: Vec<Workload>, started_millis: u64, grace_secs: u64) -> Self {
        let slots = workloads
            .iter_mut()
            .map(|workload| Slot {
                issued: workload
                    .token
                    .take()
                    .map(|token| Issued { release: 0, token })
                    .into_iter()
                    .collect(),
                posts: Vec::new(),
                since_millis: started_millis,
                grace_millis: grace_secs.saturating_mul(1000),
                release: 0,
                updating: false,
            })
            .collect();
        Self { workloads, slots: Mutex::new(slots) }
    }

    /// The workloads, in the order of the configuration.
    pub fn workloads(&self) -> &[Workload] {
        &self.workloads
    }

    /// The workload of a token.
    pub fn owner_of(&self, token: &str) -> Option<usize> {
        self.sender_of(token).map(|(workload, _)| workload)
    }

    /// The workload and release of a token. Every token is compared, so that timing reveals
    /// nothing.
    pub fn sender_of(&self, token: &str) -> Option<(usize, u64)> {
        let slots = self.lock();
        let issued = slots
            .iter()
            .enumerate()
            .flat_map(|(i, slot)| slot.issued.iter().map(move |issued| (i, issued)));
        issued.fold(None, |found, (i, issued)| {
            if issued.token.matches(token).into() { Some((i, issued.release)) } else { found }
        })
    }

    /// Sets the releases that may post from now on; reports of others are dropped.
    pub fn issue(&self, workload: usize, issued: Vec<Issued>) {
        if let Some(slot) = self.lock().get_mut(workload) {
            slot.posts.retain(|(release, _)| issued.iter().any(|it| it.release == *release));
            slot.issued = issued;
        }
    }

    /// Sets the running release, and whether an update is in progress. A new release has a grace
    /// period.
    pub fn runs(
        &self,
        workload: usize,
        release: u64,
        updating: bool,
        grace_secs: u64,
        now_millis: u64,
    ) {
        if let Some(slot) = self.lock().get_mut(workload) {
            if slot.release != release {
                slot.since_millis = now_millis;
            }
            slot.grace_millis = grace_secs.saturating_mul(1000);
            (slot.release, slot.updating) = (release, updating);
        }
    }

    /// The release named in heartbeats, and whether an update is in progress.
    pub fn release(&self, workload: usize) -> (u64, bool) {
        self.lock().get(workload).map_or((0, false), |slot| (slot.release, slot.updating))
    }

    /// Records the report of a workload's release.
    pub fn hear(&self, workload: usize, release: u64, post: HealthPost, now_millis: u64) {
        let heard = Heard { at_millis: now_millis, status: post.status.into() };
        let detail = post.detail.map(|text| text.chars().take(MAX_DETAIL_CHARS).collect());
        let work = post.work.map(|Work(work)| work);
        if let Some(slot) = self.lock().get_mut(workload) {
            slot.posts.retain(|(of, _)| *of != release);
            slot.posts.push((release, LastPost { heard, detail, work }));
        }
    }

    /// A workload's last report, of any release.
    pub fn last(&self, workload: usize) -> Option<LastPost> {
        self.lock().get(workload).and_then(|slot| slot.posts.last().map(|(_, post)| post.clone()))
    }

    /// One release's report, if fresh.
    pub fn said(&self, workload: usize, release: u64, now_millis: u64) -> Option<Status> {
        let slots = self.lock();
        let (_, post) = slots.get(workload)?.posts.iter().find(|(of, _)| *of == release)?;
        let status = crate::plan::status(Some(post.heard), 0, 0, now_millis);
        (status != Status::Down).then_some(status)
    }

    /// A workload's current status: that of its healthiest release.
    pub fn status(&self, workload: usize, now_millis: u64) -> Status {
        let slots = self.lock();
        let Some(slot) = slots.get(workload) else { return Status::Down };
        let status =
            |heard| crate::plan::status(heard, slot.since_millis, slot.grace_millis, now_millis);
        let said = slot.posts.iter().map(|(_, post)| status(Some(post.heard)));
        said.min_by_key(|status| crate::plan::worse(*status)).unwrap_or_else(|| status(None))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        // Each change is whole before the lock is let go, so a poisoned list is usable.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn said(status: PostedStatus) -> HealthPost {
        HealthPost { status, detail: None, work: None }
    }

    #[test]
    fn each_release_speaks_for_itself_and_the_best_counts() {
        let workload = Workload {
            name: "alpha".parse().unwrap(),
            license: nodesys_core::license::LicenseId {
                chain_id: 1,
                collection: nodesys_core::Address::ZERO,
                token_id: nodesys_core::U256::ZERO,
            },
            token: None,
        };
        let board = HealthBoard::new(vec![workload], 0, 120);
        let token =
            |release: u64| HealthToken::new(&format!("token-of-release-{release}")).unwrap();
        let issued = |release| Issued { release, token: token(release) };
        assert_eq!(board.owner_of("token-of-release-2"), None);
        board.issue(0, vec![issued(2), issued(3)]);
        assert_eq!(board.sender_of("token-of-release-2"), Some((0, 2)));
        assert_eq!(board.sender_of("token-of-release-3"), Some((0, 3)));

        assert_eq!(board.status(0, 120_000), Status::Starting);
        board.hear(0, 2, said(PostedStatus::Healthy), 125_000);
        board.hear(0, 3, said(PostedStatus::Starting), 126_000);
        assert_eq!(board.status(0, 130_000), Status::Healthy);
        assert_eq!(board.said(0, 3, 130_000), Some(Status::Starting));
        board.hear(0, 3, said(PostedStatus::Degraded), 154_000);
        assert_eq!(board.status(0, 155_001), Status::Degraded, "release 2 is silent");
        assert_eq!(board.said(0, 2, 155_001), None);

        // The old release's token and words go with it; the new one may be silent for its grace.
        board.issue(0, vec![issued(3)]);
        assert_eq!(board.sender_of("token-of-release-2"), None);
        board.issue(0, vec![issued(4)]);
        board.runs(0, 4, true, 60, 200_000);
        assert_eq!(board.release(0), (4, true));
        assert_eq!(board.status(0, 260_000), Status::Starting);
        assert_eq!(board.status(0, 260_001), Status::Down);
        board.runs(0, 4, false, 60, 290_000);
        assert_eq!(board.status(0, 290_000), Status::Down, "it is not new any more");
    }
}
