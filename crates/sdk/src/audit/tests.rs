//! One changed byte, in each file of a day, is found in its file and its row.

use std::collections::BTreeMap;

use alloy::primitives::keccak256;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::{
    BUNDLE_JSON, Before, Beneficiary, DayBundle, DayInput, ProjectInfo, Snapshot, TREE_JSON, Terms,
    build_day, canonical_json,
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

use super::day::{DayFacts, DayOutcome, Files, PostedCommit, audit_day};
use super::report::Finding;
use crate::bundles::{COMMIT_JSON, published_files};
use crate::commit::{sign, with_rewards};
use crate::day::holder_rows;

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

fn input(day: UtcDay, minutes: &[u16], before: Before) -> DayInput {
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
        holders: holder_rows(&uptime, &holders(), snapshot.block_secs),
        closed: ClosedUptime {
            closed: Signed::new(closed, &domain, &key),
            receipt_key: key.address(),
            uptime_csv,
            excused: DayBitmap::EMPTY,
            path: vec![],
        },
        project,
        day,
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

struct Published {
    files: Files,
    posted: PostedCommit,
}

fn publish(day: &DayBundle) -> Published {
    let key = SigningKey::from_bytes(&[5; 32]).unwrap();
    let signed = sign(&day.commit, &Domain::new(31_337, project().distributor), &key);
    let commit = &day.commit;
    Published {
        files: published_files(day, &signed).unwrap(),
        posted: PostedCommit {
            day: UtcDay::from_epoch(commit.epoch).unwrap(),
            revision: commit.revision,
            previous: commit.previous,
            root: commit.root,
            total: commit.total,
            data_hash: commit.data_hash,
            commit_hash: commit.struct_hash(),
            activates_at: 0,
            block_number: 9,
            transaction: B256::ZERO,
        },
    }
}

fn audit(published: &Published, before: &Before) -> DayOutcome {
    audit_with(published, before, |_| {})
}

fn audit_with(
    published: &Published,
    before: &Before,
    change: impl FnOnce(&mut DayFacts<'_>),
) -> DayOutcome {
    let project = project();
    let holders = holders();
    let receipt_keys = BTreeMap::from([(receipt_key().address(), (0, u64::MAX))]);
    let mut facts = DayFacts {
        project: &project,
        posted: &published.posted,
        posted_secs: published.posted.day.end().secs() + 400,
        snapshot: Some(snapshot(published.posted.day)),
        holders: &holders,
        quotas: vec![Amount::new(9000), Amount::new(5000)],
        receipt_keys: &receipt_keys,
        collections: [COLLECTION].into(),
    };
    change(&mut facts);
    audit_day(&facts, &published.files, Some(before))
}

/// The only finding, which must be in this file; its line.
fn only(outcome: &DayOutcome, file: &str) -> (usize, Finding) {
    let [finding] = &outcome.findings[..] else {
        panic!("expected one finding in {file}: {:#?}", outcome.findings)
    };
    assert_eq!(finding.file.as_deref(), Some(file), "{finding}");
    (finding.difference.as_ref().map_or(0, |difference| difference.line), finding.clone())
}

fn two_days() -> (Published, Before, Published) {
    let first = build_day(&input(D0, &[1440, 1240, 1140, 1140], Before::default())).unwrap();
    let second = build_day(&input(D0.next(), &[1440, 1440, 700, 0], first.after())).unwrap();
    (publish(&first), first.after(), publish(&second))
}

#[test]
fn honest_days_hold_and_lead_to_each_other() {
    let (first, between, second) = two_days();
    let outcome = audit(&first, &Before::default());
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.after.as_ref(), Some(&between));
    assert_eq!((outcome.report.licenses, outcome.report.minutes), (4, 1440 + 1240 + 2 * 1140));
    assert_eq!(audit(&second, &between).findings, []);
}

#[test]
fn one_changed_byte_of_a_table_is_found_in_its_row() {
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
            let (line, finding) = only(&audit(&changed, &between), name);
            let expected = 1 + good[..at].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(line, expected, "byte {at}: {finding}");
        }
    }
}

#[test]
fn one_changed_byte_of_json_is_found_at_its_place() {
    let (_, between, second) = two_days();
    let replace = |name: &'static str, from: &str, to: &str| {
        let text = String::from_utf8(second.files[name].clone()).unwrap();
        assert!(text.contains(from), "{text}");
        let mut files = second.files.clone();
        files.insert(name, text.replacen(from, to, 1).into_bytes());
        audit(&Published { files, posted: second.posted.clone() }, &between)
    };
    let (_, finding) = only(&replace(BUNDLE_JSON, "\"pool\":\"1", "\"pool\":\"9"), BUNDLE_JSON);
    let difference = finding.difference.unwrap();
    assert_eq!(difference.header, "/pool");
    assert_eq!(
        (difference.given.as_deref(), difference.computed.as_deref()),
        (Some("9002"), Some("1002"))
    );
    only(&replace(BUNDLE_JSON, "{\"carry_in\"", "[\"carry_in\""), BUNDLE_JSON);

    let (_, finding) = only(&replace(TREE_JSON, "\"treeIndex\":2", "\"treeIndex\":3"), TREE_JSON);
    assert!(finding.to_string().contains("/treeIndex"), "{finding}");
    let (_, finding) = only(&replace(COMMIT_JSON, "\"revision\":0", "\"revision\":1"), COMMIT_JSON);
    assert!(finding.to_string().contains("the chain has"), "{finding}");
}

