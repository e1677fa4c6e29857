//! The verdict on a day: what is proven, what is not missed, and what cannot be told.

use std::collections::BTreeMap;

use alloy::primitives::keccak256;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::{
    BUNDLE_JSON, Beneficiary, Bundle, DayBundle, DayInput, Format, PreviousDay, ProjectInfo,
    Snapshot, TREE_JSON, Terms, build_day, canonical_json,
};
use nodesys_core::files::{HolderRow, PointsRow, RewardRow, Row, UptimeRow, write_file};
use nodesys_core::holders::{Holders, LicenseEvent};
use nodesys_core::ids::{Amount, LicenseIndex, Points};
use nodesys_core::message::{DayClosed, Domain, Message as _, Signed};
use nodesys_core::points::Rule;
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::{ClosedUptime, uptime_leaf};
use nodesys_core::{Address, B256, U256};

use super::PostedCommit;
use super::Verdict;
use super::day::{DayFacts, DayFiles, DayOutcome, DoubtfulTokens, audit_day};
use super::report::Finding;
use crate::bundles::{BundleSource, COMMIT_JSON, Places, Reason, published_files};
use crate::commit::{sign, with_rewards};

const D0: UtcDay = UtcDay(20_454);
const COLLECTION: Address = Address::repeat_byte(0xcc);
const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);
const CAROL: Address = Address::repeat_byte(0xca);

fn project() -> ProjectInfo {
    ProjectInfo {
        chain_id: 31_337,
        registry: Address::repeat_byte(1),
        distributor: Address::repeat_byte(2),
        name: "acme".parse().unwrap(),
    }
}

fn receipt_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32]).unwrap()
}

/// Token 1 is alice's, 2 is bob's and rented to carol, the others are bob's.
fn holders() -> Holders {
    let mut events: Vec<LicenseEvent> = (1..=300u64)
        .map(|token| LicenseEvent::Transfer {
            collection: COLLECTION,
            token_id: U256::from(token),
            from: Address::ZERO,
            to: if token == 1 { ALICE } else { BOB },
        })
        .collect();
    events.push(LicenseEvent::UpdateUser {
        collection: COLLECTION,
        token_id: U256::from(2),
        user: CAROL,
        expires_secs: u64::MAX,
    });
    events.into_iter().collect()
}

fn input(day: UtcDay, minutes: &[u16], before: PreviousDay) -> DayInput {
    let uptime: Vec<UptimeRow> = minutes
        .iter()
        .zip(0u32..)
        .map(|(minutes, i)| UptimeRow {
            license: LicenseIndex(i),
            collection: COLLECTION,
            token_id: U256::from(i + 1),
            minutes: *minutes,
            expected: 1440,
            bitmap: DayBitmap::from_minute_on(1440 - minutes),
        })
        .collect();
    let project = project();
    let uptime_csv = keccak256(write_file(&uptime));
    let closed = DayClosed {
        day: day.epoch(),
        uptime_hash: uptime_leaf(project.distributor, uptime_csv, DayBitmap::EMPTY),
        evidence_root: B256::ZERO,
    };
    let key = receipt_key();
    let domain = Domain::new(project.chain_id, project.registry);
    let terms = Terms {
        day_reward: Amount::new(1000),
        rule: Rule::default(),
        beneficiary: Beneficiary::Renter,
        excluded: vec![],
    };
    let snapshot = snapshot(day);
    DayInput {
        points: terms.rule.points(&uptime, DayBitmap::EMPTY).unwrap(),
        holders: holders().of_day(&uptime, snapshot.block_secs, Format::NEWEST),
        closed: ClosedUptime {
            closed: Signed::new(closed, &domain, &key),
            receipt_key: key.address(),
            uptime_csv,
            excused: DayBitmap::EMPTY,
            path: vec![],
        },
        project,
        day,
        format: Format::NEWEST,
        revision: 0,
        daily_quota: Amount::new(5000),
        terms,
        snapshot,
        uptime,
        before,
    }
}

