use nodesys_chain::BlockRef;
use nodesys_chain::release::{AnnouncedRelease, AnnouncedTombstone};
use serde_json::{Value, json};

use super::*;

const EXAMPLE: &[u8] = include_bytes!("../../../../core/schema/release.example.json");
const NODE: Address = Address::repeat_byte(0x0d);
const T: u64 = 1_800_000_000;

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn release_with(number: u64, change: impl FnOnce(&mut Value)) -> Release {
    let mut value: Value = serde_json::from_slice(EXAMPLE).unwrap();
    value["version"] = number.to_string().into();
    change(&mut value);
    Release::parse(value.to_string().as_bytes()).unwrap()
}

fn release(number: u64) -> Release {
    release_with(number, |_| ())
}

fn announced(release: &Release) -> AnnouncedRelease {
    AnnouncedRelease {
        version: release.version().get(),
        release_hash: release.hash(),
        announced_at: T - 90_000,
        runnable_at: T - 3600,
    }
}

fn tombstone(number: u64, removes_volumes: bool) -> AnnouncedTombstone {
    AnnouncedTombstone {
        version: number,
        removes_volumes,
        announced_at: T - 90_000,
        effective_at: T - 3600,
    }
}

/// The releases on chain: none by default.
fn chain() -> WorkloadReleases {
    WorkloadReleases {
        block: BlockRef { number: 1, hash: B256::ZERO, secs: T },
        release_key: None,
        release_delay_secs: 86_400,
        runnable: None,
        announced: None,
        tombstone: None,
        announced_tombstone: None,
    }
}

fn runnable(release: &Release) -> WorkloadReleases {
    let it = Some(announced(release));
    WorkloadReleases { runnable: it, announced: it, ..chain() }
}

/// A ledger in which this version runs.
fn runs(number: u64) -> Ledger {
    Ledger {
        current: Some(version(number)),
        accepted: [(version(number), release(number))].into(),
        ..Ledger::default()
    }
}

/// One step of a story.
struct Step {
    ledger: Ledger,
    now: u64,
    chain: Result<WorkloadReleases, String>,
    offered: Option<Result<Release, String>>,
    fitness: Fitness,
    live: Option<Version>,
    ending: bool,
    grant: Grant,
}

impl Step {
    fn new(ledger: Ledger, chain: WorkloadReleases) -> Self {
        Self {
            live: ledger.wanted(),
            ledger,
            now: T,
            chain: Ok(chain),
            offered: None,
            fitness: Fitness::Fit,
            ending: false,
            grant: Grant::of(&release(1)),
        }
    }

    fn offered(mut self, release: Release) -> Self {
        self.offered = Some(Ok(release));
        self
    }

    fn plan(&self) -> Plan {
        plan(
            &self.ledger,
            &Observation {
                now: Timestamp::from_secs(self.now),
                node_key: NODE,
                workload: &"render".parse().unwrap(),
                chain: self.chain.as_ref().map_err(Clone::clone),
                live: self.live,
                ending: self.ending,
                offered: self.offered.clone(),
                fitness: self.fitness.clone(),
                grant: &self.grant,
            },
        )
    }
}

fn kept(plan: &Plan, number: u64, words: &str) {
    assert_eq!(plan.run, Run::Release(version(number)), "{plan:?}");
    assert!(plan.told.is_empty(), "{plan:?}");
    let problem = plan.problem.as_deref().unwrap_or_default();
    assert!(problem.contains(words), "{problem:?} does not say {words:?}");
}

#[test]
fn the_first_version_is_run_at_once() {
    let chain = runnable(&release(3));
    assert_eq!(to_fetch(&Ledger::default(), &chain), Some((version(3), release(3).hash())));
    let plan = Step::new(Ledger::default(), chain).offered(release(3)).plan();
    assert_eq!(plan.run, Run::Release(version(3)));
    assert_eq!(plan.told, [RolloutEvent::Installed(version(3))]);
    assert_eq!((plan.ledger.current, plan.ledger.rollout), (Some(version(3)), None));
}

