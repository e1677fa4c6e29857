//! Days that were computed: an upload's day is computed once, for the upload's answer, its commit and
//! every look at its rewards.
//!
//! The key names all that a day is computed from, so what is kept never becomes wrong; it is only
//! pushed out. Who asks for a day that is being computed waits for it.

use std::mem::size_of;
use std::sync::Arc;

use nodesys_core::B256;
use nodesys_core::bundle::DayBundle;
use nodesys_core::files::RewardRow;
use nodesys_core::ids::Amount;
use nodesys_core::tree::Leaf;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// Most bytes that are kept: a day of a million licenses. A larger one is not kept.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// Computed days by the hash of what they are computed from.
pub(crate) struct Days {
    kept: Cache<B256, Arc<DayBundle>, Bytes>,
}

impl Default for Days {
    fn default() -> Self {
        Self::with_capacity(MOST_BYTES)
    }
}

impl Days {
    /// Keeps this many bytes at most.
    pub(crate) fn with_capacity(most_bytes: u64) -> Self {
        // One shard, so that a single day may fill it.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(64)
            .weight_capacity(most_bytes)
            .build()
            .expect("items and weight are given");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { kept: Cache::with_options(options, Bytes, hasher, lifecycle) }
    }

    /// The day of a key, computed where it is not kept. An error is nobody else's.
    pub(crate) async fn get_or_compute<E>(
        &self,
        key: B256,
        compute: impl Future<Output = Result<DayBundle, E>>,
    ) -> Result<Arc<DayBundle>, E> {
        let compute = async {
            metrics::counter!("days_computed_total").increment(1);
            compute.await.map(Arc::new)
        };
        self.kept.get_or_insert_async(&key, compute).await
    }

    /// How many bytes are kept now.
    #[cfg(test)]
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.kept.weight()
    }
}

/// Weighs a day by the memory that it takes.
#[derive(Clone)]
struct Bytes;

impl Weighter<B256, Arc<DayBundle>> for Bytes {
    fn weight(&self, _key: &B256, day: &Arc<DayBundle>) -> u64 {
        let files: usize = day.files.values().map(Vec::len).sum();
        // A leaf has its place among the leaves, and two hashes of the tree.
        let account = size_of::<RewardRow>() + size_of::<Leaf>() + 2 * size_of::<B256>();
        let rows = day.rewards.len() * account + day.shares.len() * 4 * size_of::<Amount>();
        (files + rows) as u64
    }
}
