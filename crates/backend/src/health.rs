//! What is wrong without this replica being unready: notes for `/readyz`, which asks nobody for them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nodesys_core::time::Timestamp;

/// Names in one note.
const NAMED: usize = 5;

/// The state of our view of the chain, as the last run of the mirror left it.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    /// Since when the mirror has failed to follow the chain, if it does.
    lost: Option<Timestamp>,
    /// Why the mirror stands still until somebody does something.
    stopped: Option<String>,
    /// Sources set aside, in words.
    set_aside: Vec<String>,
    /// Collections whose rights cannot be read, in words.
    unread: Vec<String>,
}

impl Health {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the mirror could follow the chain just now.
    pub(crate) fn followed(&self, followed: bool, now: Timestamp) {
        let mut notes = self.notes();
        notes.lost = if followed { None } else { Some(notes.lost.unwrap_or(now)) };
    }

    /// Since when the mirror has failed to follow the chain, if it does.
    pub(crate) fn lost_since(&self) -> Option<Timestamp> {
        self.notes().lost
    }

    /// Why the mirror stands still, if it does.
    pub(crate) fn stopped(&self, why: Option<String>) {
        self.notes().stopped = why;
    }

    /// The sources that the mirror does not follow for now.
    pub(crate) fn set_aside(&self, sources: Vec<String>) {
        self.notes().set_aside = sources;
    }

    /// The collections whose rights could not be read.
    pub(crate) fn unread(&self, collections: Vec<String>) {
        self.notes().unread = collections;
    }

    /// In words, worst first; `None` where all is well.
    pub(crate) fn in_words(&self) -> Option<String> {
        let notes = self.notes();
        let stopped = notes.stopped.as_ref().map(|why| format!("the mirror has stopped: {why}"));
        let lost = notes.lost.map(|since| format!("the chain has not been followed since {since}"));
        let aside =
            named("set aside, since the chain's logs of them cannot be read", &notes.set_aside);
        let unread = named("rights cannot be read", &notes.unread);
        let all: Vec<String> = [lost, stopped, aside, unread].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn named(what: &str, names: &[String]) -> Option<String> {
    let more = match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!(" and {more} more"),
        _ => String::new(),
    };
    let first = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("{what}: {first}{more}"))
}