#[test]
fn before_the_delay_nothing_is_run() {
    let mut soon = announced(&release(3));
    soon.runnable_at = T + 60;
    let chain = WorkloadReleases { announced: Some(soon), ..chain() };
    assert_eq!(to_fetch(&Ledger::default(), &chain), None);
    // Not even if somebody serves it.
    let plan = Step::new(Ledger::default(), chain).offered(release(3)).plan();
    assert_eq!((plan.run, plan.problem), (Run::Nothing, None));
    assert!(plan.waits.unwrap().contains("version 3 may run from"));
}

/// A vetoed version is one that the chain no longer lists.
#[test]
fn a_vetoed_version_is_not_run_and_what_runs_stays() {
    let plan = Step::new(runs(2), runnable(&release(2))).offered(release(3)).plan();
    assert_eq!((plan.run, plan.problem), (Run::Release(version(2)), None));
    let plan = Step::new(Ledger::default(), chain()).offered(release(3)).plan();
    assert_eq!(plan.run, Run::Nothing);
    assert_eq!(plan.waits.as_deref(), Some("no release is announced yet"));
}

/// Each row is a failure; version 2 keeps running, and the text names the problem.
#[test]
fn nothing_is_taken_away_on_errors_empty_and_short_answers() {
    let unreachable = Err("the RPC cannot be reached".to_owned());
    let step = |chain| Step::new(runs(2), chain);
    let mut other_hash = runnable(&release(2));
    other_hash.runnable.as_mut().unwrap().release_hash = B256::repeat_byte(9);
    let greedy = release_with(3, |it| {
        it["containers"][0]["resources"]["limits"]["memory_mib"] = json!(4096);
    });
    let elsewhere = release_with(3, |it| it["workload"] = json!("other"));
    let rows = [
        (Step { chain: unreachable, ..step(chain()) }, "cannot be reached"),
        (step(chain()), "lists no release that may run, but version 2 runs here"),
        (step(runnable(&release(1))), "lists version 1 as the newest, but version 2 runs"),
        (step(other_hash), "another hash for version 2"),
        (
            Step { offered: Some(Err("no bytes".into())), ..step(runnable(&release(3))) },
            "version 3: no bytes",
        ),
        (step(runnable(&release(3))).offered(release(4)), "another hash"),
        (step(runnable(&greedy)).offered(greedy), "more than you agreed to: limits memory_mib"),
        (step(runnable(&elsewhere)).offered(elsewhere), "announced for render, but the document"),
        // A tombstone of an earlier version, and one that is not in effect yet.
        (
            step(WorkloadReleases { tombstone: Some(tombstone(1, true)), ..chain() }),
            "lists no release",
        ),
        (
            step(WorkloadReleases { announced_tombstone: Some(tombstone(9, true)), ..chain() }),
            "lists no release",
        ),
    ];
    for (step, words) in rows {
        let plan = step.plan();
        kept(&plan, 2, words);
        assert_eq!(plan.ledger, runs(2));
    }
}

#[test]
fn a_lost_ledger_takes_nothing_away() {
    let lost = |chain| Step { live: Some(version(5)), ..Step::new(Ledger::default(), chain) };
    let plan = lost(chain()).plan();
    assert_eq!(plan.run, Run::Nothing);
    assert!(plan.problem.unwrap().contains("version 5 runs here"));
    let plan = lost(runnable(&release(3))).offered(release(3)).plan();
    assert_eq!(plan.run, Run::Nothing, "not back to version 3");
    let plan = lost(runnable(&release(5))).offered(release(5)).plan();
    assert_eq!(plan.run, Run::Release(version(5)), "taken up again");
    let dead = WorkloadReleases { tombstone: Some(tombstone(6, false)), ..chain() };
    assert_eq!(lost(dead).plan().run, Run::Remove { volumes: false });
}

