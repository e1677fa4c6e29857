//! Evidence: a batch's signed heartbeats as one compact blob, enough to check every signature.
//!
//! postcard (its wire format is specified and stable) of [`Entry`] in batch order: the column
//! `heartbeat_batch.body`. A challenge is stored as the minute it was made for, since the backend
//! can make it again. Of a node without a right to any license only its index and the heartbeat's hash are
//! kept: who was heard is rebuilt from them, and a stranger cannot make us store more.

use nodesys_core::B256;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::{Heartbeat, LeaseStatus, Signed};
use nodesys_core::time::Minute;
use serde::{Deserialize, Serialize};

/// One heartbeat.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// `node.idx`.
    pub(crate) node: u32,
    seq: u64,
    /// Minutes since 1970 that the challenge was made for.
    challenge_minute: u64,
    lines: Vec<EntryLine>,
    /// The node's signature, of 65 bytes; or 32 bytes, the heartbeat's hash, and the fields above but `node`
    /// are empty.
    proof: Vec<u8>,
}

/// One lease line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EntryLine {
    license: LicenseRef,
    fence: u64,
    status: u8,
    release: u64,
}

/// The license by its index, or by its hash where the node does not hold it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum LicenseRef {
    Index(u32),
    Hash([u8; 32]),
}

impl Entry {
    /// `held` says for each line which license the node holds by it.
    pub(crate) fn new(
        node: u32,
        signed: &Signed<Heartbeat>,
        challenge: Minute,
        held: impl Iterator<Item = Option<LicenseIndex>>,
    ) -> Self {
        let heartbeat = &signed.message;
        let line = |(status, held): (&LeaseStatus, Option<LicenseIndex>)| EntryLine {
            license: match held {
                Some(index) => LicenseRef::Index(index.0),
                None => LicenseRef::Hash(status.license.0),
            },
            fence: status.fence.get(),
            status: status.status as u8,
            release: status.release,
        };
        Self {
            node,
            seq: heartbeat.seq.get(),
            challenge_minute: challenge.0,
            lines: heartbeat.leases.iter().zip(held).map(line).collect(),
            proof: signed.signature.as_bytes().to_vec(),
        }
    }

    /// Only that a node was heard.
    pub(crate) fn heard(node: u32, hash: B256) -> Self {
        Self { node, seq: 0, challenge_minute: 0, lines: Vec::new(), proof: hash.to_vec() }
    }

    /// Lines of held licenses: index, status, release.
    pub(crate) fn held(&self) -> impl Iterator<Item = (u32, u8, u64)> {
        self.lines.iter().filter_map(|line| match line.license {
            LicenseRef::Index(index) => Some((index, line.status, line.release)),
            LicenseRef::Hash(_) => None,
        })
    }
}

/// The blob of a batch.
pub(crate) fn encode(entries: &[Entry]) -> Vec<u8> {
    postcard::to_stdvec(entries).expect("plain data always serialises into a Vec")
}

/// A batch's entries.
pub(super) fn decode(body: &[u8]) -> anyhow::Result<Vec<Entry>> {
    Ok(postcard::from_bytes(body)?)
}
