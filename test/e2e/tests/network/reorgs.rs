//! The chain reorganises: every story ends as it would without the reorganisation.
//!
//! Blocks are final under eight further ones. The backend and the master make final decisions only
//! from final blocks; work that a reorganisation undoes, they do again.

use std::collections::BTreeMap;

use nodesys_chain::project::{DistributorEvent, distributor_events};
use nodesys_core::bundle::Bundle;
use nodesys_devnet::deploy::transfer;
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::{A1, DAY};

/// Blocks above a final one.
const FINAL: u64 = 8;

/// The target of the reorganisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reorg {
    /// None.
    No,
    /// Only the block with the post; the transaction is gone.
    PostAtOnce,
    /// The post, one block before it is final.
    PostLate,
    /// A transfer of A1, which is undone.
    Transfer,
    /// The first block after midnight.
    Snapshot,
}

/// Removes the newest blocks; their transactions are in no pool.
async fn reorg(day: &ShortDay, depth: u64) {
    day.net.chain.request("anvil_reorg", (depth, Vec::<u64>::new())).await.unwrap();
    day.net.chain.request::<[u64; 0]>("anvil_dropAllTransactions", []).await.unwrap();
}

/// The day's results: its files, root and the number of posts on chain.
async fn outcome(day: &ShortDay) -> BTreeMap<String, Vec<u8>> {
    let mut files = day.published(DAY);
    let bundle = Bundle::parse(&files["bundle.json"]).unwrap();
    files.retain(|name, _| name.ends_with(".csv"));
    files.insert("root".to_owned(), bundle.root.to_vec());
    let newest = day.net.chain.reader.latest_block().await.unwrap().number;
    let project = day.net.network.deployed.distributor;
    let events = distributor_events(&day.net.chain.reader, project, 0, newest).await.unwrap();
    let posts = events.iter().filter(|logged| matches!(logged.event, DistributorEvent::Posted(_)));
    files.insert("posts".to_owned(), posts.count().to_string().into_bytes());
    files
}

/// Blocks since the one with the post, that one included; 0 while there is none.
async fn post_depth(day: &ShortDay) -> u64 {
    let newest = day.net.chain.reader.latest_block().await.unwrap().number;
    let project = day.net.network.deployed.distributor;
    let events = distributor_events(&day.net.chain.reader, project, 0, newest).await.unwrap();
    let posted = events
        .iter()
        .find(|logged| matches!(logged.event, DistributorEvent::Posted(_)))
        .map(|logged| logged.block_number);
    posted.map_or(0, |block| newest + 1 - block)
}

async fn live_through(which: Reorg) -> BTreeMap<String, Vec<u8>> {
    let mut day = ShortDay::start_with(1, |options| options.slots_in_epoch = FINAL / 2).await;
    day.start_master().await;
    let client = day.net.client(0).unwrap();
    let mut node = day.node().await;
    for i in 0..10 {
        if i == 4 && which == Reorg::Transfer {
            let (alice, bob) = (&day.net.people.alice, &day.net.people.bob);
            transfer(&day.net.chain, alice, &day.license(A1), bob.address()).await.unwrap();
            day.net.chain.mine().await.unwrap();
            reorg(&day, 2).await;
        }
        node.beat(&client, day.minute().await).await.unwrap();
        day.pass_minutes(1).await;
    }
    if which == Reorg::Snapshot {
        // The block of midnight itself is the newest; another takes its place.
        reorg(&day, 1).await;
    }
    let project = day.net.network.deployed.distributor;
    let mut done = which == Reorg::No;
    let mut confirmed = false;
    for _ in 0..40 {
        node.beat(&client, day.minute().await).await.unwrap();
        day.pass_minutes(1).await;
        let depth = post_depth(&day).await;
        let due = match which {
            Reorg::PostAtOnce => depth >= 1,
            Reorg::PostLate => depth == FINAL - 1,
            Reorg::No | Reorg::Transfer | Reorg::Snapshot => {
                done = true;
                false
            }
        };
        if due && !done {
            reorg(&day, depth).await;
            assert_eq!(post_depth(&day).await, 0, "the post is gone");
            done = true;
        }
        confirmed =
            client.commit_of(project, DAY).await.is_ok_and(|view| view.transaction.is_some());
        if confirmed {
            break;
        }
    }
    assert!(done, "{which:?} must have happened");
    assert!(confirmed, "{which:?}: the post is final in the end");
    let outcome = outcome(&day).await;
    day.net.stop().await.unwrap();
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_changes_nothing() {
    let undisturbed = live_through(Reorg::No).await;
    assert_eq!(undisturbed["posts"], b"1");
    for which in [Reorg::PostAtOnce, Reorg::PostLate, Reorg::Transfer, Reorg::Snapshot] {
        eprintln!("reorganisation {which:?}");
        assert_eq!(live_through(which).await, undisturbed, "{which:?}");
    }
}