#[test]
fn an_update_passes_its_gate() {
    let chain = runnable(&release(3));
    let plan = Step::new(runs(2), chain.clone()).offered(release(3)).plan();
    assert_eq!(plan.told, [RolloutEvent::Updating { from: version(2), to: version(3) }]);
    assert_eq!(plan.run, Run::Release(version(3)));
    assert_eq!(plan.ledger.running(), [version(2), version(3)]);

    // The gate is 60 s of health without a break, from when the cluster runs it.
    let mut ledger = plan.ledger;
    for (at, fitness, told) in [
        (0, Fitness::Absent, None),
        (500, Fitness::Absent, None),
        (600, Fitness::Unfit("starting".into()), None),
        (610, Fitness::Fit, None),
        (660, Fitness::Fit, None),
        (665, Fitness::Unfit("a break".into()), None),
        (670, Fitness::Fit, None),
        (729, Fitness::Fit, None),
        (730, Fitness::Fit, Some(RolloutEvent::Updated(version(3)))),
    ] {
        let step = Step { now: T + at, fitness, ..Step::new(ledger, chain.clone()) };
        let plan = step.plan();
        assert_eq!(plan.told.first(), told.as_ref(), "at {at}");
        assert_eq!(plan.run, Run::Release(version(3)));
        ledger = plan.ledger;
    }
    assert_eq!((ledger.current, ledger.running()), (Some(version(3)), vec![version(3)]));
}

#[test]
fn an_update_waits_for_a_pod_that_ends() {
    let mut step = Step::new(runs(3), runnable(&release(4))).offered(release(4));
    step.ending = true;
    let waits = step.plan();
    assert_eq!((waits.run, waits.told.len()), (Run::Release(version(3)), 0));
    assert!(waits.waits.unwrap().contains("once a pod that ends has ended"));
    step.ending = false;
    assert_eq!(step.plan().run, Run::Release(version(4)));
    // The first version has nothing that it would run beside.
    let mut first = Step::new(Ledger::default(), runnable(&release(3))).offered(release(3));
    first.ending = true;
    assert_eq!(first.plan().run, Run::Release(version(3)));
}

#[test]
fn a_bad_version_goes_back_and_stays_in_quarantine() {
    let chain = runnable(&release(3));
    let begun = Step::new(runs(2), chain.clone()).offered(release(3)).plan().ledger;
    let at = |ledger: &Ledger, at, fitness| {
        Step { now: T + at, fitness, ..Step::new(ledger.clone(), chain.clone()) }.plan()
    };
    // By its deadline, 900 s from when the cluster began to run it.
    let unfit = || Fitness::Unfit("no health post".into());
    let trying = at(&begun, 100, unfit()).ledger;
    assert_eq!(at(&trying, 999, unfit()).run, Run::Release(version(3)));
    let back = at(&trying, 1000, unfit());
    assert_eq!(back.run, Run::Release(version(2)));
    let RolloutEvent::RolledBack { from, to, why } = &back.told[0] else { panic!("{back:?}") };
    assert_eq!((*from, *to), (version(3), version(2)));
    assert_eq!(why, "not healthy within 900 s: no health post");
    // At once, where it is plain.
    let failed = at(&begun, 10, Fitness::Failed("restarted 3 times".into()));
    assert_eq!(failed.run, Run::Release(version(2)));

    // Not fetched and not tried again, whoever offers it.
    assert_eq!(to_fetch(&back.ledger, &chain), None);
    let again = Step::new(back.ledger.clone(), chain).offered(release(3)).plan();
    kept(&again, 2, "version 3: not run again, it failed at");
    // The next version is.
    let chain = runnable(&release(4));
    assert!(to_fetch(&back.ledger, &chain).is_some());
    let next = Step::new(back.ledger, chain).offered(release(4)).plan();
    assert_eq!(next.run, Run::Release(version(4)));
}

#[test]
fn an_update_is_judged_though_the_chain_is_silent() {
    let begun = Step::new(runs(2), runnable(&release(3))).offered(release(3)).plan().ledger;
    let step = Step { chain: Err("down".into()), ..Step::new(begun, chain()) };
    let failed = Step { fitness: Fitness::Failed("bad".into()), ..step }.plan();
    assert_eq!(failed.run, Run::Release(version(2)));
}