fn snapshot(day: UtcDay) -> Snapshot {
    let block_secs = day.end().secs();
    Snapshot { block_number: 7, block_hash: B256::repeat_byte(7), block_secs }
}

type Files = BTreeMap<&'static str, Vec<u8>>;

struct Published {
    files: Files,
    posted: PostedCommit,
}

fn publish(day: &DayBundle) -> Published {
    let key = SigningKey::from_bytes(&[5; 32]).unwrap();
    let signed = sign(&day.commit, &Domain::new(31_337, project().distributor), &key);
    Published {
        files: published_files(day, &signed).unwrap(),
        posted: PostedCommit {
            day: UtcDay::from_epoch(day.commit.epoch).unwrap(),
            commit: day.commit.clone(),
            commit_hash: day.commit.struct_hash(),
            activates_at: 0,
            block_number: 9,
            transaction: B256::ZERO,
        },
    }
}

fn audit(published: &Published, before: &PreviousDay) -> DayOutcome {
    audit_with(published, before, |_| {})
}

/// The committed files of these published ones, as places give them: by hash, and repaired where that
/// can be.
fn committed(published: &Published) -> DayFiles {
    let folder = tempfile::tempdir().unwrap();
    let (distributor, day) = (project().distributor, published.posted.day);
    let path = folder.path().join(format!("{distributor:#x}")).join(day.to_string());
    std::fs::create_dir_all(&path).unwrap();
    for (name, bytes) in &published.files {
        std::fs::write(path.join(name), bytes).unwrap();
    }
    let places = Places::from(BundleSource::parse(folder.path().to_str().unwrap()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let expected = published.posted.commit.data_hash;
        let json = places.committed(distributor, day, BUNDLE_JSON, expected).await;
        let bundle = json.bytes.as_deref().map(|bytes| Bundle::parse(bytes).unwrap());
        let mut files = DayFiles::from([(BUNDLE_JSON, json)]);
        for name in [UptimeRow::FILE, HolderRow::FILE, PointsRow::FILE, RewardRow::FILE] {
            let Some(bundle) = &bundle else { break };
            let expected = bundle.files[name];
            files.insert(name, places.committed(distributor, day, name, expected).await);
        }
        files
    })
}

