//! Two replicas on one database: they share one post, and one was frozen over midnight.

use nodesys_chain::project::{DistributorEvent, distributor_events};
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::{A1, DAY};

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_stopped_over_midnight() {
    let mut day = ShortDay::start(2).await;
    day.start_master().await;
    let (one, two) = (day.net.client(0).unwrap(), day.net.client(1).unwrap());
    let mut node = day.node().await;
    for i in 0..10 {
        let minute = day.minute().await;
        if i == 6 {
            // Frozen in the middle of the day; the other one goes on.
            day.net.freeze_backend(1).await.unwrap();
        }
        node.beat(if i < 6 { &two } else { &one }, minute).await.unwrap();
        day.pass_minutes(1).await;
    }
    day.close(&mut node).await;
    let late = node.sign(&one, day.minute().await).await.unwrap();
    day.net.thaw_backend(1).await.unwrap();
    // It is back in the present: it takes today's minute, and nothing of the day that is closed.
    node.send(&two, &late).await.unwrap();
    let yesterday = node.sign(&one, DAY.end().minute()).await.unwrap();
    assert_eq!(two.heartbeat(&yesterday).await.unwrap_err().code(), Some("wrong_minute"));
    assert_eq!(day.closed_bitmap(&day.license(A1)).await.runs(), [(1430, 1440)]);
    for client in [&one, &two] {
        let closed = client.day(DAY).await.unwrap();
        assert!(closed.closed.is_some());
    }

    // Both post; the chain has one.
    let project = day.net.network.deployed.distributor;
    for _ in 0..12 {
        node.beat(&two, day.minute().await).await.unwrap();
        day.pass_minutes(1).await;
    }
    let view = two.commit_of(project, DAY).await.unwrap();
    assert!(view.transaction.is_some(), "{view:?}");
    let newest = day.net.chain.reader.latest_block().await.unwrap().number;
    let events = distributor_events(&day.net.chain.reader, project, 0, newest).await.unwrap();
    let posts = events.iter().filter(|logged| matches!(logged.event, DistributorEvent::Posted(_)));
    assert_eq!(posts.count(), 1);
    day.net.stop().await.unwrap();
}
