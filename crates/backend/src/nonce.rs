//! The nonce of a signed request: a time in milliseconds by the sender's clock, higher with each request.
//!
//! A node signs when it asks, so its nonce lies within some minutes of our time: one that was signed while a
//! clock was ahead would lock the node out until that time comes. A wallet may sign days before its message
//! is sent, so only a nonce in the future is refused.

use nodesys_core::U256;
use nodesys_core::time::{NONCE_WINDOW_MILLIS, Timestamp};

use crate::error::{ApiError, ApiResult};

/// Refuses a node's request that was not signed about now.
pub(crate) fn of_node(nonce: u64, now: Timestamp) -> ApiResult<()> {
    let off = nonce.abs_diff(now.millis());
    if off <= NONCE_WINDOW_MILLIS {
        return Ok(());
    }
    let side = if nonce > now.millis() { "ahead of" } else { "behind" };
    Err(ApiError::clock_wrong(format!(
        "the request's nonce is the sender's time in milliseconds, and {} {side} ours, {now}; at most {} \
         apart is taken. Set the machine's clock (timedatectl set-ntp true) and ask again",
        in_words(off),
        in_words(NONCE_WINDOW_MILLIS)
    )))
}

/// The latest nonce that a node's request may have.
pub(crate) const fn latest(now: Timestamp) -> u64 {
    now.millis().saturating_add(NONCE_WINDOW_MILLIS)
}

/// Refuses a wallet's message with a nonce in the future.
pub(crate) fn of_wallet(nonce: U256, now: Timestamp) -> ApiResult<()> {
    if nonce <= U256::from(latest(now)) {
        return Ok(());
    }
    let off = nonce.saturating_sub(U256::from(now.millis()));
    let off = u64::try_from(off).map_or_else(|_| "centuries".to_owned(), in_words);
    Err(ApiError::clock_wrong(format!(
        "the message's nonce is a time in milliseconds, and {off} ahead of ours, {now}: no later message \
         would be taken before then. Set the clock of the machine that asked, and sign again"
    )))
}

/// A length of time to the minute, or in seconds below two minutes.
fn in_words(millis: u64) -> String {
    let secs = millis / 1000;
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} minutes", secs / 60),
        7_200..172_800 => format!("{} hours", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_node_signs_now_and_a_wallet_at_any_time_before() {
        let at = |off: i64| NOW.millis().checked_add_signed(off).unwrap();
        let window = i64::try_from(NONCE_WINDOW_MILLIS).unwrap();
        for (off, node, wallet) in [
            (0, true, true),
            (window, true, true),
            (window + 1, false, false),
            (-window, true, true),
            (-window - 1, false, true),
            (-90 * 86_400_000, false, true),
        ] {
            assert_eq!(of_node(at(off), NOW).is_ok(), node, "{off}");
            assert_eq!(of_wallet(U256::from(at(off)), NOW).is_ok(), wallet, "{off}");
        }
        let told = of_node(at(3 * 3_600_000), NOW).unwrap_err();
        assert_eq!(told.code(), "clock_wrong");
        assert!(told.to_string().contains("3 hours ahead of ours"), "{told}");
        let told = of_node(at(-7 * 60_000), NOW).unwrap_err().to_string();
        assert!(told.contains("7 minutes behind ours"), "{told}");
        let told = of_wallet(U256::MAX, NOW).unwrap_err().to_string();
        assert!(told.contains("centuries ahead"), "{told}");
    }
}
