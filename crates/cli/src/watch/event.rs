//! The watch's events: pure, from a look, the steps taken, and the events of before.

use std::collections::BTreeSet;
use std::fmt;

use nodesys_core::bundle::ProjectInfo;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use nodesys_sdk::audit::Verdict;
use nodesys_sdk::guardian::Taken;
use nodesys_sdk::watch::{Look, Post};
use serde::Serialize;

use crate::watch::checks::Check;
use crate::watch::state::WatchState;

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    /// A post holds.
    #[serde(rename = "commit.holds")]
    Holds,
    /// A post cannot be told.
    #[serde(rename = "commit.doubtful")]
    Doubtful,
    /// A post is proven not to hold.
    #[serde(rename = "commit.differs")]
    Differs,
    /// The guardian took a step, or could not.
    #[serde(rename = "guardian.acted")]
    Acted,
    /// The watch sees nothing: no RPC answers.
    #[serde(rename = "watch.blind")]
    Blind,
    /// It sees again.
    #[serde(rename = "watch.sees")]
    Sees,
    /// A check fails, or does not fail any more.
    #[serde(rename = "watch.health")]
    Health,
    /// The daily sign of life.
    #[serde(rename = "watch.alive")]
    Alive,
}

impl Kind {
    /// Under which key an event of a commit is remembered.
    pub(crate) fn key(self, commit_hash: B256) -> String {
        format!("{self:?}:{commit_hash}")
    }
}

/// One event: a line on standard output, and a message to each target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) project: Address,
    pub(crate) project_name: String,
    /// Seconds since 1970, by the later of chain and clock.
    pub(crate) at_secs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) post: Option<Post>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Taken>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

impl Event {
    fn new(kind: Kind, project: &ProjectInfo, at_secs: u64) -> Self {
        Self {
            kind,
            project: project.distributor,
            project_name: project.name.to_string(),
            at_secs,
            post: None,
            steps: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Whether targets hear of it: that a post holds they hear only after it was in doubt.
    pub(crate) fn is_for_targets(&self, state: &WatchState) -> bool {
        match (self.kind, &self.post) {
            (Kind::Holds, Some(post)) => state.has_told(&Kind::Doubtful.key(post.commit_hash)),
            _ => true,
        }
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and lists always serialise")
    }

    /// The event's identity among others of its kind, for the id of its messages.
    pub(crate) fn identity(&self) -> String {
        let post = self.post.as_ref().map(|post| post.commit_hash.to_string()).unwrap_or_default();
        let steps: String = self.steps.iter().map(|step| format!("{step:?}")).collect();
        let at = if self.post.is_some() { 0 } else { self.at_secs };
        format!("{:?} {} {at} {post} {steps}", self.kind, self.project)
    }
}

/// Whether a look could not be made at all.
const fn is_blind(look: &Look) -> bool {
    look.control.is_none()
}

/// The events of a look.
pub(crate) fn events(
    project: &ProjectInfo,
    look: &Look,
    taken: &[Taken],
    state: &mut WatchState,
) -> Vec<Event> {
    let mut events = Vec::new();
    let (seen, blind) = ("watch:blind".to_owned(), is_blind(look));
    if blind && state.tell_once(seen.clone()) {
        let problems = look.problems.clone();
        events.push(Event { problems, ..Event::new(Kind::Blind, project, look.now_secs) });
    } else if !blind && !state.tell_once(seen.clone()) {
        events.push(Event::new(Kind::Sees, project, look.now_secs));
    }
    if !blind {
        state.forget(&seen);
    }
    for post in &look.posts {
        let kind = match post.verdict {
            Verdict::Holds => Kind::Holds,
            Verdict::CannotTell => Kind::Doubtful,
            Verdict::DoesNotHold => Kind::Differs,
        };
        if state.tell_once(kind.key(post.commit_hash)) {
            let post = Some(post.clone());
            events.push(Event { post, ..Event::new(kind, project, look.now_secs) });
        }
    }
    for one in taken {
        // A step that fails again for the same reason is told once.
        let key = format!("step:{:?}:{:?}", one.step, one.problem);
        let retold = one.problem.is_some() && !state.tell_once(key);
        if !retold && (one.transaction.is_some() || one.problem.is_some()) {
            let steps = vec![one.clone()];
            events.push(Event { steps, ..Event::new(Kind::Acted, project, look.now_secs) });
        }
    }
    events
}

/// The event of checks that begin or cease to fail.
pub(crate) fn health(
    project: &ProjectInfo,
    checks: &[Check],
    state: &mut WatchState,
) -> Option<Event> {
    let failing: BTreeSet<String> =
        checks.iter().filter(|check| !check.ok).map(|check| check.name.clone()).collect();
    if failing == state.failing {
        return None;
    }
    let problems = checks.iter().filter(|check| !check.ok).map(ToString::to_string).collect();
    state.failing = failing;
    let at = checks.iter().map(|check| check.at_secs).max().unwrap_or_default();
    Some(Event { problems, ..Event::new(Kind::Health, project, at) })
}

/// The sign of life of a day, with what still fails.
pub(crate) fn alive(
    project: &ProjectInfo,
    now: Timestamp,
    look: &Look,
    state: &mut WatchState,
) -> Option<Event> {
    let today = now.day().0;
    if state.alive_day == Some(today) {
        return None;
    }
    state.alive_day = Some(today);
    let problems = look.problems.iter().chain(&state.failing).cloned().collect();
    Some(Event { problems, ..Event::new(Kind::Alive, project, now.secs()) })
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Timestamp::from_secs(self.at_secs);
        match (&self.post, self.kind) {
            (Some(post), Kind::Holds) => return write!(f, "{at}  {} holds", post.day),
            (Some(post), Kind::Differs) => {
                write!(f, "{at}  {} DOES NOT HOLD: commit {}", post.day, post.commit_hash)?;
            }
            (Some(post), _) => {
                write!(f, "{at}  {} cannot be told: commit {}", post.day, post.commit_hash)?;
            }
            (None, Kind::Acted) => write!(f, "{at}  the guardian's step")?,
            (None, Kind::Blind) => write!(f, "{at}  THE WATCH SEES NOTHING")?,
            (None, Kind::Sees) => write!(f, "{at}  the watch sees again")?,
            (None, Kind::Health) if self.problems.is_empty() => {
                write!(f, "{at}  all checks are good again")?;
            }
            (None, Kind::Health) => write!(f, "{at}  checks that fail")?,
            (None, _) => write!(f, "{at}  the watch of {} is alive", self.project_name)?,
        }
        if let Some(post) = &self.post {
            write!(f, "\n  claimable   {}", Timestamp::from_secs(post.activates_at_secs))?;
            if self.kind == Kind::Doubtful {
                write!(f, "\n  brake       {}", Timestamp::from_secs(post.half_delay()))?;
            }
            for finding in &post.findings {
                write!(f, "\n  difference  {finding}")?;
            }
            for doubt in &post.doubts {
                write!(f, "\n  doubt       {doubt}")?;
            }
        }
        for step in &self.steps {
            write!(f, "\n  {step}")?;
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}
