//! With one RPC, a page is vouched for by a later reading that gives the same: an answer that a lagging or
//! pruned node left empty must not move a cursor for good. What a first reading shows is applied at once; only
//! the cursor waits. It is kept in memory: a replica that starts anew reads the pages again.

use std::collections::{BTreeMap, VecDeque};

use nodesys_chain::ownership::DELEGATE_REGISTRY;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256, keccak256};

use super::read::Reading;
use super::turn::Turn;
use crate::db::mirror_source::{Kind, SourceRow};

/// What each contract said in a page; one that said nothing is not there.
pub(super) type Digests = BTreeMap<Address, B256>;

/// A page that was read once.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) turn: Turn,
    last: B256,
    digests: Digests,
    at: Timestamp,
}

/// Pages that wait for their second reading, oldest first, and how far each source was read.
#[derive(Debug, Default)]
pub(super) struct Vouching {
    seen: VecDeque<Seen>,
    places: BTreeMap<(Kind, Address), (u64, B256)>,
}

impl Vouching {
    /// The sources with the places up to which they were read.
    pub(super) fn as_read(&self, sources: &[SourceRow]) -> Vec<SourceRow> {
        let read = |source: &SourceRow| {
            let place = self.places.get(&source.key()).copied();
            SourceRow { cursor: source.cursor.max(place), ..source.clone() }
        };
        sources.iter().map(read).collect()
    }

    /// The oldest page, once its second reading is due.
    pub(super) fn due(&self, now: Timestamp, after_secs: u64) -> Option<&Seen> {
        self.seen.front().filter(|seen| now.millis_since(seen.at) >= after_secs * 1000)
    }

    /// Whether the second reading of the oldest page gives the same of this source.
    pub(super) fn same(&self, source: &SourceRow, last: (u64, B256), digests: &Digests) -> bool {
        self.seen.front().is_some_and(|seen| {
            (seen.turn.to, seen.last) == last
                && seen.digests.get(&source.address) == digests.get(&source.address)
        })
    }

    /// The oldest page was read again.
    pub(super) fn done(&mut self) {
        self.seen.pop_front();
    }

    /// A page was read for the first time.
    pub(super) fn saw(&mut self, turn: Turn, last: B256, digests: Digests, at: Timestamp) {
        for source in &turn.sources {
            self.places.insert(source.key(), (turn.to, last));
        }
        self.seen.push_back(Seen { turn, last, digests, at });
    }

    /// Forgets what was read of a source: it is read again from its cursor on.
    pub(super) fn begin_anew(&mut self, source: &SourceRow) {
        self.places.remove(&source.key());
        for seen in &mut self.seen {
            seen.turn.sources.retain(|other| other.key() != source.key());
        }
        self.seen.retain(|seen| !seen.turn.sources.is_empty());
    }
}

/// What each contract of a page said.
pub(super) fn digests(turn: &Turn, reading: &Reading) -> Digests {
    let mut bytes: BTreeMap<Address, Vec<u8>> = BTreeMap::new();
    for log in &reading.logs {
        let of = bytes.entry(log.address()).or_default();
        for number in [log.block_number, log.log_index] {
            of.extend(number.unwrap_or_default().to_be_bytes());
        }
        of.extend(log.topics().iter().flat_map(|topic| topic.0));
        of.extend(keccak256(&log.data().data));
    }
    if turn.sources.iter().any(|source| source.kind == Kind::Delegates) {
        for delegated in &reading.delegated {
            let of = bytes.entry(DELEGATE_REGISTRY).or_default();
            of.extend([delegated.to.0, delegated.collection.0].concat());
        }
    }
    bytes.into_iter().map(|(address, bytes)| (address, keccak256(bytes))).collect()
}
