//! The queue and its results on a real Postgres.

use std::collections::{BTreeSet, HashMap};

use nodesys_core::ids::{Fence, TaskId};
use nodesys_core::task::output_hash;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;
use sqlx::PgPool;

use super::add::{AddedTasks, add};
use super::queue::{ExpiredLeases, LeaseHolder, Queue, pg_bigint};
use super::result::{GivenOutput, ResultOutcome, take};

const NOW: Timestamp = Timestamp::from_secs(20_454 * 86_400 + 3_600);
const DAY: UtcDay = UtcDay(20_454);

async fn queue(pool: &PgPool) -> Queue {
    Queue::open(pool.clone(), 31_337, Address::repeat_byte(2)).await.unwrap()
}

fn holder(byte: u8) -> LeaseHolder {
    LeaseHolder {
        license: B256::repeat_byte(byte),
        node_key: Address::repeat_byte(byte),
        fence: Fence::checked_new(1).unwrap(),
        workload: "alpha".parse().unwrap(),
    }
}

async fn added(queue: &Queue, lines: &str) -> AddedTasks {
    add(queue, lines.as_bytes(), NOW).await.unwrap()
}

async fn refused(queue: &Queue, lines: &str) -> String {
    format!("{:#}", add(queue, lines.as_bytes(), NOW).await.unwrap_err())
}

fn given(output: u32) -> GivenOutput {
    GivenOutput { output: output.to_string(), output_hash: output_hash(&json!(output)) }
}

async fn report(
    queue: &Queue,
    task: TaskId,
    byte: u8,
    output: u32,
    now: Timestamp,
) -> ResultOutcome {
    take(queue, task, &holder(byte), &given(output), now).await.unwrap()
}

fn stored(task: TaskId, output: u32) -> ResultOutcome {
    let output_hash = given(output).output_hash;
    ResultOutcome::Stored(nodesys_core::task::ResultTaken { task, output_hash })
}

async fn lease(queue: &Queue, byte: u8, max: u16, now: Timestamp) -> Vec<TaskId> {
    let leased = queue.lease(&holder(byte), max, now).await.unwrap();
    leased.into_iter().map(|task| task.id).collect()
}

async fn state(queue: &Queue, task: TaskId) -> (String, Option<String>) {
    let row =
        sqlx::query!("select state, dead_reason from task where id = $1", pg_bigint(task.get()))
            .fetch_one(queue.pool())
            .await
            .unwrap();
    (row.state, row.dead_reason)
}

