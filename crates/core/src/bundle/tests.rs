use super::*;
use crate::bitmap::DayBitmap;
use crate::holders::Uncounted;
use crate::message::{DayClosed, Domain, Signed};
use crate::signature::SigningKey;
use crate::uptime::uptime_leaf;
use alloy_primitives::U256;

const DAY: UtcDay = UtcDay(20_454);
const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);
const CAROL: Address = Address::repeat_byte(0xca);

fn uptime(minutes: &[u16]) -> Vec<UptimeRow> {
    let row = |(i, minutes): (u32, &u16)| UptimeRow {
        license: LicenseIndex(i * 2),
        collection: Address::repeat_byte(0xcc),
        token_id: U256::from(i + 1),
        minutes: *minutes,
        expected: 1440,
        bitmap: DayBitmap::from_minute_on(1440 - minutes),
    };
    (0..).zip(minutes).map(row).collect()
}

fn input(minutes: &[u16]) -> DayInput {
    let project = ProjectInfo {
        chain_id: 31337,
        registry: Address::repeat_byte(1),
        distributor: Address::repeat_byte(2),
        name: "acme".parse().unwrap(),
    };
    let uptime = uptime(minutes);
    let uptime_csv = keccak256(write_file(&uptime));
    let key = SigningKey::from_bytes(&[3; 32]).unwrap();
    let closed = DayClosed {
        day: DAY.epoch(),
        uptime_hash: uptime_leaf(project.distributor, uptime_csv, DayBitmap::EMPTY),
        evidence_root: B256::ZERO,
    };
    let domain = Domain::new(project.chain_id, project.registry);
    let closed = ClosedUptime {
        closed: Signed::new(closed, &domain, &key),
        receipt_key: key.address(),
        uptime_csv,
        excused: DayBitmap::EMPTY,
        path: vec![],
    };
    closed.verify(&domain, project.distributor, DAY).unwrap();
    let terms = Terms {
        day_reward: Amount::new(1000),
        rule: Rule::default(),
        beneficiary: Beneficiary::Renter,
        excluded: vec![],
    };
    DayInput {
        points: terms.rule.points(&uptime, DayBitmap::EMPTY).unwrap(),
        holders: DayHolders {
            rows: uptime
                .iter()
                .zip([(ALICE, Address::ZERO), (BOB, CAROL), (BOB, Address::ZERO)])
                .map(|(row, (holder, renter))| HolderRow { license: row.license, holder, renter })
                .collect(),
            uncounted: vec![],
        },
        project,
        day: DAY,
        format: Format::NEWEST,
        revision: 0,
        daily_quota: Amount::new(5000),
        terms,
        snapshot: Snapshot { block_number: 7, block_hash: B256::ZERO, block_secs: 8 },
        closed,
        uptime,
        before: PreviousDay::default(),
    }
}

fn amounts(day: &DayBundle) -> Vec<(Address, u128)> {
    day.rewards.iter().map(|row| (row.account, row.cumulative.get())).collect()
}

#[test]
fn two_days_accumulate_and_every_file_is_named() {
    let first = build_day(&input(&[1440, 1440, 720])).unwrap();
    assert_eq!(amounts(&first), [(ALICE, 400), (BOB, 200), (CAROL, 400)]);
    let mut second = input(&[1440, 0, 1440]);
    second.before = first.after();
    let second = build_day(&second).unwrap();
    assert_eq!(amounts(&second), [(ALICE, 900), (BOB, 700), (CAROL, 400)]);
    assert_eq!(second.commit.previous, first.commit.struct_hash());
    assert_eq!(second.commit.total, Amount::new(2000));
    for (name, hash) in &second.bundle.files {
        assert_eq!(keccak256(&second.files[name.as_str()]), *hash);
    }
    let json = &second.files[BUNDLE_JSON];
    assert_eq!(keccak256(json), second.commit.data_hash);
    assert_eq!(Bundle::parse(json).unwrap(), second.bundle);
}

#[test]
fn equal_input_gives_equal_bytes() {
    let (a, b) = (build_day(&input(&[5, 6, 7])).unwrap(), build_day(&input(&[5, 6, 7])).unwrap());
    assert_eq!((a.files, a.commit), (b.files, b.commit));
}

#[test]
fn a_day_without_points_carries_the_reward_and_has_no_root() {
    let day = build_day(&input(&[0, 0, 0])).unwrap();
    assert_eq!((day.commit.root, day.commit.total), (B256::ZERO, Amount::ZERO));
    assert_eq!(day.after().carry, Amount::new(1000));
}

#[test]
fn zero_and_excluded_owners_leave_their_part_to_the_others() {
    let mut day = input(&[1440, 1440, 1440]);
    day.terms.excluded = vec![BOB];
    day.holders.rows[0].holder = Address::ZERO;
    assert_eq!(amounts(&build_day(&day).unwrap()), [(CAROL, 1000)]);
    day.terms.beneficiary = Beneficiary::Holder;
    assert_eq!(amounts(&build_day(&day).unwrap()), []);
    day.terms.excluded = vec![CAROL, BOB];
    assert_eq!(build_day(&day).unwrap_err(), BundleError::Excluded);
}

