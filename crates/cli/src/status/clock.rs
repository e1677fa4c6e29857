//! Whether this machine's clock is wrong, by the backend's time and the newest block's.
//!
//! A backend alone may be wrong itself, and a block alone may be old: where only one of them differs,
//! nobody is named.

use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::time::Timestamp;

use crate::node;
use crate::setup::Setup;

/// A difference that heartbeats do not bear.
const TOLERANCE_MILLIS: u64 = 60_000;
/// No chain that licenses live on is this long without a block.
const BLOCK_MILLIS: u64 = 10 * 60_000;

/// What is wrong with the clock, in words; `None` where nothing is, or nobody can be asked.
pub(crate) async fn problem(setup: &Setup, now: Timestamp) -> Option<String> {
    let (backend, block) = tokio::join!(backend_time(setup), block_time(setup));
    words(now, backend?, block)
}

async fn backend_time(setup: &Setup) -> Option<Timestamp> {
    let node = node::key::read(&setup.node_key_file().ok()?).ok()?.address();
    let session = setup.backend().ok()?.session(node).await.ok()?;
    Some(Timestamp::from_millis(session.server_time_millis))
}

async fn block_time(setup: &Setup) -> Option<Timestamp> {
    let provider = setup.provider().await.ok()?;
    // A development chain makes blocks when it is told to.
    let steady = provider.chain_id() != DEVELOPMENT_CHAIN_ID || setup.settings.clock.is_some();
    let block = provider.latest_block().await.ok()?;
    steady.then(|| Timestamp::from_secs(block.secs))
}

fn words(now: Timestamp, backend: Timestamp, block: Option<Timestamp>) -> Option<String> {
    let off = now.millis().abs_diff(backend.millis());
    if off <= TOLERANCE_MILLIS {
        return None;
    }
    let side = if now > backend { "ahead of" } else { "behind" };
    let (mins, secs) = (off / 60_000, off / 1_000 % 60);
    let apart = format!("{mins} min {secs} s {side}");
    // The block is of the backend's time, and not of ours.
    let vouched = block.is_some_and(|block| {
        let near = |time: Timestamp| {
            let ahead = block.millis().saturating_sub(time.millis());
            ahead <= TOLERANCE_MILLIS
                && time.millis().saturating_sub(block.millis()) <= BLOCK_MILLIS
        };
        near(backend) && !near(now)
    });
    Some(if vouched {
        format!(
            "this machine's clock is wrong: it is {apart} the backend's time and the newest block's; set it \
             (timedatectl set-ntp true)"
        )
    } else {
        format!(
            "this machine's clock is {apart} the backend's, and no block tells which of them is right; \
             compare it with another clock"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_where_backend_and_block_say_so() {
        let now = Timestamp::from_secs(1_800_000_000);
        let at = |secs: i64| Timestamp::from_secs(now.secs().checked_add_signed(secs).unwrap());
        let told = |backend: i64, block: Option<i64>| words(now, at(backend), block.map(at));
        assert_eq!(told(0, Some(0)), None);
        assert_eq!(told(-60, Some(-60)), None);
        for (backend, block, parts) in [
            (-900, Some(-905), ["is wrong", "15 min 0 s ahead of"]),
            (900, Some(890), ["is wrong", "15 min 0 s behind"]),
            // The block is of our own time: the backend may be wrong.
            (-900, Some(-5), ["no block tells", "ahead of"]),
            // So near that an old block would do for both.
            (-120, Some(-130), ["no block tells", "2 min 0 s ahead of"]),
            (-900, None, ["no block tells", "ahead of"]),
        ] {
            let words = told(backend, block).unwrap();
            assert!(parts.iter().all(|part| words.contains(part)), "{words}");
        }
    }
}
