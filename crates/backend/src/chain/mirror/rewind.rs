//! Going back before blocks that the chain has replaced although they were final. Nothing does it by itself.

use alloy::eips::BlockNumberOrTag;
use anyhow::{Context, ensure};
use nodesys_core::bundle::Snapshot;
use nodesys_core::{Address, B256};
use serde::Deserialize;
use sqlx::PgPool;

use super::place::Place;
use crate::db;
use crate::db::lock::Lock;
use crate::db::rewind::{self, Rewound};

/// What a rewinding did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) rewound: Rewound,
    /// Commits of days whose snapshot was a block that is gone: project and commit.
    pub(crate) built_on_gone: Vec<(Address, B256)>,
}

/// Of `bundle.json`.
#[derive(Deserialize)]
struct Bundle {
    snapshot: Snapshot,
}

/// Forgets all that blocks after `to` said, so that the mirror reads them again.
pub(crate) async fn rewind(place: &Place, pool: &PgPool, to: u64) -> anyhow::Result<Outcome> {
    let block = place.chain.block(BlockNumberOrTag::Number(to)).await?;
    let block = block.with_context(|| format!("the RPC has no block {to}"))?;
    let mut tx = pool.begin().await?;
    ensure!(
        db::lock::take_in_transaction(&mut tx, Lock::Mirror).await?,
        "a replica follows the chain just now: stop all replicas, then run this again"
    );
    let mut built_on_gone = Vec::new();
    for (project, commit, bundle) in rewind::bundles(&mut tx).await? {
        let bundle: Bundle = serde_json::from_slice(&bundle)
            .with_context(|| format!("bundle.json of commit {commit} cannot be read"))?;
        if bundle.snapshot.block_number > to {
            built_on_gone.push((project, commit));
        }
    }
    let rewound = rewind::rewind(&mut tx, (to, block.hash)).await?;
    db::cursor::forget(&mut tx).await?;
    db::cursor::follow(&mut tx, place.chain_id, (to, block.hash)).await?;
    tx.commit().await?;
    Ok(Outcome { rewound, built_on_gone })
}
