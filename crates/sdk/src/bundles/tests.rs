use alloy::primitives::keccak256;
use nodesys_core::Address;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::{
    BUNDLE_JSON, Beneficiary, DayBundle, DayInput, Format, PreviousDay, ProjectInfo, Snapshot,
    Terms, build_day,
};
use nodesys_core::files::UptimeRow;
use nodesys_core::holders::DayHolders;
use nodesys_core::ids::Amount;
use nodesys_core::message::{DayClosed, Domain, Signed, SignedCommit};
use nodesys_core::points::Rule;
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::ClosedUptime;
use nodesys_core::{B256, files::write_file};

use super::*;

const PROJECT: Address = Address::repeat_byte(0xd0);
const DAY: UtcDay = UtcDay(20_454);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32]).unwrap()
}

/// A day on which nobody ran anything.
fn empty_day(revision: u32) -> DayBundle {
    let domain = Domain::new(31_337, Address::ZERO);
    let closed = DayClosed { day: DAY.epoch(), uptime_hash: B256::ZERO, evidence_root: B256::ZERO };
    build_day(&DayInput {
        project: ProjectInfo {
            chain_id: 31_337,
            registry: Address::ZERO,
            distributor: PROJECT,
            name: "acme".parse().unwrap(),
        },
        day: DAY,
        format: Format::NEWEST,
        revision,
        daily_quota: Amount::new(10),
        terms: Terms {
            day_reward: Amount::new(5),
            rule: Rule::default(),
            beneficiary: Beneficiary::Renter,
            excluded: vec![],
        },
        snapshot: Snapshot { block_number: 1, block_hash: B256::ZERO, block_secs: 1 },
        closed: ClosedUptime {
            closed: Signed::new(closed, &domain, &key()),
            receipt_key: key().address(),
            uptime_csv: keccak256(write_file::<UptimeRow>(&[])),
            excused: DayBitmap::EMPTY,
            path: vec![],
        },
        uptime: vec![],
        holders: DayHolders::default(),
        points: vec![],
        before: PreviousDay::default(),
    })
    .unwrap()
}

fn signed(day: &DayBundle) -> SignedCommit {
    crate::commit::sign(&day.commit, &Domain::new(31_337, PROJECT), &key())
}

#[tokio::test]
async fn a_day_is_written_whole_once_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = BundleStore::new(folder.path().join("bundles"));
    assert_eq!(store.days(PROJECT).unwrap(), []);
    let day = empty_day(0);
    let path = store.write(&day, &signed(&day)).unwrap();
    assert!(path.ends_with(format!("{PROJECT:#x}/2026-01-01")), "{}", path.display());
    for file in FILES {
        assert!(store.file(PROJECT, DAY, file).unwrap().is_some(), "{file}");
    }
    assert_eq!(store.file(PROJECT, DAY, "../2026-01-01/bundle.json").unwrap(), None);
    assert_eq!(store.commit(PROJECT, DAY).unwrap(), Some(signed(&day)));
    assert_eq!(store.days(PROJECT).unwrap(), [DAY]);
    store.write(&day, &signed(&day)).unwrap();
    let entries = || std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(entries(), 1);

    let places = Places::from(BundleSource::Folder(store.clone()));
    let (bundle, before) = places.after(PROJECT, DAY, None).await.unwrap();
    assert_eq!((bundle, before), (day.bundle.clone(), day.after()));
    places.after(PROJECT, DAY, Some(day.after().commit)).await.unwrap();
    let other = places.after(PROJECT, DAY, Some(B256::repeat_byte(9))).await.unwrap_err();
    assert!(other.to_string().contains("leads to another commit"), "{other}");
    let missing = places.after(PROJECT, DAY.next(), None).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");

    // Rebuilt after a revocation: the old one is kept aside.
    let again = empty_day(1);
    store.write(&again, &signed(&again)).unwrap();
    assert_eq!(store.commit(PROJECT, DAY).unwrap(), Some(signed(&again)));
    assert!(path.with_file_name("2026-01-01.r0").join(BUNDLE_JSON).exists());
    assert_eq!(store.days(PROJECT).unwrap(), [DAY]);
    assert_eq!(entries(), 2);
}

#[tokio::test]
async fn rewards_that_are_not_the_bundles_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = BundleStore::new(folder.path());
    let day = empty_day(0);
    let path = store.write(&day, &signed(&day)).unwrap();
    std::fs::write(path.join("rewards.csv"), "account,cumulative\n").unwrap();
    Places::from(BundleSource::Folder(store.clone())).after(PROJECT, DAY, None).await.unwrap();
    std::fs::write(path.join("rewards.csv"), "account,cumulative \n").unwrap();
    let error =
        Places::from(BundleSource::Folder(store)).after(PROJECT, DAY, None).await.unwrap_err();
    assert!(error.to_string().contains("was committed"), "{error}");
}

#[tokio::test]
async fn a_place_that_fails_or_differs_is_passed_over_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = |name: &str| BundleStore::new(folder.path().join(name));
    let day = empty_day(0);
    for name in ["altered", "good"] {
        store(name).write(&day, &signed(&day)).unwrap();
    }
    let path = store("altered").day_folder(PROJECT, DAY).join(BUNDLE_JSON);
    std::fs::write(&path, b"{}").unwrap();
    // Nobody listens there, the folder is missing, one byte file is another's: the fourth has it.
    let rustls = rustls::crypto::ring::default_provider().install_default();
    drop(rustls);
    let down = BundleSource::parse("http://127.0.0.1:9").unwrap();
    let places = Places::new(vec![
        down,
        BundleSource::Folder(store("missing")),
        BundleSource::Folder(store("altered")),
        BundleSource::Folder(store("good")),
    ]);
    let expected = keccak256(&day.files[BUNDLE_JSON]);
    let found = places.committed(PROJECT, DAY, BUNDLE_JSON, expected).await;
    assert_eq!(found.bytes.as_ref(), Some(&day.files[BUNDLE_JSON]));
    let reasons: Vec<Reason> = found.passed_over.iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [Reason::Unavailable, Reason::Missing, Reason::Altered]);
    assert!(found.passed_over[2].place.ends_with("altered"));
    // A place that gave none of a day's files is told in one line.
    let mut told = found.passed_over.clone();
    told.push(PassedOver { file: "rewards.csv".to_owned(), ..told[0].clone() });
    let lines = passed_over_lines(&told);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("and 1 more file at http://127.0.0.1:9"), "{lines:?}");
    // Without the good one nobody has it, and each is named with what it gave.
    let places = Places::new(places.sources()[..3].to_vec());
    let found = places.committed(PROJECT, DAY, BUNDLE_JSON, expected).await;
    let words = places.needed(DAY, BUNDLE_JSON, found).unwrap_err().to_string();
    for part in ["127.0.0.1:9", "altered", "keccak256"] {
        assert!(words.contains(part), "{words}");
    }
}
