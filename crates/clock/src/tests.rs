use super::*;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stepped::{Hello, Report, line};

const START: Timestamp = Timestamp::from_secs(1_767_225_600);

async fn server() -> ClockServer {
    ClockServer::start(START, Duration::from_secs(10)).await.unwrap()
}

fn ticking(clock: &Clock, period_secs: u64) -> Arc<AtomicU64> {
    let mut sleeper = clock.sleeper();
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        loop {
            sleeper.sleep(Duration::from_secs(period_secs)).await;
            tokio::task::yield_now().await;
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    count
}

#[tokio::test]
async fn every_loop_gets_every_turn() {
    let server = server().await;
    let one = Clock::stepped(server.addr(), "one").await.unwrap();
    let two = Clock::stepped(server.addr(), "two").await.unwrap();
    let (tens, sevens) = (ticking(&one, 10), ticking(&two, 7));
    let mut minutes = 0;
    let target = START.plus_millis(3_600_000);
    server
        .run_until(target, async |_| {
            minutes += 1;
            Ok::<_, Infallible>(())
        })
        .await
        .unwrap();
    assert_eq!(minutes, 60);
    assert_eq!(server.now().await, target);
    assert_eq!(tens.load(Ordering::SeqCst), 360);
    assert_eq!(sevens.load(Ordering::SeqCst), 514);
    assert_eq!(one.now(), target);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_wakes_finds_everybody_at_its_time() {
    let server = server().await;
    let (asks, asked) = (
        Clock::stepped(server.addr(), "asks").await.unwrap(),
        Clock::stepped(server.addr(), "asked").await.unwrap(),
    );
    // Not due for as long as the test runs.
    let _hourly = ticking(&asked, 7200);
    let mut sleeper = asks.sleeper();
    let looking = tokio::spawn(async move {
        for _ in 0..360 {
            sleeper.sleep(Duration::from_secs(10)).await;
            assert_eq!(asked.now(), asks.now());
        }
    });
    let target = START.plus_millis(3_600_000);
    server.run_until(target, async |_| Ok::<_, Infallible>(())).await.unwrap();
    looking.await.unwrap();
}

#[tokio::test]
async fn a_program_that_ends_lets_go() {
    let short = ClockServer::start(START, Duration::from_secs(1)).await.unwrap();
    let clock = Clock::stepped(short.addr(), "gone").await.unwrap();
    let awake = clock.sleeper();
    // The connection is accepted by its own task; wait for the server to have it.
    let held = async {
        loop {
            match short.settle().await {
                Err(ClockError::Held { who, .. }) => return who,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    assert_eq!(held.await, "gone");
    drop(awake);
    drop(clock);
    let target = START.plus_millis(60_000);
    short.run_until(target, async |_| Ok::<_, Infallible>(())).await.unwrap();
}

#[tokio::test]
async fn waking_early_keeps_the_loop_awake() {
    let server = server().await;
    let clock = Clock::stepped(server.addr(), "early").await.unwrap();
    let mut sleeper = clock.sleeper();
    tokio::select! {
        () = sleeper.sleep(Duration::from_secs(60)) => panic!("time stood still"),
        () = tokio::task::yield_now() => {}
    }
    let woke = tokio::spawn(async move { sleeper.sleep_until(START.plus_millis(5)).await });
    server.run_until(START.plus_millis(5), async |_| Ok::<_, Infallible>(())).await.unwrap();
    woke.await.unwrap();
}

#[tokio::test]
async fn only_the_development_chain_may_be_stepped() {
    let addr = server().await.addr();
    let refused = Clock::from_flag(Some(addr), 1, "x").await;
    assert!(matches!(refused, Err(ClockError::NotDevelopment(1))));
    let system = Clock::from_flag(None, 1, "x").await.unwrap();
    assert!(system.now().secs() > 1_700_000_000);
    assert!(system.monotonic_millis() < 60_000);
}

/// A process that was stopped by somebody, for whom a program speaks that holds the clock.
#[tokio::test]
async fn a_stopped_program_is_left_behind_until_it_goes_on() {
    let server = ClockServer::start(START, Duration::from_secs(20)).await.unwrap();
    let mut process = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pid = process.id();
    let mut program = TcpStream::connect(server.addr()).await.unwrap();
    program
        .write_all(&line(&Hello { name: "stopped".to_owned(), pid, holds: true }))
        .await
        .unwrap();
    let signal = |signal: &str| {
        let sent = std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
        assert!(sent.unwrap().success());
    };
    let step = async |secs: u64| {
        let to = START.plus_millis(secs * 1000);
        server.run_until(to, async |_| Ok::<_, std::convert::Infallible>(())).await
    };
    let mut answer = [0; 32];
    assert!(program.read(&mut answer).await.unwrap() > 0, "it is known to the clock");
    signal("-STOP");
    step(90).await.unwrap();
    assert_eq!(server.now().await, START.plus_millis(90_000));
    // It goes on, and is waited for from its first word on.
    signal("-CONT");
    let awake = Report { now: START, until: Some(START) };
    program.write_all(&line(&awake)).await.unwrap();
    // The word is read by a task of its own: the clock may go on until then.
    let mut held = false;
    for secs in 91..191 {
        held = tokio::time::timeout(Duration::from_secs(3), step(secs)).await.is_err();
        if held {
            break;
        }
    }
    assert!(held, "nobody waited");
    process.kill().unwrap();
    process.wait().unwrap();
}