#[test]
fn only_a_tombstone_in_effect_removes_up_to_its_version() {
    for volumes in [false, true] {
        let dead = WorkloadReleases { tombstone: Some(tombstone(2, volumes)), ..chain() };
        let plan = Step::new(runs(2), dead.clone()).plan();
        assert_eq!(plan.run, Run::Remove { volumes });
        assert_eq!(plan.told, [RolloutEvent::Removed(version(2))]);
        assert_eq!(plan.ledger.removed_up_to, Some(version(2)));
        // Repeated, nothing changes, and it is reported once.
        let again = Step::new(plan.ledger.clone(), dead).plan();
        assert_eq!((again.run, again.told), (Run::Remove { volumes }, vec![]));
        // What is announced later is a new beginning.
        let both =
            WorkloadReleases { tombstone: Some(tombstone(2, volumes)), ..runnable(&release(3)) };
        let next = Step::new(plan.ledger, both).offered(release(3)).plan();
        assert_eq!(next.run, Run::Release(version(3)));
        assert_eq!(next.told, [RolloutEvent::Installed(version(3))]);
    }
}

#[test]
fn nodes_begin_spread_over_the_stagger() {
    let staggered = release_with(3, |it| it["update"]["stagger_secs"] = json!(3600));
    let mut starts: Vec<u64> =
        (0..64).map(|i| begins(T, &staggered, Address::repeat_byte(i)).secs() - T).collect();
    starts.sort_unstable();
    starts.dedup();
    assert!(starts.len() > 50 && starts[0] < 400 && *starts.last().unwrap() > 3200, "{starts:?}");
    assert!(*starts.last().unwrap() <= 3600);
    assert_eq!(begins(T, &release(3), NODE).secs(), T);

    let start = begins(T - 3600, &staggered, NODE).secs();
    let chain = WorkloadReleases {
        block: BlockRef { number: 1, hash: B256::ZERO, secs: T - 7200 },
        ..runnable(&staggered)
    };
    let step = |now| Step { now, ..Step::new(runs(2), chain.clone()) }.offered(staggered.clone());
    let early = step(start - 1).plan();
    assert_eq!((early.run, early.problem), (Run::Release(version(2)), None));
    assert!(early.waits.unwrap().contains("begins on this node at"));
    assert_eq!(step(start).plan().run, Run::Release(version(3)));
    // By whichever is later, the machine's clock or the chain's.
    let mut late = chain.clone();
    late.block.secs = start;
    let behind = Step { now: start - 9000, ..Step::new(runs(2), late) };
    assert_eq!(behind.offered(staggered.clone()).plan().run, Run::Release(version(3)));
    // A node that has nothing does not wait.
    let fresh = Step { now: start - 1, ..Step::new(Ledger::default(), chain.clone()) };
    assert_eq!(fresh.offered(staggered.clone()).plan().run, Run::Release(version(3)));
}

#[test]
fn a_ledger_comes_back_and_a_damaged_one_is_refused() {
    let mut ledger = Step::new(runs(2), runnable(&release(3))).offered(release(3)).plan().ledger;
    let why = "restarted".to_owned();
    let bad = Quarantined { release_hash: B256::ZERO, why, at: Timestamp::from_secs(T) };
    ledger.quarantined.insert(version(1), bad);
    let data = ledger.to_data();
    assert_eq!(Ledger::from_data(&data).unwrap(), ledger);
    assert_eq!(Ledger::from_data(&Default::default()).unwrap(), Ledger::default());
    for (entry, change) in [
        ("release-3.json", (|it| it.replace("Acme", "Evil")) as fn(&str) -> String),
        ("release-2.json", |_| String::new()),
        ("ledger.json", |it| it.replace("\"current\":\"2\"", "\"current\":\"7\"")),
        ("ledger.json", |_| "{}".to_owned()),
    ] {
        let mut damaged = data.clone();
        let text = change(&damaged[entry]);
        damaged.insert(entry.to_owned(), text);
        assert!(Ledger::from_data(&damaged).is_err(), "{entry}");
    }
}
