//! The commits that stand on chain, by its events.

use nodesys_chain::logs::Logged;
use nodesys_chain::project::DistributorEvent;
use nodesys_core::B256;
use nodesys_core::ids::Amount;
use nodesys_core::message::RewardCommit;
use nodesys_core::time::UtcDay;

/// A commit that stands on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedCommit {
    /// Its day.
    pub day: UtcDay,
    /// What was signed.
    pub commit: RewardCommit,
    /// Its struct hash.
    pub commit_hash: B256,
    /// When it becomes active, seconds since 1970.
    pub activates_at: u64,
    /// The block it was posted in.
    pub block_number: u64,
    /// The transaction that posted it.
    pub transaction: B256,
}

/// The posts of these events, in chain order, that were not revoked; so in the order of their days.
pub fn standing(events: &[Logged<DistributorEvent>]) -> Vec<PostedCommit> {
    let mut posts: Vec<PostedCommit> = Vec::new();
    for logged in events {
        match &logged.event {
            DistributorEvent::Posted(posted) => {
                // `post` takes no total that 112 bits cannot hold.
                let Some(total) = Amount::from_u256(posted.total) else { continue };
                posts.push(PostedCommit {
                    // A day beyond the calendar comes of no honest signer, and no bundle is of it.
                    day: UtcDay::from_epoch(posted.epoch).unwrap_or(UtcDay(u32::MAX)),
                    commit: RewardCommit {
                        epoch: posted.epoch,
                        revision: posted.revision,
                        previous: posted.previous,
                        root: posted.root,
                        total,
                        data_hash: posted.dataHash,
                    },
                    commit_hash: posted.commitHash,
                    activates_at: posted.activatesAt,
                    block_number: logged.block_number,
                    transaction: logged.transaction,
                });
            }
            DistributorEvent::Revoked(revoked) => {
                posts.retain(|post| post.commit_hash != revoked.commitHash);
            }
            _ => {}
        }
    }
    posts
}
