//! Sealing a batch: its lines sorted into bitmaps, its receipts made and signed once.

use nodesys_core::api::{LineResult, Receipt};
use nodesys_core::merkle::MerkleTree;
use nodesys_core::message::{Accepted, Message, ReceiptBatch, Signed, Status};
use nodesys_core::time::{Minute, Timestamp};
use roaring::RoaringBitmap;

use crate::db::batch::NewBatch;
use crate::db::lease_mark::Mark;
use crate::live::fold::{Added, HeldLine};
use crate::live::pending::Pending;
use crate::state::App;

/// A batch with its receipts made, not yet stored.
pub(super) struct Sealed {
    minute: Minute,
    batch: Signed<ReceiptBatch>,
    pub(super) receipts: Vec<Receipt>,
    licenses: RoaringBitmap,
    carried: RoaringBitmap,
    unfit: RoaringBitmap,
    nodes: Vec<u32>,
    lines: Vec<HeldLine>,
    /// Number of the newest end of a lease known when the lines were judged.
    lease_seq: i64,
    /// The newest change of a lease known then.
    known: Mark,
}

impl Sealed {
    /// Makes the receipts of a judged batch.
    pub(super) fn new(
        app: &App,
        minute: Minute,
        batch: &[Pending],
        (lease_seq, known): (i64, Mark),
        now: Timestamp,
    ) -> Self {
        let mut licenses = RoaringBitmap::new();
        let (mut carried, mut unfit) = (RoaringBitmap::new(), RoaringBitmap::new());
        let mut lines = Vec::new();
        for pending in batch {
            for (line, status) in pending.lines.iter().zip(&pending.signed.message.leases) {
                let Some(license) = line.held else { continue };
                let set = match line.result {
                    LineResult::Credited => &mut licenses,
                    _ if fit(status.status) => &mut carried,
                    _ => &mut unfit,
                };
                set.insert(license.0);
                let (status, release) = (status.status, status.release);
                lines.push(HeldLine { license: license.0, status, release });
            }
        }
        carried -= &licenses;
        unfit -= &licenses;
        unfit -= &carried;

        let accepted: Vec<Accepted> = batch.iter().map(|p| accepted(app, p, now)).collect();
        let tree = MerkleTree::from_leaf_hashes(accepted.iter().map(Message::struct_hash));
        let message = ReceiptBatch { minute, server_time_millis: now.millis(), root: tree.root() };
        let batch_signed = Signed::new(message, &app.domain, &app.receipt_key);
        let receipts = accepted
            .into_iter()
            .zip(batch)
            .enumerate()
            .map(|(i, (accepted, pending))| Receipt {
                batch: batch_signed.clone(),
                accepted,
                path: tree.path(i).expect("there is a leaf for each heartbeat"),
                results: pending.lines.iter().map(|line| line.result).collect(),
            })
            .collect();
        let nodes = batch.iter().map(|pending| pending.node_idx).collect();
        let batch = batch_signed;
        Self { minute, batch, receipts, licenses, carried, unfit, nodes, lines, lease_seq, known }
    }

    /// Its form in the database.
    pub(super) fn row<'a>(&'a self, writer: i32, wseq: i64, body: &'a [u8]) -> NewBatch<'a> {
        NewBatch {
            writer,
            wseq,
            minute: self.minute,
            heartbeats: self.receipts.len(),
            licenses: &self.licenses,
            carried: &self.carried,
            unfit: &self.unfit,
            body,
            receipt: &self.batch,
            lease_seq: self.lease_seq,
            known: self.known,
        }
    }

    /// Its contribution to the fold.
    pub(super) fn added(&self) -> Added<'_> {
        Added {
            day: self.minute.day(),
            minute_of_day: self.minute.of_day(),
            licenses: &self.licenses,
            carried: &self.carried,
            unfit: &self.unfit,
            nodes: &self.nodes,
            server_time: Timestamp::from_millis(self.batch.message.server_time_millis),
            lines: &self.lines,
        }
    }
}

fn accepted(app: &App, pending: &Pending, now: Timestamp) -> Accepted {
    let heartbeat = &pending.signed.message;
    let credited = pending
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.result == LineResult::Credited)
        .fold(0u64, |bits, (i, _)| bits | 1 << i);
    Accepted {
        node_key: heartbeat.node_key,
        seq: heartbeat.seq,
        heartbeat_hash: heartbeat.struct_hash(),
        credited,
        next_challenge: app.live.challenges.of(heartbeat.node_key, now.minute()),
    }
}

/// Whether a status renews the lease while another node stands by for it.
const fn fit(status: Status) -> bool {
    !matches!(status, Status::Degraded | Status::Down)
}