fn audit_with(
    published: &Published,
    before: &PreviousDay,
    change: impl FnOnce(&mut DayFacts<'_>),
) -> DayOutcome {
    let project = project();
    let holders = holders();
    let mut facts = DayFacts {
        project: &project,
        posted: &published.posted,
        posted_secs: Ok(published.posted.day.end().secs() + 400),
        snapshot: Ok(snapshot(published.posted.day)),
        receipt_key: Ok(std::iter::once(0..u64::MAX).collect()),
        listed: [(COLLECTION, Ok(true))].into(),
        quotas: Ok(vec![Amount::new(9000), Amount::new(5000)]),
        holders: &holders,
        doubtful: DoubtfulTokens::new(),
    };
    change(&mut facts);
    audit_day(&facts, &committed(published), Ok(before))
}

fn verdict(outcome: &DayOutcome) -> Verdict {
    Verdict::of(!outcome.findings.is_empty(), !outcome.doubts.is_empty())
}

/// The only finding, which must be in this file; its line.
fn only(outcome: &DayOutcome, file: &str) -> (usize, Finding) {
    let [finding] = &outcome.findings[..] else {
        panic!("expected one finding in {file}: {:#?}", outcome.findings)
    };
    assert_eq!(finding.file.as_deref(), Some(file), "{finding}");
    (finding.difference.as_ref().map_or(0, |difference| difference.line), finding.clone())
}

fn two_days() -> (Published, PreviousDay, Published) {
    let first = build_day(&input(D0, &[1440, 1240, 1140, 1140], PreviousDay::default())).unwrap();
    let second = build_day(&input(D0.next(), &[1440, 1440, 700, 0], first.after())).unwrap();
    (publish(&first), first.after(), publish(&second))
}

#[test]
fn honest_days_hold_and_lead_to_each_other() {
    let (first, between, second) = two_days();
    let outcome = audit(&first, &PreviousDay::default());
    assert_eq!((outcome.findings.len(), outcome.doubts.len()), (0, 0), "{outcome:#?}");
    assert_eq!(outcome.after.as_ref(), Some(&between));
    assert_eq!((outcome.report.licenses, outcome.report.minutes), (4, 1440 + 1240 + 2 * 1140));
    assert_eq!(verdict(&audit(&second, &between)), Verdict::Holds);
}

/// The only place that was passed over, which must be for this file; in words.
fn passed_over(published: &Published, file: &str) -> String {
    let files = committed(published);
    let passed: Vec<_> = files.values().flat_map(|fetched| &fetched.passed_over).collect();
    let [one] = &passed[..] else { panic!("expected one place: {passed:#?}") };
    assert_eq!((one.file.as_str(), one.reason), (file, Reason::Altered), "{one}");
    one.problem.clone()
}

#[test]
fn one_changed_byte_is_named_by_its_row_and_accuses_nobody() {
    let (_, between, second) = two_days();
    for name in [UptimeRow::FILE, HolderRow::FILE, PointsRow::FILE, RewardRow::FILE] {
        let good = second.files[name].clone();
        let step = if name == UptimeRow::FILE { 211 } else { 11 };
        for at in (0..good.len()).step_by(step) {
            let mut bytes = good.clone();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            let files = Files::from_iter([(name, bytes)]);
            let files = second.files.clone().into_iter().chain(files).collect();
            let changed = Published { files, posted: second.posted.clone() };
            let outcome = audit(&changed, &between);
            assert_eq!(verdict(&outcome), Verdict::Holds, "byte {at} of {name}: {outcome:#?}");
            let line = 1 + good[..at].iter().filter(|byte| **byte == b'\n').count();
            let words = passed_over(&changed, name);
            assert!(words.contains(&format!("line {line}:")), "byte {at} of {name}: {words}");
        }
    }
    let text = String::from_utf8(second.files[BUNDLE_JSON].clone()).unwrap();
    let mut files = second.files.clone();
    files.insert(BUNDLE_JSON, text.replacen("\"pool\":\"1", "\"pool\":\"9", 1).into_bytes());
    let changed = Published { files, posted: second.posted.clone() };
    assert_eq!(verdict(&audit(&changed, &between)), Verdict::Holds);
    passed_over(&changed, BUNDLE_JSON);
}

#[test]
fn a_careless_copy_is_named_and_serves() {
    let (_, between, second) = two_days();
    type Change = fn(&[u8]) -> Vec<u8>;
    let crlf: Change = |bytes| String::from_utf8_lossy(bytes).replace('\n', "\r\n").into_bytes();
    let mark: Change = |bytes| [b"\xef\xbb\xbf", bytes].concat();
    let cut: Change = |bytes| bytes[..bytes.len() - 1].to_vec();
    let all: [(Change, &str); 3] =
        [(crlf, "CRLF"), (mark, "byte order mark"), (cut, "last line feed")];
    for (change, words) in all {
        for name in [UptimeRow::FILE, HolderRow::FILE, PointsRow::FILE, RewardRow::FILE] {
            let mut files = second.files.clone();
            files.insert(name, change(&second.files[name]));
            let copied = Published { files, posted: second.posted.clone() };
            assert_eq!(verdict(&audit(&copied, &between)), Verdict::Holds, "{name}");
            let problem = passed_over(&copied, name);
            assert!(problem.contains(words), "{name}: {problem}");
        }
    }
}

#[test]
fn what_nobody_gives_cannot_be_told_or_is_computed() {
    let (_, between, second) = two_days();
    for (name, verdict_without) in [
        (BUNDLE_JSON, Verdict::CannotTell),
        (UptimeRow::FILE, Verdict::CannotTell),
        // What other files and the chain determine is not missed.
        (HolderRow::FILE, Verdict::Holds),
        (PointsRow::FILE, Verdict::Holds),
        (RewardRow::FILE, Verdict::Holds),
        (TREE_JSON, Verdict::Holds),
        (COMMIT_JSON, Verdict::Holds),
    ] {
        let mut files = second.files.clone();
        files.remove(name);
        let outcome = audit(&Published { files, posted: second.posted.clone() }, &between);
        assert_eq!(verdict(&outcome), verdict_without, "{name}: {outcome:#?}");
        assert!(outcome.doubts.iter().all(|doubt| doubt.file.as_deref() == Some(name)));
    }
    // In a file too large to be repaired.
    let day = build_day(&input(D0, &[1000; 300], PreviousDay::default())).unwrap();
    let mut published = publish(&day);
    let bytes = published.files.get_mut(UptimeRow::FILE).unwrap();
    let last = bytes.len() - 10;
    bytes[last] = if bytes[last] == b'0' { b'1' } else { b'0' };
    let outcome = audit(&published, &PreviousDay::default());
    assert_eq!(verdict(&outcome), Verdict::CannotTell);
    assert!(outcome.doubts[0].problem.contains("keccak256"), "{}", outcome.doubts[0]);
}

#[test]
fn an_owner_who_commits_wrong_rows_is_found_out() {
    // Committed and posted in good order, but the holder is not the chain's.
    let mut wrong = input(D0, &[1440, 1440, 1440, 1440], PreviousDay::default());
    wrong.holders.rows[0].holder = CAROL;
    let published = publish(&build_day(&wrong).unwrap());
    let outcome = audit(&published, &PreviousDay::default());
    assert_eq!(only(&outcome, HolderRow::FILE).0, 2);
    // Where that row's logs may be at fault, nothing is proven by it.
    let key = (COLLECTION, U256::from(1));
    let outcome = audit_with(&published, &PreviousDay::default(), |facts| {
        facts.doubtful = [(key, "the logs are not complete".to_owned())].into();
    });
    assert_eq!(verdict(&outcome), Verdict::CannotTell, "{outcome:#?}");
    // An undecidable row hides no proven one.
    wrong.holders.rows[2].holder = ALICE;
    let published = publish(&build_day(&wrong).unwrap());
    let outcome = audit_with(&published, &PreviousDay::default(), |facts| {
        facts.doubtful = [(key, "the logs are not complete".to_owned())].into();
    });
    assert_eq!(only(&outcome, HolderRow::FILE).0, 4);
    assert_eq!(verdict(&outcome), Verdict::DoesNotHold);

    // Rewards that no points give, with a root and a commit of their own: also where the thief does not
    // publish them.
    let day = build_day(&input(D0, &[1440, 1440, 1440, 1440], PreviousDay::default())).unwrap();
    let mut rewards = day.rewards.clone();
    rewards[0].cumulative = Amount::new(9);
    let mut published = publish(&with_rewards(&day, rewards).unwrap());
    let outcome = audit(&published, &PreviousDay::default());
    let first = &outcome.findings[0];
    assert_eq!(
        (first.file.as_deref(), first.difference.as_ref().unwrap().line),
        (Some(RewardRow::FILE), 2)
    );
    assert!(first.problem.contains("committed"), "{first}");
    published.files.remove(RewardRow::FILE);
    let outcome = audit(&published, &PreviousDay::default());
    assert_eq!(verdict(&outcome), Verdict::DoesNotHold, "{outcome:#?}");

    // Points that are not the rule's cannot even be built, so they are forged like the rewards.
    let mut day = build_day(&input(D0, &[1440, 1440, 1440, 1440], PreviousDay::default())).unwrap();
    let rows = [1440, 1440, 1441, 1440].iter().zip(0u32..).map(|(points, i)| PointsRow {
        license: LicenseIndex(i),
        points: Points::checked_new(*points).unwrap(),
    });
    let csv = write_file(&rows.collect::<Vec<_>>()).into_bytes();
    day.bundle.files.insert(PointsRow::FILE.to_owned(), keccak256(&csv));
    day.files.insert(PointsRow::FILE, csv);
    let json = canonical_json(&day.bundle);
    day.commit.data_hash = keccak256(&json);
    day.files.insert(BUNDLE_JSON, json);
    let outcome = audit(&publish(&day), &PreviousDay::default());
    let first = &outcome.findings[0];
    assert_eq!(
        (first.file.as_deref(), first.difference.as_ref().unwrap().line),
        (Some(PointsRow::FILE), 4)
    );
}

#[test]
fn the_facts_of_the_chain_decide_and_what_is_unknown_does_not() {
    let (first, _, _) = two_days();
    let start = PreviousDay::default();
    let problem = |outcome: &DayOutcome, header: &str| {
        let (_, finding) = only(outcome, BUNDLE_JSON);
        assert_eq!(finding.difference.map(|it| it.header).as_deref(), Some(header));
    };
    let outcome = audit_with(&first, &start, |facts| facts.receipt_key = Ok(Vec::new()));
    assert!(only(&outcome, BUNDLE_JSON).1.problem.contains("receipt key"));
    let outcome = audit_with(&first, &start, |facts| {
        facts.snapshot = facts.snapshot.clone().map(|at| Snapshot { block_number: 6, ..at });
    });
    problem(&outcome, "/snapshot/block_number");
    let outcome = audit_with(&first, &start, |facts| facts.quotas = Ok(vec![Amount::new(7000)]));
    problem(&outcome, "/daily_quota");
    let outcome =
        audit_with(&first, &start, |facts| facts.listed = [(COLLECTION, Ok(false))].into());
    assert!(only(&outcome, UptimeRow::FILE).1.problem.contains("does not list"));

    type Unknown = fn(&mut DayFacts<'_>);
    let unknown: [Unknown; 5] = [
        |facts| facts.receipt_key = Err("x".into()),
        |facts| facts.posted_secs = Err("x".into()),
        |facts| facts.snapshot = Err("x".into()),
        |facts| facts.quotas = Err("x".into()),
        |facts| facts.listed = [(COLLECTION, Err("x".into()))].into(),
    ];
    for change in unknown {
        let outcome = audit_with(&first, &start, change);
        assert_eq!(verdict(&outcome), Verdict::CannotTell, "{outcome:#?}");
    }
}

#[test]
fn points_for_tasks_are_held_to_the_rule_and_a_changed_byte_is_undone() {
    let day = |points: [u64; 4]| {
        let mut input = input(D0, &[1440, 720, 1440, 0], PreviousDay::default());
        input.terms.rule = Rule::UptimeTasks {
            rate: Points::checked_new(1440).unwrap(),
            per_task: Points::checked_new(10).unwrap(),
            max_tasks: 5,
            minimum_uptime_ppm: 0,
        };
        for (row, points) in input.points.iter_mut().zip(points) {
            row.points = Points::checked_new(points).unwrap();
        }
        build_day(&input)
    };
    let good = day([1450, 720, 1490, 30]).unwrap();
    let mut published = publish(&good);
    assert_eq!(verdict(&audit(&published, &PreviousDay::default())), Verdict::Holds);
    // The count of tasks is in this file and nowhere else, so the changed byte itself is found.
    let text = String::from_utf8(published.files[PointsRow::FILE].clone()).unwrap();
    let changed = text.replacen(",1490", ",1480", 1).into_bytes();
    published.files.insert(PointsRow::FILE, changed);
    assert_eq!(verdict(&audit(&published, &PreviousDay::default())), Verdict::Holds);
    assert!(passed_over(&published, PointsRow::FILE).contains("line 4:"));
    published.files.remove(PointsRow::FILE);
    let outcome = audit(&published, &PreviousDay::default());
    assert_eq!(outcome.doubts[0].file.as_deref(), Some(PointsRow::FILE), "{outcome:#?}");

    assert!(day([1455, 720, 1490, 30]).is_err());
    assert!(day([1450, 720, 1500, 30]).is_err());
}