async fn paid(queue: &Queue, day: UtcDay) -> Vec<(u8, u64)> {
    let counts = queue.counts(day).await.unwrap();
    let mut counts: Vec<_> = counts.into_iter().map(|(license, n)| (license[0], n)).collect();
    counts.sort_unstable();
    counts
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn a_file_is_added_once_and_whole(pool: PgPool) {
    let queue = queue(&pool).await;
    let lines = "{\"key\":\"a\",\"input\":1}\n\n{\"key\":\"b\",\"input\":{\"y\":1,\"x\":2}}";
    assert_eq!(added(&queue, lines).await, AddedTasks { added: 2, known: 0 });
    assert_eq!(added(&queue, lines).await, AddedTasks { added: 0, known: 2 });
    let same = "{\"input\":{\"x\":2,\"y\":1},\"key\":\"b\"}\n{\"key\":\"c\",\"input\":3}\n";
    assert_eq!(added(&queue, same).await, AddedTasks { added: 1, known: 1 });

    let error = refused(&queue, "{\"key\":\"d\",\"input\":1}\n{\"key\":\"e\"}\n").await;
    assert!(error.contains("line 2; no task was added"), "{error}");
    let error = refused(&queue, "{\"key\":\"d\",\"input\":1}\n{\"key\":\"a\",\"input\":2}\n").await;
    assert!(error.contains("line 2") && error.contains("choose another key"), "{error}");
    let twice = "{\"key\":\"d\",\"input\":1}\n{\"key\":\"d\",\"input\":2}\n";
    assert!(refused(&queue, twice).await.contains("another content"));
    let long = format!("{{\"key\":\"d\",\"input\":\"{}\"}}", "x".repeat(600_000));
    assert!(refused(&queue, &long).await.contains("line 1 is longer"));

    let leased = queue.lease(&holder(1), 9, NOW).await.unwrap();
    let inputs: Vec<&str> = leased.iter().map(|task| task.input.as_str()).collect();
    assert_eq!(inputs, ["1", r#"{"x":2,"y":1}"#, "3"]);
    // Another project on the same database has a queue of its own.
    let other = Queue::open(pool, 31_337, Address::repeat_byte(3)).await.unwrap();
    assert_eq!(lease(&other, 2, 9, NOW).await, []);
    assert_eq!(added(&other, lines).await, AddedTasks { added: 2, known: 0 });
    assert_eq!(
        report(&queue, TaskId::checked_new(999).unwrap(), 1, 1, NOW).await,
        ResultOutcome::NoTask
    );
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn the_same_lease_again_gets_the_same_tasks(pool: PgPool) {
    let queue = queue(&pool).await;
    let lines: String = (0..10).map(|i| format!("{{\"key\":\"{i}\",\"input\":{i}}}\n")).collect();
    added(&queue, &lines).await;
    let first = lease(&queue, 1, 3, NOW).await;
    assert_eq!(first.len(), 3);
    assert_eq!(lease(&queue, 1, 3, NOW).await, first);
    let more = lease(&queue, 1, 5, NOW).await;
    assert_eq!((&more[..3], more.len()), (&first[..], 5));
    // A license that has answered one may hold another in its place.
    assert_eq!(report(&queue, first[0], 1, 7, NOW).await, stored(first[0], 7));
    let next = lease(&queue, 1, 5, NOW).await;
    assert_eq!((next.len(), next[0]), (5, first[1]));
    // After a takeover the new node starts afresh; the old one's leases run out.
    let taken_over = LeaseHolder {
        node_key: Address::repeat_byte(9),
        fence: Fence::checked_new(2).unwrap(),
        ..holder(1)
    };
    let fresh = queue.lease(&taken_over, 2, NOW).await.unwrap();
    assert!(fresh.iter().all(|task| !next.contains(&task.id)));
    assert_eq!(
        take(&queue, next[0], &taken_over, &given(1), NOW).await.unwrap(),
        ResultOutcome::NotLeased
    );
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn a_result_is_taken_once_and_every_refusal_says_why(pool: PgPool) {
    let queue = queue(&pool).await;
    let lines = r#"{"key":"a","input":1,"time_limit_secs":10,"max_attempts":2}
        {"key":"b","input":1,"time_limit_secs":10,"max_attempts":1}"#;
    added(&queue, lines).await;
    let tasks = lease(&queue, 1, 2, NOW).await;
    let [a, b] = tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(report(&queue, a, 2, 5, NOW).await, ResultOutcome::NotLeased);
    assert_eq!(report(&queue, a, 1, 5, NOW).await, stored(a, 5));
    assert_eq!(report(&queue, a, 1, 5, NOW.plus_millis(99_000_000)).await, stored(a, 5));
    assert_eq!(report(&queue, a, 1, 6, NOW).await, ResultOutcome::AlreadyDone);
    assert_eq!(state(&queue, a).await, ("done".to_owned(), None));
    assert_eq!(paid(&queue, DAY).await, [(1, 1)]);

    // Overdue, before and after the lease is ended.
    let later = NOW.plus_millis(10_000);
    assert_eq!(report(&queue, b, 1, 5, later).await, ResultOutcome::TaskExpired);
    assert_eq!(queue.expire(NOW.plus_millis(9_999)).await.unwrap(), ExpiredLeases::default());
    assert_eq!(queue.expire(later).await.unwrap(), ExpiredLeases { leases: 1, dead: 1 });
    assert_eq!(queue.expire(later).await.unwrap(), ExpiredLeases::default());
    assert_eq!(state(&queue, b).await, ("dead".to_owned(), Some("attempts".to_owned())));
    assert_eq!(report(&queue, b, 1, 5, later).await, ResultOutcome::Late);
    assert_eq!(lease(&queue, 2, 9, later).await, []);
    assert_eq!(paid(&queue, DAY).await, [(1, 1)]);
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn an_expired_lease_is_tried_again_up_to_the_bound(pool: PgPool) {
    let queue = queue(&pool).await;
    added(&queue, r#"{"key":"a","input":1,"time_limit_secs":10,"max_attempts":3}"#).await;
    let mut now = NOW;
    for attempt in 1..=3 {
        let tasks = lease(&queue, attempt % 2, 1, now).await;
        assert_eq!(tasks.len(), 1, "attempt {attempt}");
        assert_eq!(lease(&queue, 7, 1, now).await, []);
        now = now.plus_millis(10_000);
        let dead = u64::from(attempt == 3);
        assert_eq!(queue.expire(now).await.unwrap(), ExpiredLeases { leases: 1, dead });
    }
    assert_eq!(lease(&queue, 1, 1, now).await, []);
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn two_of_three_agree(pool: PgPool) {
    let queue = queue(&pool).await;
    added(&queue, r#"{"key":"a","input":1,"copies":3}"#).await;
    let task = lease(&queue, 1, 5, NOW).await[0];
    // Another license on the same node is not another opinion.
    let same_node = LeaseHolder { license: B256::repeat_byte(9), ..holder(1) };
    assert_eq!(queue.lease(&same_node, 5, NOW).await.unwrap(), []);
    for byte in [2, 3] {
        assert_eq!(lease(&queue, byte, 5, NOW).await, [task]);
    }
    assert_eq!(lease(&queue, 4, 5, NOW).await, []);
    assert_eq!(report(&queue, task, 1, 8, NOW).await, stored(task, 8));
    assert_eq!(report(&queue, task, 2, 7, NOW).await, stored(task, 7));
    assert_eq!((state(&queue, task).await.0, paid(&queue, DAY).await), ("open".to_owned(), vec![]));
    // A result counts at the time of agreement, here on the next day.
    let next = DAY.end().plus_millis(5);
    sqlx::query("update task_attempt set expires_millis = $1")
        .bind(pg_bigint(next.millis() + 1))
        .execute(queue.pool())
        .await
        .unwrap();
    assert_eq!(report(&queue, task, 3, 7, next).await, stored(task, 7));
    assert_eq!(state(&queue, task).await.0, "done");
    assert_eq!(paid(&queue, DAY).await, []);
    assert_eq!(paid(&queue, DAY.next()).await, [(2, 1), (3, 1)]);
    assert_eq!(report(&queue, task, 1, 8, next).await, stored(task, 8));
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn a_task_whose_outputs_cannot_agree_pays_nobody(pool: PgPool) {
    let queue = queue(&pool).await;
    added(&queue, r#"{"key":"a","input":1,"copies":3,"agree":3}"#).await;
    let task = lease(&queue, 1, 1, NOW).await[0];
    for byte in [2, 3] {
        lease(&queue, byte, 1, NOW).await;
    }
    report(&queue, task, 1, 7, NOW).await;
    assert_eq!(report(&queue, task, 2, 8, NOW).await, stored(task, 8));
    assert_eq!(state(&queue, task).await, ("dead".to_owned(), Some("disagreement".to_owned())));
    assert_eq!(report(&queue, task, 3, 7, NOW).await, ResultOutcome::Late);
    assert_eq!(paid(&queue, DAY).await, []);
    let pending = sqlx::query_scalar!("select count(*) from task_result where verdict = 'pending'");
    assert_eq!(pending.fetch_one(queue.pool()).await.unwrap(), Some(0));
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn answers_that_wait_are_rejected_when_no_lease_is_left(pool: PgPool) {
    let queue = queue(&pool).await;
    let line = r#"{"key":"a","input":1,"copies":2,"max_attempts":2,"time_limit_secs":10}"#;
    added(&queue, line).await;
    let task = lease(&queue, 1, 1, NOW).await[0];
    lease(&queue, 2, 1, NOW).await;
    report(&queue, task, 1, 7, NOW).await;
    let ended = queue.expire(NOW.plus_millis(10_000)).await.unwrap();
    assert_eq!(ended, ExpiredLeases { leases: 1, dead: 1 });
    // In the other order it is the result that ends the task.
    added(&queue, &line.replace("\"a\"", "\"b\"")).await;
    let other = lease(&queue, 1, 1, NOW).await[0];
    let ended = queue.expire(NOW.plus_millis(10_000)).await.unwrap();
    assert_eq!(ended, ExpiredLeases { leases: 1, dead: 0 });
    lease(&queue, 2, 1, NOW).await;
    report(&queue, other, 2, 7, NOW).await;
    for task in [task, other] {
        assert_eq!(state(&queue, task).await, ("dead".to_owned(), Some("attempts".to_owned())));
    }
    let rejected =
        sqlx::query_scalar!("select count(*) from task_result where verdict = 'rejected'");
    assert_eq!(rejected.fetch_one(queue.pool()).await.unwrap(), Some(2));
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn a_canary_pays_the_known_answer_only(pool: PgPool) {
    let queue = queue(&pool).await;
    added(&queue, r#"{"key":"a","input":1,"copies":2,"expected":7}"#).await;
    let task = lease(&queue, 1, 1, NOW).await[0];
    lease(&queue, 2, 1, NOW).await;
    assert_eq!(report(&queue, task, 1, 8, NOW).await, stored(task, 8));
    assert_eq!(state(&queue, task).await.0, "open");
    assert_eq!(report(&queue, task, 2, 7, NOW).await, stored(task, 7));
    assert_eq!(
        (state(&queue, task).await.0, paid(&queue, DAY).await),
        ("done".to_owned(), vec![(2, 1)])
    );
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn a_closed_days_counts_do_not_change(pool: PgPool) {
    let queue = queue(&pool).await;
    let lines: String = (0..3).map(|i| format!("{{\"key\":\"{i}\",\"input\":{i}}}\n")).collect();
    added(&queue, &lines).await;
    let tasks = lease(&queue, 1, 3, NOW).await;
    report(&queue, tasks[0], 1, 7, NOW).await;
    let one = HashMap::from([(B256::repeat_byte(1), 1)]);
    assert_eq!(queue.close_day(DAY).await.unwrap(), one);
    // ResultOutcome by a handler that read the clock before midnight and was held up.
    report(&queue, tasks[1], 1, 7, NOW).await;
    assert_eq!(queue.close_day(DAY).await.unwrap(), one);
    assert_eq!(paid(&queue, DAY.next()).await, [(1, 1)]);
    // An earlier day closed later changes nothing.
    assert_eq!(queue.close_day(UtcDay(DAY.0 - 1)).await.unwrap(), HashMap::new());
    report(&queue, tasks[2], 1, 7, NOW).await;
    assert_eq!(
        queue.close_day(DAY.next()).await.unwrap(),
        HashMap::from([(B256::repeat_byte(1), 2)])
    );
    for statement in ["update task_result set day = day + 1", "delete from task_result"] {
        let error = sqlx::query(statement).execute(queue.pool()).await.unwrap_err();
        assert!(error.to_string().contains("for good"), "{error}");
    }
}

#[sqlx::test(migrations = "../../migrations/master")]
async fn results_and_a_closing_day_never_cross(pool: PgPool) {
    let queue = queue(&pool).await;
    let lines: String = (0..200).map(|i| format!("{{\"key\":\"{i}\",\"input\":{i}}}\n")).collect();
    added(&queue, &lines).await;
    let workers = (1..=4_u8).map(|byte| {
        let queue = queue.clone();
        tokio::spawn(async move {
            for task in lease(&queue, byte, 50, NOW).await {
                assert_eq!(report(&queue, task, byte, 1, NOW).await, stored(task, 1));
            }
        })
    });
    let workers: Vec<_> = workers.collect();
    tokio::task::yield_now().await;
    let at_close: u64 = queue.close_day(DAY).await.unwrap().values().sum();
    for worker in workers {
        worker.await.unwrap();
    }
    let total = |counts: Vec<(u8, u64)>| counts.iter().map(|(_, n)| n).sum::<u64>();
    assert_eq!(total(paid(&queue, DAY).await), at_close);
    assert_eq!(total(paid(&queue, DAY.next()).await), 200 - at_close);
}

/// Two masters, several licenses, anything in any order: the invariants hold at every end.
#[sqlx::test(migrations = "../../migrations/master")]
async fn contention_loses_nothing_and_pays_nothing_twice(pool: PgPool) {
    let mut runner = TestRunner::default();
    let cases = (1u16..4, 1u16..30, prop::collection::vec((1u8..6, 1u16..8, any::<bool>()), 4..24));
    for round in 0..8_u8 {
        let (copies, tasks, moves) = cases.new_tree(&mut runner).unwrap().current();
        contention(&pool, round, copies, tasks, moves).await;
    }
}

async fn contention(
    pool: &PgPool,
    round: u8,
    copies: u16,
    tasks: u16,
    moves: Vec<(u8, u16, bool)>,
) {
    let distributor = Address::repeat_byte(0x40 + round);
    let masters = [
        Queue::open(pool.clone(), 31_337, distributor).await.unwrap(),
        Queue::open(pool.clone(), 31_337, distributor).await.unwrap(),
    ];
    let lines: String = (0..tasks)
        .map(|i| format!("{{\"key\":\"{i}\",\"input\":{i},\"copies\":{copies},\"max_attempts\":60,\"time_limit_secs\":5}}\n"))
        .collect();
    added(&masters[0], &lines).await;
    let running = moves.clone().into_iter().enumerate().map(|(i, (byte, max, answers))| {
        let queue = masters[i % 2].clone();
        tokio::spawn(async move {
            let mine = lease(&queue, byte, max, NOW).await;
            assert!(mine.len() <= usize::from(max));
            let distinct: BTreeSet<TaskId> = mine.iter().copied().collect();
            assert_eq!(distinct.len(), mine.len());
            for task in mine.into_iter().filter(|_| answers) {
                let taken = report(&queue, task, byte, 7, NOW).await;
                assert_eq!(taken, stored(task, 7));
            }
        })
    });
    for one in running.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    // Everything left is answered in turns; what was leased and left runs out first.
    let mut now = NOW;
    for turn in 0..200_u16 {
        now = now.plus_millis(5_000);
        masters[usize::from(turn % 2)].expire(now).await.unwrap();
        let mut idle = true;
        for byte in 1..6 {
            for task in lease(&masters[usize::from(byte % 2)], byte, 100, now).await {
                idle = false;
                assert_eq!(report(&masters[0], task, byte, 7, now).await, stored(task, 7));
            }
        }
        if idle {
            break;
        }
    }
    let row = sqlx::query!(
        r#"select count(*) as "tasks!", count(*) filter (where state = 'done') as "done!",
             coalesce(sum(live), 0)::bigint as "live!",
             (select count(*) from task_result where queue = $1 and day is not null) as "paid!",
             (select max(n) from (select count(*) as n from task_result
                where queue = $1 and day is not null group by task) each) as "most!"
           from task where queue = $1"#,
        masters[0].id()
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!((row.tasks, row.done, row.live), (tasks.into(), tasks.into(), 0), "{moves:?}");
    // Each task is done once half its copies agree; a lease that runs then may still be paid.
    let agree = i64::from(copies / 2 + 1);
    assert!(row.paid >= i64::from(tasks) * agree && row.most <= i64::from(copies), "{row:?}");
}
