//! How long is waited after what failed.

/// After a failure: so long, and twice as long each time up to [`MOST_BACKOFF_SECS`].
const BACKOFF_SECS: u64 = 5;
const MOST_BACKOFF_SECS: u64 = 300;

/// The wait after so many failures in a row.
pub(super) fn backoff_secs(failures: u32) -> u64 {
    let doubled = BACKOFF_SECS.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(MOST_BACKOFF_SECS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_wait_longer() {
        let waits: Vec<u64> = (1..9).map(backoff_secs).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff_secs(u32::MAX), 300);
    }
}
