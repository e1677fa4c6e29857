use nodesys_core::B256;
use nodesys_core::ids::{Fence, Seq};
use nodesys_core::merkle::MerkleTree;
use nodesys_core::message::{Accepted, LeaseStatus, ReceiptBatch, Status};
use nodesys_core::signature::SigningKey;

use super::*;

fn domain() -> Domain {
    Domain::new(31_337, Address::repeat_byte(9))
}

fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

fn heartbeat(minute: u64) -> Signed<Heartbeat> {
    let line = |byte| LeaseStatus {
        license: B256::repeat_byte(byte),
        fence: Fence::checked_new(1).unwrap(),
        status: Status::Healthy,
        release: 0,
    };
    let message = Heartbeat {
        node_key: key(1).address(),
        minute: Minute(minute),
        seq: Seq::checked_new(5).unwrap(),
        challenge: B256::ZERO,
        leases: vec![line(1), line(2)],
    };
    Signed::new(message, &domain(), &key(1))
}

/// A receipt in a batch of three, changed by `change` before it is signed.
fn receipt(heartbeat: &Heartbeat, change: impl FnOnce(&mut Accepted, &mut Minute)) -> Receipt {
    let mut minute = heartbeat.minute;
    let mut accepted = Accepted {
        node_key: heartbeat.node_key,
        seq: heartbeat.seq,
        heartbeat_hash: heartbeat.struct_hash(),
        credited: 0b01,
        next_challenge: B256::repeat_byte(3),
    };
    change(&mut accepted, &mut minute);
    let others = [B256::repeat_byte(7), B256::repeat_byte(8)];
    let tree = MerkleTree::from_leaf_hashes(vec![others[0], accepted.struct_hash(), others[1]]);
    let server_time_millis = minute.start().millis();
    let batch = ReceiptBatch { minute, server_time_millis, root: tree.root() };
    Receipt {
        batch: Signed::new(batch, &domain(), &key(2)),
        accepted,
        path: tree.path(1).unwrap(),
        results: vec![LineResult::Credited, LineResult::LeaseLost],
    }
}

fn checked(heartbeat: &Heartbeat, receipt: &Receipt) -> Result<(), Refused> {
    check(receipt, heartbeat, &domain(), key(2).address())
}

#[test]
fn a_true_receipt_holds_and_every_change_is_found() {
    let sent = heartbeat(20_454 * 1440).message;
    let good = receipt(&sent, |_, _| {});
    assert_eq!(checked(&sent, &good), Ok(()));

    let mut tampered = good.clone();
    tampered.accepted.credited = 0b11;
    assert_eq!(checked(&sent, &tampered), Err(Refused::Receipt(ReceiptError::Path)));
    let mut tampered = good.clone();
    tampered.accepted.next_challenge = B256::ZERO;
    assert_eq!(checked(&sent, &tampered), Err(Refused::Receipt(ReceiptError::Path)));
    let mut tampered = good.clone();
    tampered.batch.message.server_time_millis += 1;
    assert!(matches!(checked(&sent, &tampered), Err(Refused::Receipt(ReceiptError::Signature(_)))));
    let mut tampered = good.clone();
    tampered.results = vec![LineResult::Credited, LineResult::Credited];
    assert_eq!(checked(&sent, &tampered), Err(Refused::Results));
    tampered.results.pop();
    assert_eq!(checked(&sent, &tampered), Err(Refused::Results));
    let by_another = check(&good, &sent, &domain(), key(3).address());
    assert!(matches!(by_another, Err(Refused::Receipt(ReceiptError::Signature(_)))));
}

#[test]
fn a_receipt_signed_for_something_else_is_refused() {
    let sent = heartbeat(20_454 * 1440).message;
    let other_minute = receipt(&sent, |_, minute| *minute = minute.next());
    assert!(matches!(checked(&sent, &other_minute), Err(Refused::OtherMinute { .. })));
    let other_seq = receipt(&sent, |accepted, _| accepted.seq = Seq::ZERO);
    assert_eq!(checked(&sent, &other_seq), Err(Refused::OtherSender));
    let other = receipt(&heartbeat(7).message, |_, _| {});
    assert_eq!(checked(&sent, &other), Err(Refused::Receipt(ReceiptError::OtherHeartbeat)));
    let beyond = receipt(&sent, |accepted, _| accepted.credited |= 1 << 40);
    assert_eq!(checked(&sent, &beyond), Err(Refused::Results));
}

#[test]
fn receipts_go_to_their_day_and_old_days_go() {
    let home = tempfile::tempdir().unwrap();
    let mut receipts = Receipts::open(home.path()).unwrap();
    let dir = home.path().join("receipts");
    std::fs::write(dir.join("2025-11-01.ndjson"), "old\n").unwrap();
    std::fs::write(dir.join("2025-11-02.ndjson"), "60 days old\n").unwrap();
    std::fs::write(dir.join("notes.txt"), "the operator's own\n").unwrap();
    let day = 20_454 * 1440;
    for minute in [day - 1, day, day + 1] {
        let heartbeat = heartbeat(minute);
        let receipt = receipt(&heartbeat.message, |_, _| {});
        receipts.keep(&KeptReceipt { heartbeat, receipt }).unwrap();
    }
    let lines = |name: &str| {
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        text.lines().map(serde_json::from_str::<KeptReceipt>).collect::<Vec<_>>()
    };
    assert_eq!(lines("2025-12-31.ndjson").len(), 1);
    let today = lines("2026-01-01.ndjson");
    assert_eq!(today[1].as_ref().unwrap().heartbeat.message.minute, Minute(day + 1));
    assert!(!dir.join("2025-11-01.ndjson").exists());
    assert!(dir.join("2025-11-02.ndjson").exists() && dir.join("notes.txt").exists());
}

#[test]
fn a_line_cut_off_by_a_crash_does_not_take_the_next_with_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("receipts/2026-01-01.ndjson");
    let mut receipts = Receipts::open(home.path()).unwrap();
    std::fs::write(&path, r#"{"heartbeat":{"mess"#).unwrap();
    let heartbeat = heartbeat(20_454 * 1440);
    let receipt = receipt(&heartbeat.message, |_, _| {});
    let kept = KeptReceipt { heartbeat, receipt };
    receipts.keep(&kept).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let last = text.lines().nth(1).unwrap();
    assert_eq!(serde_json::from_str::<KeptReceipt>(last).unwrap(), kept);
}
