//! The first day of the story: tasks, a workload down, a node with a standby that takes over, and
//! one without.

use anyhow::{Context as _, ensure};
use nodesys_core::keccak256;
use serde::Deserialize;
use serde_json::json;

use super::cast::{A1, A2, B1, B2, FIRST_DAY, TASKS};
use super::ledger::{Ledger, Outage, Takeover, clock};
use super::telling::{note, run_to, say, show};
use crate::deploy::LicenseRef;
use crate::net::Devnet;
use crate::programs::run;

/// Tells it, up to its close.
pub(super) async fn first_day(net: &mut Devnet, ledger: &mut Ledger) -> anyhow::Result<()> {
    say(format!("{FIRST_DAY}: 1,440 minutes, a signed heartbeat from each node in each"));
    let at =
        |hours: u64, minutes: u64| FIRST_DAY.start().plus_millis((hours * 60 + minutes) * 60_000);
    run_to(net, at(2, 0)).await?;
    hand_out_tasks(net).await?;
    run_to(net, at(6, 0)).await?;
    // In a cluster a killed process would be started again at once.
    let in_cluster = net.nodes[0].is_in_cluster();
    let ended = if in_cluster { "paused by its operator" } else { "killed" };
    say(format!("06:00 the workload of A1 is {ended}; B1 beside it goes on"));
    net.nodes[0].kill_workload(0).await?;
    run_to(net, at(9, 20)).await?;
    say("09:20 the workload of A1 is started again");
    net.nodes[0].start_workload(&net.network, 0).await?;
    net.node_comes_up(0).await?;
    ledger.outages.push(outage(&[A1], 360, 560, &format!("workload {ended}")));

    run_to(net, at(11, 50)).await?;
    takeover(net, ledger).await?;

    run_to(net, at(15, 0)).await?;
    say("15:00 node 2 is killed with everything on it, and nobody stands by");
    net.nodes[1].kill().await?;
    run_to(net, at(20, 0)).await?;
    say("20:00 node 2 is started again: it asks for its leases again");
    net.nodes[1].start(&net.network).await?;
    ledger.outages.push(outage(&[A2, B2], 900, 1200, "node 2 killed"));
    run_to(net, FIRST_DAY.end().plus_millis(7 * 60_000)).await?;
    let closed = net.client(0)?.day(FIRST_DAY).await?.closed;
    let closed = closed.context("the day should be closed 5 minutes after its end")?;
    say(format!("{FIRST_DAY} is closed and signed: uptime hash {}", closed.message.uptime_hash));
    Ok(())
}

/// Minutes of the first day with a staged failure.
fn outage(licenses: &[LicenseRef], from: u16, to: u16, why: &str) -> Outage {
    Outage { day: FIRST_DAY, licenses: licenses.to_vec(), from, to, why: why.to_owned() }
}

/// Node 1 dies at 11:50. B1 has a standby, A1 has none.
async fn takeover(net: &mut Devnet, ledger: &mut Ledger) -> anyhow::Result<()> {
    let minute = async |net: &Devnet| {
        let into = net.now().await.millis_since(FIRST_DAY.start()) / 60_000;
        u16::try_from(into).context("the takeover is on the first day")
    };
    let ended = match net.nodes[0].is_in_cluster() {
        true => "stopped by its operator",
        false => "killed with everything on it",
    };
    say(format!("11:50 node 1 is {ended}; node 3 stands by for B1"));
    let killed = minute(net).await?;
    net.nodes[0].kill().await?;
    let (license, client) = (net.network.deployed.license(B1), net.client(0)?);
    let taken = loop {
        net.run_until(net.now().await.plus_millis(60_000)).await?;
        let lease = client.lease(license.hash()).await?;
        if lease.node_key == net.nodes[2].node_key {
            note(format!("{} node 3 has the lease of B1, fence {}", net.now().await, lease.fence));
            break minute(net).await?;
        }
        ensure!(minute(net).await? < killed + 20, "nobody has taken over B1 within 20 minutes");
    };
    let ended = if net.nodes[0].is_in_cluster() { "stopped" } else { "killed" };
    let why = format!("node 1 {ended} {}, standby took over {}", clock(killed), clock(taken));
    ledger.outages.push(outage(&[B1], killed, taken, &why));
    let to = net.nodes[2].name.clone();
    ledger.takeovers.push(Takeover { day: FIRST_DAY, license: B1, minute: taken, to });

    run_to(net, FIRST_DAY.start().plus_millis(13 * 3_600_000)).await?;
    say("13:00 node 1 is back: it runs A1 again, and now stands by for B1");
    net.nodes[0].start(&net.network).await?;
    net.node_comes_up(0).await?;
    let why = format!("node 1 {ended} {}, back 13:00, no standby", clock(killed));
    ledger.outages.push(outage(&[A1], killed, 780, &why));
    net.run_until(net.now().await.plus_millis(3 * 60_000)).await?;
    let node = &net.nodes[0];
    let arguments = node.status_arguments()?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    show(net, net.network.nodesys(&node.home, &arguments)).await?;
    Ok(())
}

/// The owner puts tasks into the queue; the workloads find them. An idle workload asks every ten
/// minutes; there are more tasks than an early one can finish before the others ask.
async fn hand_out_tasks(net: &Devnet) -> anyhow::Result<()> {
    say(format!("the owner puts {TASKS} tasks into the queue, one in ten a canary"));
    let file = net.path("tasks.ndjson");
    let lines: Vec<String> = (0..TASKS).map(task).collect();
    std::fs::write(&file, lines.join("\n") + "\n")?;
    let mut add = net.master_command(&["task", "add"]);
    add.arg(&file);
    show(net, add).await?.ok()?;
    net.run_until(net.now().await.plus_millis(20 * 60_000)).await?;
    show(net, net.master_command(&["task", "stats"])).await?.ok()?;
    let stats: Stats = run(net.master_command(&["task", "stats", "-o", "json"])).await?.json()?;
    ensure!(stats.done > 0, "20 minutes later none of {TASKS} tasks is done");
    Ok(())
}

#[derive(Deserialize)]
struct Stats {
    done: usize,
}

/// A hash chain; every tenth one has length 0, so that its answer is known.
fn task(number: usize) -> String {
    let seed = keccak256(number.to_be_bytes());
    let mut task =
        json!({ "key": format!("chain-{number}"), "input": { "seed": seed, "length": 1000 } });
    if number % 10 == 9 {
        task["input"]["length"] = json!(0);
        task["expected"] = json!({ "last": seed });
    }
    task.to_string()
}
