//! The releases of nodes in a cluster: announced on chain and published by the owner.

use anyhow::Context as _;
use serde_json::json;

use super::telling::{note, say, show};
use crate::net::Devnet;
use crate::people::write_secret;

/// Delay between an announcement and its effect.
pub(super) const RELEASE_DELAY_SECS: u64 = 60;

/// Announces version 1 of each workload, and lets time pass until it may run.
///
/// A pod gets the addresses of the stepped clock and the owner's master from its release's
/// arguments. So the cluster must let pods reach them; a workload of a real network has neither.
pub(super) async fn announce(net: &Devnet, image: &str) -> anyhow::Result<()> {
    say("the owner announces release 1 of each workload on chain, and publishes it");
    let clock = net.network.clock.context("the demo runs on a stepped clock")?.to_string();
    let master = net.master_url().context("the master runs")?;
    for workload in &net.network.deployed.workloads {
        let amounts =
            |cpu, memory| json!({ "cpu_millis": cpu, "memory_mib": memory, "storage_mib": 16 });
        let document = json!({
            "format": "nodesys.release.v1",
            "name": "Sample",
            "workload": workload.name,
            "version": "1",
            "containers": [{
                "name": "main",
                "image": image,
                "args": ["--clock", clock, "--master", master, "--idle-secs", "600"],
                "resources": { "requests": amounts(10, 16), "limits": amounts(1000, 64) },
            }],
            "health": { "by": "token" },
            "update": { "strategy": "surge", "gate_secs": 10, "deadline_secs": 120 },
        });
        let file = net.path(format!("{}-1.json", workload.name));
        write_secret(&file, &document.to_string())?;
        let mut announce = net.master_command(&["release", "announce"]);
        announce.arg(&file).arg("--sender-keystore").arg(&net.people.releaser.keystore);
        announce.arg("--sender-password-file").arg(&net.people.releaser.password_file);
        show(net, announce).await?.ok()?;
        let mut publish = net.master_command(&["release", "publish"]);
        publish.arg(&file);
        show(net, publish).await?.ok()?;
    }
    net.run_until(net.now().await.plus_millis((RELEASE_DELAY_SECS + 60) * 1000)).await?;
    note(format!("{RELEASE_DELAY_SECS} s later they may run: time for the guardian to veto"));
    Ok(())
}
