//! The request path's memory, which spares it the database: nodes, leases, the fold, recent
//! answers, computed days.
//!
//! Each is a cache of rows. After a miss or a mismatch the row is read before a request is refused.
//! An ended lease is removed at once by the replica that ends it, and by the others in their
//! follow-up each minute. Nothing here knows a stage.

pub(crate) mod answers;
pub(crate) mod challenges;
pub(crate) mod days;
pub(crate) mod fold;
pub(crate) mod leases;
mod lock;
pub(crate) mod nodes;
pub(crate) mod pending;
pub(crate) mod recent;
pub(crate) mod turns;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use nodesys_chain::BlockRef;
use nodesys_chain::project::DistributorState;
use nodesys_core::Address;
use nodesys_core::message::PointsUpload;
use nodesys_core::time::{Timestamp, UtcDay};
use sqlx::{PgConnection, PgPool};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use answers::Answers;
use challenges::Challenges;
use days::Days;
use fold::Fold;
use leases::Leases;
use nodes::Nodes;
use pending::Pending;
use recent::Recent;
use turns::Turns;

/// The request path's memory.
pub(crate) struct Live {
    pub(crate) challenges: Challenges,
    pub(crate) nodes: Nodes,
    pub(crate) leases: Leases,
    pub(crate) answers: Answers,
    pub(crate) fold: Fold,
    pub(crate) days: Days,
    pub(crate) chain: ChainFacts,
    pub(crate) uploads: Uploads,
    /// A project's uploads and commits, one at a time.
    pub(crate) work: Turns<Address>,
    /// Large files of a project that are read through for strangers, one at a time.
    pub(crate) reading: Turns<Address>,
    /// Heartbeats waiting for the disk.
    pub(crate) queue: mpsc::Sender<Pending>,
    receiver: Mutex<Option<mpsc::Receiver<Pending>>>,
}

impl Live {
    /// Loads leases and replays the open days' batches. `queue` heartbeats may wait for the disk.
    pub(crate) async fn start(
        pool: &PgPool,
        now: Timestamp,
        challenge_secret: Zeroizing<[u8; 32]>,
        queue: usize,
    ) -> anyhow::Result<Self> {
        let (queue, receiver) = mpsc::channel(queue);
        let mut conn = pool.acquire().await?;
        let leases = Leases::load(pool.clone(), &mut conn).await?;
        let fold = Fold::default();
        fold.follow(&mut conn, None, now).await?;
        Ok(Self {
            challenges: Challenges::new(challenge_secret),
            nodes: Nodes::new(pool.clone()),
            leases,
            answers: Answers::default(),
            fold,
            days: Days::default(),
            chain: ChainFacts::default(),
            uploads: Uploads::default(),
            work: Turns::default(),
            reading: Turns::default(),
            queue,
            receiver: Mutex::new(Some(receiver)),
        })
    }

    /// Forgets what was read of the database, and reads it anew.
    pub(crate) async fn read_anew(
        &self,
        conn: &mut PgConnection,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.nodes.forget_all();
        self.answers.forget_all();
        self.leases.reload(conn).await?;
        self.fold.forget_all();
        self.fold.follow(conn, None, now).await
    }

    /// The queue's receiving end, for the writer; it can be taken once.
    pub(crate) fn take_receiver(&self) -> anyhow::Result<mpsc::Receiver<Pending>> {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        receiver.context("the writer was started twice")
    }
}

/// What was read of the chain a moment ago, or is final.
#[derive(Default)]
pub(crate) struct ChainFacts {
    /// Time of the newest block.
    pub(crate) head_secs: Recent<(), u64>,
    pub(crate) distributors: Recent<Address, DistributorState>,
    pub(crate) signers: Recent<Address, Signer>,
    snapshots: Mutex<BTreeMap<UtcDay, BlockRef>>,
}

/// A project's reward signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    /// An account without code, whose signatures need no chain.
    Key(Address),
    /// A contract, which must be asked.
    Contract,
}

/// Days whose snapshot block is remembered.
const SNAPSHOTS: usize = 128;

impl ChainFacts {
    /// The final block that was found for a day.
    pub(crate) fn snapshot(&self, day: UtcDay) -> Option<BlockRef> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).get(&day).copied()
    }

    /// Remembers it: a final block does not change.
    pub(crate) fn found_snapshot(&self, day: UtcDay, block: BlockRef) {
        let mut known = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(day, block);
        while known.len() > SNAPSHOTS {
            known.pop_first();
        }
    }
}

/// The hashes of each project's stored upload that was read last, so that it need not be read again.
#[derive(Default)]
pub(crate) struct Uploads(Mutex<HashMap<Address, (UtcDay, Timestamp, PointsUpload)>>);

impl Uploads {
    /// What was uploaded for the day at that moment.
    pub(crate) fn get(
        &self,
        project: Address,
        day: UtcDay,
        uploaded: Timestamp,
    ) -> Option<PointsUpload> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (its_day, its_time, message) = known.get(&project)?;
        ((*its_day, *its_time) == (day, uploaded)).then(|| message.clone())
    }

    /// Remembers what was read.
    pub(crate) fn read(
        &self,
        project: Address,
        day: UtcDay,
        uploaded: Timestamp,
        message: PointsUpload,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(project, (day, uploaded, message));
    }

    /// Another upload is stored: the next request reads it.
    pub(crate) fn forget(&self, project: Address) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&project);
    }
}
