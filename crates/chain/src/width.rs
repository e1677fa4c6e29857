//! How much an RPC takes at a time: learned from its refusals, and remembered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Blocks asked for at first, and at most: public nodes take from a thousand to some ten thousand, one's
/// own node takes all of these.
pub(crate) const WIDEST_PAGE: u64 = 50_000;
/// Calls in one JSON-RPC batch, at most: below the limits that most public nodes set.
pub(crate) const WIDEST_BATCH: u64 = 50;

/// After how many answers a width that was refused is tried again, at first and at most: a limit mostly
/// is for good, and may have been of a few blocks with many logs.
const PATIENCE: u64 = 16;
const MOST_PATIENCE: u64 = 4096;

/// A width between one and the widest.
#[derive(Debug)]
pub(crate) struct Width {
    widest: u64,
    now: AtomicU64,
    /// Answers until twice the width is tried.
    left: AtomicU64,
    patience: AtomicU64,
    /// Whether the present width was refused before, and is tried again.
    tried_again: AtomicBool,
}

impl Width {
    pub(crate) const fn new(widest: u64) -> Self {
        let [now, left, patience] =
            [AtomicU64::new(widest), AtomicU64::new(0), AtomicU64::new(PATIENCE)];
        Self { widest, now, left, patience, tried_again: AtomicBool::new(false) }
    }

    /// What to ask for.
    pub(crate) fn get(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// It answered to the whole width.
    pub(crate) fn taken(&self) {
        if self.tried_again.swap(false, Ordering::Relaxed) {
            // The limit was of the moment.
            self.patience.store(PATIENCE, Ordering::Relaxed);
            self.left.store(PATIENCE, Ordering::Relaxed);
        }
        let (now, left) = (self.get(), self.left.load(Ordering::Relaxed));
        if left > 1 {
            self.left.store(left - 1, Ordering::Relaxed);
        } else if now < self.widest {
            self.now.store((now * 2).min(self.widest), Ordering::Relaxed);
            self.tried_again.store(true, Ordering::Relaxed);
        }
    }

    /// It refused this width: half of it is next. A width that is refused again is remembered for longer.
    pub(crate) fn refused(&self, width: u64) {
        let mut patience = self.patience.load(Ordering::Relaxed);
        if self.tried_again.swap(false, Ordering::Relaxed) {
            patience = (patience * 2).min(MOST_PATIENCE);
            self.patience.store(patience, Ordering::Relaxed);
        }
        self.now.store(width.div_ceil(2), Ordering::Relaxed);
        self.left.store(patience, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests for a range of an RPC that takes `limit` at a time.
    fn requests(width: &Width, limit: u64, mut range: u64) -> u64 {
        let mut requests = 0;
        while range > 0 {
            requests += 1;
            match width.get() {
                asked if asked > limit => width.refused(asked),
                asked => {
                    range -= asked.min(range);
                    width.taken();
                }
            }
        }
        requests
    }

    #[test]
    fn a_refused_width_is_remembered() {
        let width = Width::new(50_000);
        // 50,000 blocks are halved down to 782; a page for each, and a few refusals.
        let pages = 1_000_000_u64.div_ceil(782);
        let first = requests(&width, 1_000, 1_000_000);
        assert!(first < pages + 20, "{first} requests for {pages} pages");
        assert!(requests(&width, 1_000, 1_000_000) < pages + 4);
        // A limit that was of the moment is forgotten in time.
        requests(&width, 50_000, 50_000_000);
        assert_eq!(width.get(), 50_000);
        let one = Width::new(50);
        assert_eq!((requests(&one, 1, 1), one.get()), (7, 1));
    }
}
