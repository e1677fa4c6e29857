//! The look at the servers that a node talks to, before k3s is installed: names, answers, the clock.

use std::time::Duration;

use nodesys_clock::Clock;
use reqwest::Url;

use crate::cluster::finding::{Finding, Fix};

/// A certificate made now is not valid yet for whose clock is behind.
const SKEW_BAD_SECS: u64 = 120;

const SKEW_SECS: u64 = 20;

/// The name of the server that `k3s` itself is fetched from.
pub(crate) const DOWNLOAD: &str = "download";

const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at what lies between this machine and those it talks to.
pub(crate) async fn look(urls: &[(&'static str, Url)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut clock = None;
    for (what, url) in urls {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        if let Err(error) = tokio::net::lookup_host((host.as_str(), port)).await {
            let found = format!("the {what}'s name {host} is not found ({error})");
            let fix = "check the name, and this machine's name server (/etc/resolv.conf)";
            // A node from a bundle may be offline; what is fetched now must be found now.
            findings.push(match *what {
                DOWNLOAD => Finding::bad("DNS", found, fix),
                _ => Finding::warning("DNS", found, fix),
            });
            continue;
        }
        let Ok(client) = reqwest::Client::builder().timeout(PATIENCE).build() else { continue };
        match client.head(url.clone()).send().await {
            Ok(answer) => {
                let date = answer.headers().get(reqwest::header::DATE);
                let date = date.and_then(|it| httpdate::parse_http_date(it.to_str().ok()?).ok());
                clock = clock.or(date);
                findings.push(Finding::good("egress", format!("the {what} answers")));
            }
            Err(error) => {
                let cause = anyhow::Error::from(error.without_url());
                findings.push(Finding::warning(
                    "egress",
                    format!("the {what} does not answer ({})", cause.root_cause()),
                    "the node starts without it, and earns nothing until it is reached",
                ));
            }
        }
    }
    findings.push(skew(clock));
    findings
}

fn skew(theirs: Option<std::time::SystemTime>) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::warning("clock", "no server answered with the time", "keep NTP on");
    };
    let theirs = theirs.duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_secs());
    judge_skew(Clock::system().now().secs().abs_diff(theirs))
}

fn judge_skew(secs: u64) -> Finding {
    let (found, fix) = (format!("{secs} s off"), "timedatectl set-ntp true");
    match secs {
        0..SKEW_SECS => Finding::good("clock", "right"),
        SKEW_SECS..SKEW_BAD_SECS => Finding::warning("clock", found, fix).with(Fix::run(fix)),
        _ => Finding::bad("clock", found, fix).with(Fix::run(fix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::finding::Verdict;

    #[test]
    fn a_clock_is_judged_by_its_distance() {
        let verdicts = [600, 60, 1].map(|secs| judge_skew(secs).verdict);
        assert_eq!(verdicts, [Verdict::Bad, Verdict::Warning, Verdict::Good]);
    }
}
