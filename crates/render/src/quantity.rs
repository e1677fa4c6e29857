//! Amounts in Kubernetes' own spelling, so that an applied amount equals the one read back.

/// Thousandths of a CPU: `250m`, `2`.
pub(super) fn cpu(millis: u64) -> String {
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// Bytes from MiB: `512Mi`, `2Gi`.
pub(super) fn mib(mib: u64) -> String {
    let (mut amount, mut unit) = (mib, 0);
    while amount != 0 && amount.is_multiple_of(1024) && unit < 2 {
        (amount, unit) = (amount / 1024, unit + 1);
    }
    // Zero has no unit.
    if amount == 0 { "0".to_owned() } else { format!("{amount}{}", ["Mi", "Gi", "Ti"][unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_canonical_spelling() {
        for (millis, text) in [(0, "0"), (1, "1m"), (250, "250m"), (1000, "1"), (1500, "1500m")] {
            assert_eq!(cpu(millis), text);
        }
        for (amount, text) in [
            (0, "0"),
            (1, "1Mi"),
            (1024, "1Gi"),
            (1536, "1536Mi"),
            (1 << 20, "1Ti"),
            (3 << 21, "6Ti"),
        ] {
            assert_eq!(mib(amount), text);
        }
    }
}
