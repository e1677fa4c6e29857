//! The story, step by step: actions, actors and outcomes.

use std::path::Path;

use anyhow::{Context as _, ensure};
use nodesys_core::api::CommitState;
use nodesys_core::files::{RewardRow, sort_rows, write_file};
use nodesys_core::ids::Amount;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use serde::Deserialize;

use super::cast::{A1, A2, B1, B2, DAY_REWARD, FIRST_DAY, Kubernetes, rule};
use super::first_day::first_day;
use super::ledger::Ledger;
use super::releases::announce;
use super::telling::{note, run_to, say, short, show};
use super::{summary, table};
use crate::net::{Devnet, MasterOptions};
use crate::people::Person;
use crate::programs::run;

/// Minutes for the owner's review of a day before the master commits it by itself.
const REVIEW_MINUTES: u64 = 10;

/// Tells all of it.
pub(super) async fn tell(net: &mut Devnet, kubernetes: Option<&Kubernetes>) -> anyhow::Result<()> {
    let mut ledger = Ledger::default();
    introduce(net);
    show_rights(net).await?;
    let review_minutes = REVIEW_MINUTES;
    let options = MasterOptions { day_reward: DAY_REWARD, rule: rule(), review_minutes };
    net.start_master(&options).await?;
    if let Some(kubernetes) = kubernetes {
        announce(net, &kubernetes.workload_image).await?;
    }
    say("pairing three nodes with their operators' wallets (request, sign, finish), starting them");
    let parts = kubernetes.map(|it| it.parts.clone());
    if parts.is_some() {
        note("node 1 lives in the cluster; a cluster holds one node, so the others are processes");
    }
    net.add_node_in(|people| &people.alice, &[A1, B1], parts).await?;
    net.add_node(|people| &people.carol, &[A2, B2]).await?;
    // Asked for once node 1 has it.
    net.run_until(net.now().await.plus_millis(60_000)).await?;
    net.add_node(|people| &people.alice, &[B1]).await?;
    for node in &net.nodes {
        let manager = node.manager_url().unwrap_or_else(|| "in the cluster".to_owned());
        note(format!("{}: {}, manager {manager}", node.name, node.node_key));
    }

    first_day(net, &mut ledger).await?;
    commit_by_hand(net, FIRST_DAY).await?;
    claims(net, &mut ledger, FIRST_DAY).await?;

    say("a second day, on which nothing goes wrong");
    let second = FIRST_DAY.next();
    run_to(net, second.end().plus_millis((REVIEW_MINUTES + 2) * 60_000)).await?;
    note(format!("{second} is closed, and the master has committed it by itself"));
    claims(net, &mut ledger, second).await?;

    audit(net).await?;
    let rows = table::rows(net, &ledger, &[FIRST_DAY, second]).await?;
    summary::write(net, &ledger, &rows).await?;
    println!("{}", table::render(net, &ledger, &rows).await?);
    Ok(())
}

fn introduce(net: &Devnet) {
    let deployed = &net.network.deployed;
    note(format!("chain      {} (chain id 31337)", net.network.rpc));
    note(format!("backend    {}", net.network.backend));
    note(format!("registry   {}", deployed.registry));
    note(format!("project    {} = distributor {}", deployed.project, deployed.distributor));
    for workload in &deployed.workloads {
        note(format!(
            "workload   {}: licenses {} {}",
            workload.name, workload.symbol, workload.collection
        ));
    }
}

/// The right to run a license is proved from an RPC alone.
async fn show_rights(net: &mut Devnet) -> anyhow::Result<()> {
    say("who may run what: read on chain, with the backend stopped");
    net.stop_backends().await?;
    let people = &net.people;
    for (label, operator) in
        [("A1", &people.alice), ("A2", &people.carol), ("B2", &people.carol), ("A2", &people.bob)]
    {
        let address = operator.address().to_string();
        let command = net.nodesys(operator, &["license", "show", label, "--operator", &address])?;
        show(net, command).await?.ok()?;
    }
    net.start_backend(0).await
}

/// The owner looks, is refused with an altered amount, then commits.
async fn commit_by_hand(net: &mut Devnet, day: UtcDay) -> anyhow::Result<()> {
    let date = day.to_string();
    say("the project's owner looks at the points");
    show(net, net.master_command(&["points", "preview", "--day", &date])).await?.ok()?;

    say("one amount altered: the backend computes the day too, and refuses");
    let altered = net.path("altered-rewards.csv");
    let dry = net.master_command(&["commit", "--day", &date, "--dry-run", "-o", "json"]);
    alter(run(dry).await?.json()?, &altered)?;
    let mut forged = net.master_command(&["commit", "--day", &date, "--rewards"]);
    forged.arg(&altered);
    let refused = show(net, forged).await?;
    ensure!(refused.code == Some(1), "an altered commit must be refused");
    ensure!(refused.stderr.contains("rewards.csv line"), "the first differing row must be named");

    say("the true amounts: computed alike by both, signed once, accepted");
    show(net, net.master_command(&["commit", "--day", &date])).await?.ok()?;
    Ok(())
}

