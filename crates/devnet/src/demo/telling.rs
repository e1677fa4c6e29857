//! How the story is told: words and commands before the reader's eyes, and time that passes.

use nodesys_core::time::Timestamp;
use tokio::process::Command;

use super::cast::{A1, A2, B1, B2};
use crate::net::Devnet;
use crate::programs::{Output, run, words};

/// A step, to standard error.
pub(super) fn say(what: impl std::fmt::Display) {
    eprintln!("\n== {what}");
}

/// Something that came of it.
pub(super) fn note(what: impl std::fmt::Display) {
    for line in what.to_string().lines() {
        eprintln!("   {line}");
    }
}

/// Runs to a moment, telling every four hours how many minutes are credited.
pub(super) async fn run_to(net: &Devnet, target: Timestamp) -> anyhow::Result<()> {
    const STEP_MILLIS: u64 = 4 * 3_600_000;
    loop {
        let now = net.now().await;
        if now >= target {
            return Ok(());
        }
        let next = Timestamp::from_millis((now.millis() / STEP_MILLIS + 1) * STEP_MILLIS);
        net.run_until(next.min(target)).await?;
        note(format!("{}  {}", net.now().await, credited(net).await?));
    }
}

/// Minutes credited so far today, license by license.
async fn credited(net: &Devnet) -> anyhow::Result<String> {
    let (client, deployed) = (net.client(0)?, &net.network.deployed);
    let now = net.now().await;
    // At midnight the day that has just ended is the one to tell of.
    let day = Timestamp::from_millis(now.millis().saturating_sub(1)).day();
    let mut parts = Vec::new();
    for license in [A1, B1, A2, B2] {
        let id = deployed.license(license);
        let minutes = client.license_day(id.collection, id.token_id, day).await?.minutes;
        parts.push(format!("{} {minutes}", deployed.label(license)));
    }
    Ok(format!("minutes of {day}: {}", parts.join(", ")))
}

/// Runs a command before the reader's eyes.
pub(super) async fn show(net: &Devnet, command: Command) -> anyhow::Result<Output> {
    eprintln!("   $ {}", short(net, &command));
    let output = run(command).await?;
    note(&output.stdout);
    note(&output.stderr);
    if output.code != Some(0) {
        note(format!("exit {}", output.code.unwrap_or(-1)));
    }
    Ok(output)
}

/// A command line without the devnet's long paths.
pub(super) fn short(net: &Devnet, command: &Command) -> String {
    words(command).replace(&format!("{}/", net.root.display()), "")
}
