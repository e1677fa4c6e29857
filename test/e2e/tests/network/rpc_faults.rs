//! The backend's RPC fails in every known way: no failure decides or loses anything.

use std::ops::Range;

use nodesys_core::time::Timestamp;
use nodesys_devnet::rpc_proxy::{Fault, RpcProxy};
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::{A1, DAY};

/// The last minutes of a day, in some of which the RPC fails.
struct Case {
    minutes: u64,
    /// Counted from the first of `minutes`.
    failing: Range<u64>,
}

const SHORT: Case = Case { minutes: 10, failing: 3..8 };

async fn day_with(case: &Case, fault: impl Fn(u64) -> Fault) {
    let mut day = ShortDay::start_with(0, |options| {
        options.start = Timestamp::from_secs(DAY.end().secs() - case.minutes * 60);
    })
    .await;
    let proxy = RpcProxy::start(&day.net.network.rpc).await.unwrap();
    day.net.backend_rpc = proxy.url();
    day.net.add_backend().await.unwrap();
    day.start_master().await;
    let client = day.net.client(0).unwrap();
    let mut node = day.node().await;
    for i in 0..case.minutes {
        if i == case.failing.start {
            let newest = day.net.chain.reader.latest_block().await.unwrap();
            proxy.set(fault(newest.number));
        }
        if i == case.failing.end {
            proxy.set(Fault::None);
        }
        // A replica without the chain stays in the balancer: without it the minute would be lost.
        client.ready().await.unwrap();
        // A held lease needs no answer of the chain.
        let receipt = node.beat(&client, day.minute().await).await.unwrap();
        assert_eq!(receipt.accepted.credited, 0b11, "minute {i}");
        day.pass_minutes(1).await;
    }
    client.ready().await.unwrap();
    day.close(&mut node).await;
    let bitmap = day.closed_bitmap(&day.license(A1)).await;
    assert_eq!(bitmap.runs(), [(1440 - u16::try_from(case.minutes).unwrap(), 1440)]);
    day.pass_minutes(8).await;
    let project = day.net.network.deployed.distributor;
    let view = client.commit_of(project, DAY).await.unwrap();
    assert!(view.transaction.is_some(), "posted once the RPC is back: {view:?}");
    day.net.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_is_down_for_the_whole_afternoon() {
    let case = Case { minutes: 7 * 60, failing: 20..6 * 60 + 20 };
    day_with(&case, |_| Fault::Down).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_stands_still() {
    day_with(&SHORT, Fault::StandsAt).await;
}

/// Each request ends by its own timeout, in real time: two minutes of it are long enough.
#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_hangs() {
    day_with(&Case { failing: 3..5, ..SHORT }, |_| Fault::Hangs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_answers_for_another_chain() {
    day_with(&SHORT, |_| Fault::OtherChain(1)).await;
}