#[test]
fn in_a_large_file_the_row_is_found_without_trying_bytes() {
    let day = build_day(&input(D0, &[1000; 300], Before::default())).unwrap();
    let mut published = publish(&day);
    let mut bytes = published.files[UptimeRow::FILE].clone();
    let last = bytes.len() - 10;
    bytes[last] = if bytes[last] == b'0' { b'1' } else { b'0' };
    published.files.insert(UptimeRow::FILE, bytes);
    let (line, finding) = only(&audit(&published, &Before::default()), UptimeRow::FILE);
    assert_eq!(line, 301, "{finding}");
    assert!(finding.problem.contains("minutes 1000 but the bitmap has"), "{finding}");

    // Minutes and bitmap changed together still do not give the points.
    let mut rows = input(D0, &[1000; 300], Before::default()).uptime;
    rows[41].bitmap = DayBitmap::FULL;
    rows[41].minutes = 1440;
    published.files.insert(UptimeRow::FILE, write_file(&rows).into_bytes());
    let (line, finding) = only(&audit(&published, &Before::default()), UptimeRow::FILE);
    assert_eq!(line, 43, "{finding}");
}

#[test]
fn a_missing_file_is_said_to_be_missing() {
    let (_, between, second) = two_days();
    for name in [BUNDLE_JSON, UptimeRow::FILE, HolderRow::FILE, PointsRow::FILE, TREE_JSON] {
        let mut files = second.files.clone();
        files.remove(name);
        let outcome = audit(&Published { files, posted: second.posted.clone() }, &between);
        let (_, finding) = only(&outcome, name);
        assert!(finding.problem.contains("missing"), "{finding}");
    }
}

#[test]
fn an_owner_who_commits_wrong_rows_is_found_out() {
    // Committed and posted in good order, but the holder is not the chain's.
    let mut wrong = input(D0, &[1440, 1440, 1440, 1440], Before::default());
    wrong.holders[0].holder = CAROL;
    let published = publish(&build_day(&wrong).unwrap());
    let outcome = audit(&published, &Before::default());
    let first = &outcome.findings[0];
    assert_eq!(first.file.as_deref(), Some(HolderRow::FILE));
    assert_eq!(first.difference.as_ref().unwrap().line, 2);
    assert!(outcome.findings.iter().any(|f| f.file.as_deref() == Some(RewardRow::FILE)));

    // Rewards that no points give, with a root and a commit of their own.
    let day = build_day(&input(D0, &[1440, 1440, 1440, 1440], Before::default())).unwrap();
    let mut rewards = day.rewards.clone();
    rewards[0].cumulative = Amount::new(9);
    let day = with_rewards(&day, rewards).unwrap();
    let outcome = audit(&publish(&day), &Before::default());
    let first = &outcome.findings[0];
    assert_eq!(
        (first.file.as_deref(), first.difference.as_ref().unwrap().line),
        (Some(RewardRow::FILE), 2)
    );
    assert!(first.problem.contains("committed"), "{first}");

    // Points that are not the rule's cannot even be built, so they are forged like the rewards.
    let mut day = build_day(&input(D0, &[1440, 1440, 1440, 1440], Before::default())).unwrap();
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
    let (line, _) = only(&audit(&publish(&day), &Before::default()), PointsRow::FILE);
    assert_eq!(line, 4);
}

static NO_KEYS: BTreeMap<Address, (u64, u64)> = BTreeMap::new();

#[test]
fn the_facts_of_the_chain_decide() {
    let (first, _, _) = two_days();
    let start = Before::default();
    let outcome = audit_with(&first, &start, |facts| facts.receipt_keys = &NO_KEYS);
    assert!(only(&outcome, BUNDLE_JSON).1.problem.contains("receipt key"));
    let outcome = audit_with(&first, &start, |facts| {
        facts.snapshot = facts.snapshot.map(|at| Snapshot { block_number: 6, ..at });
    });
    let difference = only(&outcome, BUNDLE_JSON).1.difference.unwrap();
    assert_eq!(difference.header, "/snapshot/block_number");
    let outcome = audit_with(&first, &start, |facts| facts.quotas = vec![Amount::new(7000)]);
    let difference = only(&outcome, BUNDLE_JSON).1.difference.unwrap();
    assert_eq!(difference.header, "/daily_quota");
    let outcome = audit_with(&first, &start, |facts| facts.collections = [ALICE].into());
    assert!(only(&outcome, UptimeRow::FILE).1.problem.contains("does not list"));
    let outcome = audit_with(&first, &start, |facts| facts.snapshot = None);
    assert!(outcome.findings[0].problem.contains("no final block"));
}

#[test]
fn points_for_tasks_are_held_to_the_rule_and_a_changed_byte_is_undone() {
    let day = |points: [u64; 4]| {
        let mut input = input(D0, &[1440, 720, 1440, 0], Before::default());
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
    assert_eq!(audit(&published, &Before::default()).findings, []);
    // The count of tasks stands nowhere else, so the changed byte itself is found.
    let text = String::from_utf8(published.files[PointsRow::FILE].clone()).unwrap();
    let changed = text.replacen(",1490", ",1480", 1).into_bytes();
    published.files.insert(PointsRow::FILE, changed);
    let (line, _) = only(&audit(&published, &Before::default()), PointsRow::FILE);
    assert_eq!(line, 4);

    assert!(day([1455, 720, 1490, 30]).is_err());
    assert!(day([1450, 720, 1500, 30]).is_err());
}
