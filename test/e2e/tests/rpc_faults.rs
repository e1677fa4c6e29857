//! The backend's RPC fails in every way an RPC fails: nothing is decided on it, nothing is lost.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use nodesys_devnet::rpc_proxy::{Fault, RpcProxy};
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::{A1, DAY, MINUTES};

/// Goes through the day with the RPC failing from its third to its eighth minute.
async fn day_with(fault: impl Fn(u64) -> Fault, ready_code: Option<&str>) {
    let mut day = ShortDay::start(0).await;
    let proxy = RpcProxy::start(&day.net.network.rpc).await.unwrap();
    day.net.backend_rpc = proxy.url();
    day.net.add_backend().await.unwrap();
    day.start_master().await;
    let client = day.net.client(0).unwrap();
    let mut node = day.node().await;
    for i in 0..MINUTES {
        if i == 3 {
            let newest = day.net.chain.reader.latest_block().await.unwrap();
            proxy.set(fault(newest.number));
        }
        if i == 8 {
            proxy.set(Fault::None);
        }
        if (4..8).contains(&i)
            && let Some(code) = ready_code
        {
            let error = client.ready().await.unwrap_err();
            assert_eq!(error.code(), Some(code), "{error}");
        }
        // A held lease needs no word of the chain's.
        let receipt = node.beat(&client, day.minute().await).await.unwrap();
        assert_eq!(receipt.accepted.credited, 0b11, "minute {i}");
        day.pass_minutes(1).await;
    }
    client.ready().await.unwrap();
    day.close(&mut node).await;
    let bitmap = day.closed_bitmap(&day.license(A1)).await;
    assert_eq!(bitmap.runs(), [(1440 - u16::try_from(MINUTES).unwrap(), 1440)]);
    day.pass_minutes(8).await;
    let project = day.net.network.deployed.distributor;
    let view = client.commit_of(project, DAY).await.unwrap();
    assert!(view.transaction.is_some(), "posted once the RPC is back: {view:?}");
    day.net.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_is_down() {
    day_with(|_| Fault::Down, Some("chain_unavailable")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_stands_still() {
    day_with(Fault::StandsAt, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_answers_for_another_chain() {
    day_with(|_| Fault::OtherChain(1), Some("chain_unavailable")).await;
}
