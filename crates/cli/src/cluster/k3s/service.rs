//! The services of k3s: whether they run, and ending them.

use std::path::Path;

use super::places::{FIREWALL_UNIT, PROGRAM, UNIT};
use super::teardown;
use crate::cluster::finding::{Finding, Fix};
use crate::download::hash::hash_of;
use crate::download::pin::Pin;
use crate::progress::Progress;
use crate::system::{command, nft};

/// Whether the services run, and from the program that was pinned.
pub(crate) fn services(pin: &Pin) -> Vec<Finding> {
    let again = "run nodesys start";
    let mut findings = Vec::new();
    findings.push(match hash_of(Path::new(PROGRAM)) {
        Ok(hash) if hash == pin.k3s.sha256 => Finding::good("k3s", pin.version.clone()),
        Ok(hash) => Finding::bad("k3s", format!("{PROGRAM} is not the pinned one ({hash})"), again),
        Err(error) => Finding::bad("k3s", format!("{error:#}"), again),
    });
    for unit in [FIREWALL_UNIT, UNIT] {
        let active = command("systemctl", &["is-active", "--quiet", unit]).is_ok();
        findings.push(if active {
            Finding::good("service", format!("{unit} runs"))
        } else {
            let fix = format!("systemctl start {unit}");
            Finding::bad("service", format!("{unit} does not run"), fix.clone())
                .with(Fix::run(&fix))
        });
    }
    let loaded = nft().map(|nft| command(&nft, &["list", "table", "inet", "nodesys"]));
    findings.push(match loaded {
        Some(Ok(_)) => Finding::good("firewall", "its rules are loaded"),
        _ => {
            let fix = format!("systemctl restart {FIREWALL_UNIT}");
            let found = "pods may reach this machine: the rules are not loaded";
            Finding::bad("firewall", found, fix.clone()).with(Fix::run(&fix))
        }
    });
    findings
}

/// Ends the service; pods end with it by [`teardown`].
pub(crate) fn stop(progress: &Progress) -> anyhow::Result<bool> {
    let was = is_active();
    if was {
        command("systemctl", &["stop", UNIT])?;
        teardown::end_pods(progress)?;
    }
    Ok(was)
}

/// Whether the service runs.
pub(crate) fn is_active() -> bool {
    command("systemctl", &["is-active", "--quiet", UNIT]).is_ok()
}
