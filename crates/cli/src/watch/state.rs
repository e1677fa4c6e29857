//! The watch's state on disk: posts that hold, events that were reported, messages that wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_chain::urgent::LastFee;
use nodesys_core::B256;
use nodesys_core::bundle::ProjectInfo;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::node::file::replace;
use crate::setup::Setup;

const FORMAT: &str = "nodesys-watch-1";

/// Messages kept for targets that do not take them; the oldest go first.
const MOST_UNSENT: usize = 1_000;

/// Things told that are remembered; each commit has a few, and old commits come no more.
const MOST_TOLD: usize = 5_000;

/// A message that a target has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingMessage {
    /// The `webhook-id`: the same however often it is sent.
    pub(crate) id: String,
    /// Which target.
    pub(crate) url: String,
    /// The JSON body.
    pub(crate) body: String,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// Seconds since 1970 before which it is not tried again.
    pub(crate) not_before: u64,
}

/// The state of a watch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchState {
    format: String,
    project: Option<ProjectInfo>,
    /// Commits that hold.
    pub(crate) settled: BTreeSet<B256>,
    /// Events that were reported, by key, with a number that rises: the oldest are forgotten first.
    told: BTreeMap<String, u64>,
    /// The last day of which a sign of life was given.
    pub(crate) alive_day: Option<u32>,
    /// Checks that failed when they were last told of.
    pub(crate) failing: BTreeSet<String>,
    /// Messages to be sent.
    pub(crate) unsent: VecDeque<PendingMessage>,
    /// The fee of the guardian's last transaction.
    pub(crate) last_fee: LastFee,
}

impl WatchState {
    /// Whether this is new; from now on it is not.
    pub(crate) fn tell_once(&mut self, key: String) -> bool {
        let next = self.told.values().max().map_or(0, |last| last + 1);
        if self.told.contains_key(&key) {
            return false;
        }
        self.told.insert(key, next);
        if self.told.len() > MOST_TOLD {
            let oldest = self.told.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
            oldest.map(|key| self.told.remove(&key));
        }
        true
    }

    /// May be told again.
    pub(crate) fn forget(&mut self, key: &str) {
        self.told.remove(key);
    }

    /// Whether this was told.
    pub(crate) fn has_told(&self, key: &str) -> bool {
        self.told.contains_key(key)
    }

    pub(crate) fn queue(&mut self, message: PendingMessage) {
        if !self.unsent.contains(&message) {
            self.unsent.push_back(message);
        }
        while self.unsent.len() > MOST_UNSENT {
            self.unsent.pop_front();
        }
    }
}

/// The state's file.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    project: ProjectInfo,
}

impl StateFile {
    pub(crate) fn open(
        setup: &Setup,
        path: Option<&Path>,
        project: &ProjectInfo,
    ) -> anyhow::Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => {
                let home = setup.home()?;
                std::fs::create_dir_all(home)
                    .with_context(|| format!("the home folder {}", home.display()))?;
                home.join(format!("watch-{}.json", project.name))
            }
        };
        Ok(Self { path, project: project.clone() })
    }

    /// The state, or a new one. A file of another project is refused: its facts are not ours.
    pub(crate) fn read(&self) -> anyhow::Result<WatchState> {
        let shown = self.path.display();
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (format, project) = (FORMAT.to_owned(), Some(self.project.clone()));
                return Ok(WatchState { format, project, ..WatchState::default() });
            }
            Err(error) => {
                let problem = format!("the watch's state {shown} cannot be read: {error}");
                return Err(Exit::Usage.because(problem));
            }
        };
        let state: WatchState = serde_json::from_slice(&text).map_err(|error| {
            Exit::Usage.because(format!(
                "{shown} is not a watch's state: {error}; move it away to start afresh: every post is \
                 then audited and reported again"
            ))
        })?;
        if state.format != FORMAT || state.project.as_ref() != Some(&self.project) {
            return Err(Exit::Usage.because(format!(
                "{shown} is of another project, chain or format: give another --state"
            )));
        }
        Ok(state)
    }

    pub(crate) fn write(&self, state: &WatchState) -> anyhow::Result<()> {
        let text = serde_json::to_vec(state).context("the state does not serialise")?;
        if std::fs::read(&self.path).is_ok_and(|before| before == text) {
            return Ok(());
        }
        replace(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again_and_the_oldest_is_forgotten() {
        let mut state = WatchState::default();
        assert!(state.tell_once("a".into()));
        assert!(!state.tell_once("a".into()));
        for i in 0..MOST_TOLD {
            assert!(state.tell_once(format!("x{i}")));
        }
        assert!(state.tell_once("a".into()), "the oldest is forgotten");
        let message = |i: usize| PendingMessage {
            id: i.to_string(),
            url: String::new(),
            body: String::new(),
            tries: 0,
            not_before: 0,
        };
        for i in 0..MOST_UNSENT + 5 {
            state.queue(message(i));
        }
        assert_eq!((state.unsent.len(), state.unsent[0].id.as_str()), (MOST_UNSENT, "5"));
    }
}
