//! The matrix, and the rule for each of its cells: no honest cell loses a commit or its signer, no
//! stolen cell pays the thief anything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cell::{Cell, Rpc, Watch, run};
use crate::places::Mode;
use crate::scenarios::{ALL, Scenario};

/// The first of the two RPCs; the second is whole.
const RPCS: [Rpc; 5] = [Rpc::Whole, Rpc::Pruned, Rpc::Lagging, Rpc::Differing, Rpc::Silent];

/// The first of the two places; the second is good.
const PLACES: [Mode; 6] = [
    Mode::Good,
    Mode::Altered("rewards.csv"),
    Mode::Withheld,
    Mode::Unavailable,
    Mode::Slow(Duration::from_millis(100)),
    Mode::Crlf,
];

/// Faults that are tested alone.
const MORE_RPCS: [Rpc; 6] =
    [Rpc::Refusing, Rpc::Down, Rpc::Limited, Rpc::RateLimited, Rpc::Receiptless, Rpc::Slow];
const MORE_PLACES: [Mode; 3] = [Mode::Altered("bundle.json"), Mode::Bom, Mode::NoFinalNewline];

/// Worlds at a time: they mostly wait, for blocks and for RPCs that do not answer.
const AT_ONCE: usize = 4;

const HEADING: &str =
    "| scenario | RPCs | places | verdict | guardian sent | wei lost | tokens unpaid |
|---|---|---|---|---|---|---|";

/// The watch's sources: an RPC or a place at fault, in `all` also both. Without `all` the scenarios
/// that differ in their signer alone have no place at fault, and the rare faults are tested where
/// they reveal most.
fn watches(scenario: Scenario, all: bool) -> Vec<(Rpc, Mode)> {
    let more = all || matches!(scenario, Scenario::Honest | Scenario::StolenPublishing);
    let places: &[Mode] = match scenario {
        _ if more => &PLACES,
        Scenario::StolenWithholding | Scenario::ThiefWithBacklog => &PLACES[..3],
        _ => &PLACES[..1],
    };
    let together = RPCS.into_iter().flat_map(|rpc| places.iter().map(move |mode| (rpc, *mode)));
    let alone = |(rpc, mode): &(Rpc, Mode)| *rpc == Rpc::Whole || *mode == Mode::Good;
    let together = together.filter(|pair| all || alone(pair));
    let rpcs = MORE_RPCS.map(|rpc| (rpc, Mode::Good));
    let rare = rpcs.into_iter().chain(MORE_PLACES.map(|mode| (Rpc::Whole, mode)));
    together.chain(rare.filter(|_| more)).collect()
}

/// Watches without a second, good source: one RPC alone, all RPCs at fault, all places at fault.
fn without_a_second(scenario: Scenario) -> Vec<Watch> {
    if !matches!(
        scenario,
        Scenario::Honest | Scenario::StolenPublishing | Scenario::StolenWithholding
    ) {
        return Vec::new();
    }
    let good = vec![Mode::Good, Mode::Good];
    let alone = [Rpc::Whole, Rpc::Pruned, Rpc::Lagging, Rpc::Differing];
    let alone = alone.map(|rpc| Watch { rpcs: vec![rpc], places: good.clone() });
    let together = [[Rpc::Pruned, Rpc::Lagging], [Rpc::Differing, Rpc::Silent]];
    let together = together.map(|rpcs| Watch { rpcs: rpcs.to_vec(), places: good.clone() });
    let places = [Mode::Withheld, Mode::Altered("rewards.csv")]
        .map(|mode| Watch { rpcs: vec![Rpc::Whole, Rpc::Whole], places: vec![mode, mode] });
    alone.into_iter().chain(together).chain(places).collect()
}

/// The cells of a scenario; first the one without a watch.
fn cells_of(scenario: Scenario, all: bool) -> Vec<Cell> {
    let second =
        |(rpc, mode)| Watch { rpcs: vec![rpc, Rpc::Whole], places: vec![mode, Mode::Good] };
    let mut watched: Vec<Watch> = watches(scenario, all).into_iter().map(second).collect();
    if all {
        watched.extend(without_a_second(scenario));
    }
    let watched = watched.into_iter().map(Some);
    std::iter::once(None).chain(watched).map(|watch| Cell { scenario, watch }).collect()
}

/// The cells whose name contains this text, to run only some.
const ONLY: &str = "NODESYS_WATCH_ONLY";

/// Runs the cells of each scenario in a world of its own; returns the table and the violations of
/// the rule.
async fn run_all(all: bool) -> (String, Vec<String>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (place, scenario) in ALL.into_iter().enumerate() {
        let slots = slots.clone();
        running.spawn(async move {
            let _slot = slots.acquire_owned().await.unwrap();
            let mut cells = cells_of(scenario, all);
            if let Ok(only) = std::env::var(ONLY) {
                cells.retain(|cell| cell.name().contains(&only));
            }
            (place, run_scenario(scenario, &cells).await)
        });
    }
    let mut parts = running.join_all().await;
    parts.sort_by_key(|(place, _)| *place);
    let (mut table, mut broken) = (vec![HEADING.to_owned()], Vec::new());
    for (_, (rows, violations)) in parts {
        table.extend(rows);
        broken.extend(violations);
    }
    (table.join("\n"), broken)
}

async fn run_scenario(scenario: Scenario, cells: &[Cell]) -> (Vec<String>, Vec<String>) {
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    if cells.is_empty() {
        return (rows, broken);
    }
    let mut world = scenario.world().await.unwrap();
    for cell in cells {
        let kept = world.keep().await.unwrap();
        match run(cell, &mut world).await {
            Ok(outcome) => {
                rows.push(outcome.row(cell));
                broken.extend(outcome.violations(cell));
            }
            Err(error) => broken.push(format!("{}: {error:#}", cell.name())),
        }
        world.restore(kept).await.unwrap();
    }
    world.chain.stop().await.unwrap();
    (rows, broken)
}

/// Shows the table, and leaves it in `target/watch` for the documents.
fn show(name: &str, table: &str) {
    println!("{table}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/watch");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), format!("{table}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_alone_keeps_the_rule() {
    let (table, broken) = run_all(false).await;
    show("selection.md", &table);
    assert!(broken.is_empty(), "{} cells break the rule:\n{}", broken.len(), broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes long: scripts/test deep"]
async fn each_pair_of_faults_keeps_the_rule() {
    let (table, broken) = run_all(true).await;
    show("matrix.md", &table);
    assert!(broken.is_empty(), "{} cells break the rule:\n{}", broken.len(), broken.join("\n"));
}