#[derive(Deserialize)]
struct DryRun {
    rewards: Vec<DryRunRow>,
}

#[derive(Deserialize)]
struct DryRunRow {
    account: Address,
    cumulative: Amount,
}

/// Writes a `rewards.csv` in which the first account gets one wei more.
fn alter(dry: DryRun, path: &Path) -> anyhow::Result<()> {
    let row = |row: DryRunRow| RewardRow { account: row.account, cumulative: row.cumulative };
    let mut rows: Vec<RewardRow> = dry.rewards.into_iter().map(row).collect();
    sort_rows(&mut rows);
    let first = rows.first_mut().context("nobody has earned anything")?;
    first.cumulative =
        first.cumulative.checked_add(Amount::new(1)).context("an amount beyond the largest")?;
    std::fs::write(path, write_file(&rows))?;
    Ok(())
}

/// The commit is posted, its delay passes on the chain, Alice and Carol claim.
async fn claims(net: &mut Devnet, ledger: &mut Ledger, day: UtcDay) -> anyhow::Result<()> {
    say(format!("the backend posts the root of {day} through its outbox"));
    let project = net.network.deployed.distributor;
    let client = net.client(0)?;
    let limit = net.now().await.plus_millis(30 * 60_000);
    let posted = loop {
        let view = client.commit_of(project, day).await?;
        if view.state != CommitState::Accepted {
            break view;
        }
        ensure!(net.now().await < limit, "the commit of {day} is not posted after 30 minutes");
        let minute = net.now().await.plus_millis(60_000);
        net.run_until(minute).await?;
    };
    let transaction = posted.transaction.context("a posted commit has a transaction")?;
    let activates = posted.activates_at_secs.context("a posted commit has an activation")?;
    note(format!("root {} in transaction {transaction}", posted.commit.root));
    let gas = net.chain.gas_used(transaction).await?;
    ledger.posts.push((posted, gas));

    say(format!("it is claimable from {} on", Timestamp::from_secs(activates)));
    run_to(net, Timestamp::from_secs(activates + 60)).await?;
    for who in ["alice", "carol"] {
        let person = if who == "alice" { &net.people.alice } else { &net.people.carol };
        let claim = claim(net, person).await?;
        note(format!("{who} has claimed {} wei for {} gas", claim.amount, claim.gas_used));
        ledger.claims.push((
            day,
            person.address(),
            claim.amount,
            claim.transaction,
            claim.gas_used,
        ));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Claimed {
    amount: Amount,
    transaction: B256,
    gas_used: u64,
}

async fn claim(net: &Devnet, who: &Person) -> anyhow::Result<Claimed> {
    let mut command =
        net.nodesys(who, &["rewards", "claim", "--yes", "-o", "json", "--keystore"])?;
    command.arg(&who.keystore).arg("--password-file").arg(&who.password_file);
    eprintln!("   $ {}", short(net, &command));
    run(command).await?.json()
}

/// Everything is recomputed with backend and master stopped; after a change of one byte the audit
/// names place and row; with a missing file it cannot tell.
async fn audit(net: &mut Devnet) -> anyhow::Result<()> {
    say("backend and master are stopped; anyone recomputes both days from files and an RPC");
    net.stop_master().await?;
    net.stop_backends().await?;
    let bundles = net.bundles();
    let audit = async |folder: &Path| {
        let mut command = net.nodesys(&net.people.bob, &["audit", "--bundles"])?;
        command.arg(folder);
        show(net, command).await
    };
    audit(&bundles).await?.ok().context("the audit should hold")?;

    say("one byte of one published file is changed: the committed hash tells what it was");
    let changed = net.path("tampered");
    copy_folder(&bundles, &changed)?;
    let project = format!("{:#x}", net.network.deployed.distributor);
    let day = changed.join(project).join(FIRST_DAY.to_string());
    let file = day.join("rewards.csv");
    let mut bytes = std::fs::read(&file)?;
    let last = bytes.iter().rposition(u8::is_ascii_digit).context("a file of numbers")?;
    bytes[last] = if bytes[last] == b'9' { b'8' } else { bytes[last] + 1 };
    std::fs::write(&file, bytes)?;
    let found = audit(&changed).await?;
    let named = found.stdout.contains("passed over: rewards.csv");
    ensure!(found.code == Some(0) && named, "the changed file should be named: {}", found.stdout);

    say("a file is nowhere to be had: nobody is accused, and nothing is said to hold");
    std::fs::remove_file(day.join("uptime.csv"))?;
    let found = audit(&changed).await?;
    ensure!(found.code == Some(7), "the audit should exit 7, not {:?}", found.code);
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
