//! Rate limit of each license's requests: a token bucket.

/// A license's allowance: its burst, and its refill per second.
const BURST: u32 = 600;
pub(super) const PER_SECOND: u32 = 100;

/// Cost of a request in terms of the allowance.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cost {
    /// A lease reads and writes many rows.
    Lease = 10,
    /// A result.
    Result = 1,
}

/// A token bucket.
pub(super) struct Allowance {
    left: u32,
    at_millis: u64,
}

impl Allowance {
    pub(super) const fn full(now_millis: u64) -> Self {
        Self { left: BURST, at_millis: now_millis }
    }

    /// Takes the cost of a request, if enough is left.
    pub(super) fn spend(&mut self, cost: u32, now_millis: u64) -> bool {
        let millis = now_millis.saturating_sub(self.at_millis);
        let back = (millis / 10).saturating_mul(u64::from(PER_SECOND)) / 100;
        if back > 0 {
            let back = u32::try_from(back).unwrap_or(BURST);
            self.left = self.left.saturating_add(back).min(BURST);
            self.at_millis = now_millis;
        }
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_refills_and_ends() {
        let mut allowance = Allowance::full(0);
        assert!((0..60).all(|_| allowance.spend(Cost::Lease as u32, 5)));
        assert!(!allowance.spend(1, 9));
        assert!(allowance.spend(1, 10) && !allowance.spend(1, 19));
        assert!(allowance.spend(100, 1_020) && !allowance.spend(2, 1_020));
        assert!(allowance.spend(600, u64::MAX) && !allowance.spend(1, u64::MAX));
    }
}
