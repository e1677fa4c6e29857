//! One license, one day, one claim; and the same bytes at two replicas.

use nodesys_core::api::CommitState;
use nodesys_core::ids::Amount;
use nodesys_core::time::Timestamp;
use nodesys_devnet::run;
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::{A1, B1, DAY};

#[tokio::test(flavor = "multi_thread")]
async fn a_license_a_day_a_claim() {
    let mut day = ShortDay::start(2).await;
    day.start_master().await;
    let (one, two) = (day.net.client(0).unwrap(), day.net.client(1).unwrap());
    let mut node = day.node().await;
    for i in 0..8 {
        let signed = node.sign(&one, day.minute().await).await.unwrap();
        // Either replica takes it; both at once set one bit once.
        let first = node.send(if i % 2 == 0 { &one } else { &two }, &signed).await.unwrap();
        let again = if i % 2 == 0 { &two } else { &one };
        let repeated = again.heartbeat(&signed).await.unwrap();
        assert_eq!(repeated.accepted.heartbeat_hash, first.accepted.heartbeat_hash);
        day.pass_minutes(1).await;
    }
    day.close(&mut node).await;
    let bitmap = day.closed_bitmap(&day.license(A1)).await;
    assert_eq!(bitmap.runs(), [(1430, 1438)]);
    assert_eq!(day.closed_bitmap(&day.license(B1)).await, bitmap);
    day.assert_receipts_kept(&[&node]).await;

    // The master commits by itself, the backend posts, the delay passes.
    let project = day.net.network.deployed.distributor;
    let mut view = None;
    for _ in 0..30 {
        node.beat(&one, day.minute().await).await.unwrap();
        day.pass_minutes(1).await;
        view = one.commit_of(project, DAY).await.ok();
        if view.as_ref().is_some_and(|view| view.state == CommitState::Active) {
            break;
        }
    }
    let view = view.unwrap();
    assert_eq!(view.state, CommitState::Active);
    // 8 minutes each: both licenses get half of the day, all of it Alice's.
    assert_eq!(view.commit.total, Amount::new(1_000 * nodesys_devnet::deploy::TOKEN));
    assert!(day.net.now().await >= Timestamp::from_secs(view.activates_at_secs.unwrap()));

    assert_eq!(claim(&day).await["amount"], view.commit.total.to_string());
    let alice = day.net.people.alice.address();
    assert_eq!(day.net.balance(alice).await.unwrap(), view.commit.total.to_u256());
    // Again: nothing to claim is no failure, and pays nothing.
    assert_eq!(claim(&day).await["amount"], "0");

    day.net.stop_backends().await.unwrap();
    day.net.stop_master().await.unwrap();
    let mut audit = day.net.nodesys(&day.net.people.bob, &["audit", "--bundles"]).unwrap();
    audit.arg(day.net.bundles());
    let said = run(audit).await.unwrap().ok().unwrap();
    assert!(said.contains("everything holds"), "{said}");
    day.net.stop().await.unwrap();
}

/// Alice claims by the command line.
async fn claim(day: &ShortDay) -> serde_json::Value {
    let alice = &day.net.people.alice;
    let arguments = ["rewards", "claim", "--yes", "-o", "json", "--keystore"];
    let mut command = day.net.nodesys(alice, &arguments).unwrap();
    command.arg(&alice.keystore).arg("--password-file").arg(&alice.password_file);
    run(command).await.unwrap().json().unwrap()
}
