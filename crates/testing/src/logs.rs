//! What no log may tell: an RPC's secret.

/// The values of `NODESYS_LOG` by which a program is to be run: one that lets almost nothing through,
/// two that let everything through, and that of the RPC's transport alone.
pub const FILTERS: [&str; 4] = ["error", "debug", "trace", "alloy_transport_http=trace"];

/// Looks at the log of a program that ran by `filter` and has asked the RPC at `rpc` (HOST:PORT),
/// whose URL holds the word SECRET.
///
/// # Panics
///
/// When a line has the secret, or the log is not what the filter asks for.
#[track_caller]
pub fn hide_the_secret(filter: &str, log: &str, rpc: &str) {
    let shown: Vec<&str> = log.lines().filter(|line| line.contains("SECRET")).collect();
    assert!(shown.is_empty(), "NODESYS_LOG={filter}: {shown:#?}");
    let everything = filter == "trace";
    assert_eq!(log.contains(" TRACE "), everything, "NODESYS_LOG={filter} is not heard: {log}");
    assert!(!everything || log.contains(rpc), "nothing was asked of {rpc}: {log}");
}
