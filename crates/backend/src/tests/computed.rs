//! A day is computed once for an upload, and kept within a bound.

use std::convert::Infallible;

use futures::future::join_all;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use nodesys_chain::bindings::RewardDistributor;
use nodesys_core::B256;
use nodesys_core::bundle::{DayBundle, Terms};
use nodesys_core::files::{RewardRow, Row, write_file};
use nodesys_core::ids::Amount;
use sqlx::PgPool;

use super::commit::{builder, closed_day};
use super::support::books::terms;
use crate::live::days::Days;
use nodesys_testing::chain::{DAY, QUOTA, owner};

/// How many days were computed.
fn computed(metrics: &PrometheusHandle) -> u64 {
    let text = metrics.render();
    let count = text.lines().find_map(|line| line.strip_prefix("nodesys_uploads_computed_total "));
    count.map_or(0, |count| count.parse().unwrap())
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_day_is_computed_once_for_its_upload_its_commit_and_its_rewards(pool: PgPool) {
    let world = closed_day(pool).await;
    let project = world.chain.distributor;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);

    let checked = world.computed(DAY).await;
    let rewards = join_all((0..4).map(|_| world.client().computed_rewards(project, DAY))).await;
    let rewards: Vec<_> = rewards.into_iter().map(Result::unwrap).collect();
    assert!(rewards.iter().all(|again| *again == rewards[0]));
    assert_eq!(computed(&metrics), 1);

    // Other terms make another day; the first upload's is still known.
    let half = Terms { day_reward: Amount::new(QUOTA / 2), ..terms() };
    let csv = write_file(&world.points(DAY).await);
    let other = world.upload(DAY, &half, &csv).await.unwrap();
    assert_ne!(other.commit, checked.commit);
    assert_eq!(computed(&metrics), 2);
    assert_ne!(world.client().computed_rewards(project, DAY).await.unwrap(), rewards[0]);
    assert_eq!(world.computed(DAY).await.commit, checked.commit);
    let request = world.signed(&checked.commit);
    world.client().commit(&request).await.unwrap();
    let served = world.client().bundle_file(project, DAY, RewardRow::FILE).await.unwrap();
    assert_eq!(served, rewards[0]);
    assert_eq!(computed(&metrics), 2);

    // The chain says something else: the revision has risen. What is committed is a file.
    let distributor = RewardDistributor::new(project, world.chain.provider.rpc());
    let call = distributor.disableSigner();
    world.chain.send(owner().address(), call.into_transaction_request()).await;
    assert_eq!(world.client().computed_rewards(project, DAY).await.unwrap(), rewards[0]);
    assert_eq!(computed(&metrics), 2);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn only_so_many_bytes_of_days_are_kept(pool: PgPool) {
    let world = closed_day(pool).await;
    let day = builder(&world).build(DAY).await.unwrap();
    let keys: Vec<B256> = (1..=4).map(B256::repeat_byte).collect();
    let mut calls = 0;
    let mut ask = async |days: &Days, key: B256| {
        let compute = async {
            calls += 1;
            Ok::<DayBundle, Infallible>(day.clone())
        };
        days.get_or_compute(key, compute).await.unwrap();
        calls
    };
    let all = Days::with_capacity(usize::MAX);
    ask(&all, keys[0]).await;
    let one_day = all.kept_bytes();
    assert!(one_day > day.files.values().map(Vec::len).sum());
    // Too small for one day: nothing is kept, and every answer is correct.
    let none = Days::with_capacity(one_day - 1);
    assert_eq!((ask(&none, keys[0]).await, ask(&none, keys[0]).await), (2, 3));
    assert_eq!(none.kept_bytes(), 0);
    // Room for three: the least recently used one is evicted.
    let three = Days::with_capacity(3 * one_day);
    for key in &keys[..3] {
        ask(&three, *key).await;
    }
    assert_eq!(ask(&three, keys[0]).await, 6);
    assert_eq!(ask(&three, keys[3]).await, 7);
    assert_eq!(three.kept_bytes(), 3 * one_day);
    for kept in [keys[0], keys[2], keys[3]] {
        assert_eq!(ask(&three, kept).await, 7);
    }
    assert_eq!(ask(&three, keys[1]).await, 8);
}