#[test]
fn points_must_be_the_rules_and_the_days() {
    let good = input(&[10, 20, 30]);
    let mut bad = good.clone();
    bad.points[1].points = Points::checked_new(21).unwrap();
    let error = build_day(&bad).unwrap_err();
    assert_eq!(error.to_string(), "points of license 2: given 21, the rule gives 20");

    let mut bad = good.clone();
    bad.points[1].license = LicenseIndex(3);
    assert_eq!(build_day(&bad).unwrap_err(), BundleError::UnknownLicense(LicenseIndex(3)));
    let mut bad = good.clone();
    bad.points.pop();
    let error = build_day(&bad).unwrap_err();
    assert_eq!(error, BundleError::MissingRow(LicenseIndex(4), "points.csv"));
    let mut bad = good.clone();
    bad.holders.rows.remove(0);
    assert!(matches!(build_day(&bad).unwrap_err(), BundleError::MissingRow(..)));
    let mut bad = good;
    bad.uptime[0].bitmap = DayBitmap::FULL;
    assert!(matches!(build_day(&bad).unwrap_err(), BundleError::UptimeHash { .. }));
}

#[test]
fn points_for_tasks_are_the_owners_word_within_the_rule() {
    let mut day = input(&[10, 20, 30]);
    day.terms.rule = Rule::UptimeTasks {
        rate: Points::checked_new(1440).unwrap(),
        per_task: Points::checked_new(5).unwrap(),
        max_tasks: 4,
        minimum_uptime_ppm: 0,
    };
    for (row, points) in day.points.iter_mut().zip([10, 40, 35]) {
        row.points = Points::checked_new(points).unwrap();
    }
    let built = build_day(&day).unwrap();
    assert_eq!(built.bundle.totals.points, 85);
    assert_eq!(build_day(&day).unwrap().files, built.files);
    for (points, most) in [(19, 20), (22, 20), (45, 20)] {
        day.points[1].points = Points::checked_new(points).unwrap();
        let error = build_day(&day).unwrap_err().to_string();
        let words =
            format!("points of license 2: given {points}, the rule gives {most} for uptime");
        assert!(error.contains(&words), "{error}");
    }
}

#[test]
fn bundle_json_is_read_strictly() {
    let day = build_day(&input(&[1, 2, 3])).unwrap();
    let json = &day.files[BUNDLE_JSON];
    let spaced = [b" ", &json[..]].concat();
    assert!(Bundle::parse(&spaced).unwrap_err().to_string().contains("canonical"));
    let json = String::from_utf8(json.clone()).unwrap();
    let refused = |json: String| Bundle::parse(json.as_bytes()).unwrap_err().to_string();
    assert!(
        refused(json.replace("nodesys-bundle-2", "nodesys-bundle-9")).contains("unknown variant")
    );
    assert!(refused(json.replace("nodesys-bundle-2", "nodesys-bundle-1")).contains("terms_hash"));
    let hash = day.bundle.terms_hash.unwrap();
    assert_eq!(hash, day.bundle.terms.hash());
    assert!(
        refused(json.replace(&hash.to_string(), &B256::ZERO.to_string())).contains("terms_hash")
    );
}

#[test]
fn a_license_that_is_not_counted_leaves_its_part_to_the_others() {
    let mut day = input(&[1440, 1440, 1440]);
    let license = LicenseIndex(2);
    let row = UncountedRow { license, reason: Uncounted::TakenFromAnother };
    day.holders.uncounted = vec![row];
    assert_eq!(build_day(&day).unwrap_err(), BundleError::Uncounted(license), "it has a holder");
    (day.holders.rows[1].holder, day.holders.rows[1].renter) = (Address::ZERO, Address::ZERO);
    let built = build_day(&day).unwrap();
    assert_eq!(amounts(&built), [(ALICE, 500), (BOB, 500)]);
    assert_eq!(built.files[UncountedRow::FILE], b"license,reason\n2,taken_from_another\n");
    day.holders.uncounted = vec![UncountedRow { license: LicenseIndex(3), ..row }];
    assert_eq!(build_day(&day).unwrap_err(), BundleError::UnknownLicense(LicenseIndex(3)));
}

#[test]
fn an_old_day_has_its_old_bytes() {
    let old = build_day(&DayInput { format: Format::One, ..input(&[1, 2, 3]) }).unwrap();
    assert!(!old.files.contains_key(UncountedRow::FILE));
    let json = &old.files[BUNDLE_JSON];
    // As version 0.1 of this crate wrote it.
    let hash = "0x1e4b6d3dfc00eb9f82a9f0f4de06dc988ad1df8aa2684a67b3dc46fcfb2a20fb";
    assert_eq!(keccak256(json).to_string(), hash);
    assert_eq!(Bundle::parse(json).unwrap(), old.bundle);
}
