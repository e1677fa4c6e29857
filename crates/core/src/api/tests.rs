use super::*;
use crate::ids::Seq;
use crate::merkle::MerkleTree;
use crate::signature::SigningKey;
use crate::time::Minute;

#[test]
fn a_receipt_is_for_one_heartbeat_and_by_one_key() {
    let domain = Domain::new(31_337, Address::repeat_byte(1));
    let key = SigningKey::from_bytes(&[3; 32]).unwrap();
    let accepted = |byte: u8, credited| Accepted {
        node_key: Address::repeat_byte(byte),
        seq: Seq::checked_new(5).unwrap(),
        heartbeat_hash: B256::repeat_byte(byte),
        credited,
        next_challenge: B256::repeat_byte(9),
    };
    let leaves = [accepted(7, 0b11), accepted(8, 0b1)];
    let tree = MerkleTree::from_leaf_hashes(leaves.iter().map(Message::struct_hash));
    let batch = ReceiptBatch { minute: Minute(1), server_time_millis: 60_001, root: tree.root() };
    let good = Receipt {
        batch: Signed::new(batch, &domain, &key),
        accepted: accepted(7, 0b11),
        path: tree.path(0).unwrap(),
        results: vec![LineResult::Credited; 2],
    };
    let (ours, by) = (B256::repeat_byte(7), key.address());
    assert_eq!(good.verify(&domain, by, ours), Ok(()));

    let other = B256::repeat_byte(8);
    assert_eq!(good.verify(&domain, by, other), Err(ReceiptError::OtherHeartbeat));
    let bad = Receipt { accepted: accepted(7, 0b111), ..good.clone() };
    assert_eq!(bad.verify(&domain, by, ours), Err(ReceiptError::Path));
    let bad = Receipt { path: vec![], ..good.clone() };
    assert_eq!(bad.verify(&domain, by, ours), Err(ReceiptError::Path));
    for (domain, by) in
        [(domain, Address::repeat_byte(4)), (Domain::new(1, domain.verifying_contract()), by)]
    {
        let refused = good.verify(&domain, by, ours);
        assert!(matches!(refused, Err(ReceiptError::Signature(_))), "{refused:?}");
    }
}
