//! The matrix, and the rule that each of its cells is held to: no honest cell loses a commit or its
//! signer, no stolen cell pays the thief anything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cell::{Cell, RPCS, Rpc, Watch, run};
use crate::places::Mode;
use crate::scenarios::{ALL, Scenario};

/// The first of the two places.
const PLACES: [Mode; 6] = [
    Mode::Good,
    Mode::Altered("rewards.csv"),
    Mode::Withheld,
    Mode::Unavailable,
    Mode::Slow(Duration::from_millis(100)),
    Mode::Crlf,
];

/// Worlds at a time: each keeps a core busy.
const AT_ONCE: usize = 2;

const HEADING: &str =
    "| scenario | first RPC | first place | verdict | guardian sent | wei lost | tokens unpaid |
|---|---|---|---|---|---|---|";

/// Every cell of a scenario; first the one that nobody watches.
fn all_of(scenario: Scenario) -> Vec<Cell> {
    let watched = RPCS.into_iter().flat_map(|rpc| PLACES.map(|mode| Watch::By(rpc, mode)));
    std::iter::once(Watch::Nobody).chain(watched).map(|watch| Cell { scenario, watch }).collect()
}

/// One fault at a time: each RPC with a good place, each place with a whole RPC.
fn selected(cell: &Cell) -> bool {
    match cell.watch {
        Watch::Nobody => true,
        Watch::By(rpc, mode) => rpc == Rpc::Whole || mode == Mode::Good,
    }
}

/// The cells whose name has this text, where only some are to be looked at.
const ONLY: &str = "NODESYS_WATCH_ONLY";

/// Runs the cells of each scenario in a world of its own; answers the table and what breaks the rule.
async fn run_all(wanted: fn(&Cell) -> bool) -> (String, Vec<String>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (place, scenario) in ALL.into_iter().enumerate() {
        let slots = slots.clone();
        running.spawn(async move {
            let _slot = slots.acquire_owned().await.unwrap();
            let mut cells: Vec<Cell> = all_of(scenario).into_iter().filter(wanted).collect();
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
    for &cell in cells {
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
    let (table, broken) = run_all(selected).await;
    show("selection.md", &table);
    assert!(broken.is_empty(), "{} cells break the rule:\n{}", broken.len(), broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes long: scripts/test deep"]
async fn all_faults_together_keep_the_rule() {
    let (table, broken) = run_all(|_| true).await;
    show("matrix.md", &table);
    assert!(broken.is_empty(), "{} cells break the rule:\n{}", broken.len(), broken.join("\n"));
}
