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

use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use nodesys_core::time::Timestamp;
use sqlx::PgPool;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use answers::Answers;
use challenges::Challenges;
use days::Days;
use fold::Fold;
use leases::Leases;
use nodes::Nodes;
use pending::Pending;

/// The request path's memory.
pub(crate) struct Live {
    pub(crate) challenges: Challenges,
    pub(crate) nodes: Nodes,
    pub(crate) leases: Leases,
    pub(crate) answers: Answers,
    pub(crate) fold: Fold,
    pub(crate) days: Days,
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
            queue,
            receiver: Mutex::new(Some(receiver)),
        })
    }

    /// The queue's receiving end, for the writer; it can be taken once.
    pub(crate) fn take_receiver(&self) -> anyhow::Result<mpsc::Receiver<Pending>> {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        receiver.context("the writer was started twice")
    }
}
