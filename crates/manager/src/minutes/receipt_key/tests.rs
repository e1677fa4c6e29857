//! Receipt keys by a real registry: recorded, unknown, rotated, ended.

use nodesys_chain::bindings::ProjectRegistry;
use nodesys_core::B256;
use nodesys_core::ids::Seq;
use nodesys_core::message::{Accepted, ReceiptBatch, Signed};
use nodesys_core::signature::SigningKey;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::{Chain, owner, receipt_key};
use nodesys_testing::key;

use super::*;

/// A receipt signed at a moment.
fn receipt(key: &SigningKey, domain: &Domain, at_secs: u64) -> Receipt {
    let at = Timestamp::from_secs(at_secs);
    let accepted = Accepted {
        node_key: Address::ZERO,
        seq: Seq::checked_new(1).unwrap(),
        heartbeat_hash: B256::ZERO,
        credited: 0,
        next_challenge: B256::ZERO,
    };
    let batch = ReceiptBatch {
        minute: at.minute(),
        server_time_millis: at.millis(),
        root: accepted.struct_hash(),
    };
    Receipt { batch: Signed::new(batch, domain, key), accepted, path: vec![], results: vec![] }
}

/// Records a key of the network, or of a project; an end of 0 ends it now.
async fn record(chain: &Chain, project: Address, key: Address, until: u64) {
    let registry = ProjectRegistry::new(chain.registry, chain.provider.rpc());
    let call = registry.setReceiptKey(project, key, 0, until);
    chain.send(owner().address(), call.into_transaction_request()).await;
}

async fn now(chain: &Chain) -> u64 {
    chain.provider.latest_block().await.unwrap().secs
}

#[tokio::test]
async fn managers_follow_the_registry_while_keys_are_rotated() {
    let chain = Chain::start().await;
    let domain = Domain::new(CHAIN_ID, chain.registry);
    let rpcs = || vec![chain.anvil.url.to_string().parse().unwrap()];
    let (old, new) = (receipt_key(), key(0x77));
    // A node that pinned the old key, and one that knows the backend's word.
    let mut pinned = ReceiptKeys::new(domain, Some(old.address()), rpcs());
    let mut other = ReceiptKeys::new(domain, None, rpcs());
    for keys in [&mut pinned, &mut other] {
        assert!(keys.is_unknown());
        keys.heard(old.address());
        let start = now(&chain).await;
        let found = keys.of(&receipt(&old, &domain, start), BTreeSet::new()).await.unwrap();
        assert_eq!(found, old.address());
        // Whatever the backend says, the registry decides.
        keys.heard(new.address());
        let unknown = keys.of(&receipt(&new, &domain, start), BTreeSet::new()).await.unwrap_err();
        assert!(unknown.to_string().contains("does not record"), "{unknown}");
    }

    // Both count: replicas are restarted one by one. What was known of the new key is ten minutes old.
    record(&chain, Address::ZERO, new.address(), u64::MAX).await;
    let later = now(&chain).await + 600;
    for keys in [&mut pinned, &mut other] {
        for signer in [&new, &old, &new] {
            let found = keys.of(&receipt(signer, &domain, later), BTreeSet::new()).await.unwrap();
            assert_eq!(found, signer.address());
        }
    }
    // The old one is ended: what it signed before holds, and nothing after.
    record(&chain, Address::ZERO, old.address(), 0).await;
    let ended = now(&chain).await;
    for keys in [&mut pinned, &mut other] {
        let after = receipt(&old, &domain, later + 600);
        let refused = keys.of(&after, BTreeSet::new()).await.unwrap_err();
        assert!(refused.to_string().contains(&old.address().to_string()), "{refused}");
        keys.of(&receipt(&old, &domain, ended - 1), BTreeSet::new()).await.unwrap();
        keys.of(&receipt(&new, &domain, later + 600), BTreeSet::new()).await.unwrap();
    }
}

#[tokio::test]
async fn a_projects_own_key_counts_for_its_nodes() {
    let chain = Chain::start().await;
    let domain = Domain::new(CHAIN_ID, chain.registry);
    let own = key(0x78);
    record(&chain, chain.distributor, own.address(), u64::MAX).await;
    let signed = receipt(&own, &domain, now(&chain).await);
    for (projects, counts) in [(vec![], false), (vec![chain.distributor], true)] {
        let rpcs = vec![chain.anvil.url.to_string().parse().unwrap()];
        let mut keys = ReceiptKeys::new(domain, None, rpcs);
        keys.heard(own.address());
        let found = keys.of(&signed, projects.into_iter().collect()).await;
        assert_eq!(found.is_ok(), counts, "{found:?}");
    }
}

#[tokio::test]
async fn without_an_answer_the_pinned_key_counts_or_the_backends_word() {
    let domain = Domain::new(CHAIN_ID, Address::repeat_byte(1));
    let (pinned, word) = (key(1), key(2));
    let nobody = || vec!["http://127.0.0.1:1".parse().unwrap()];
    for rpcs in [Vec::new(), nobody()] {
        for (pin, expected) in [(Some(pinned.address()), &pinned), (None, &word)] {
            let mut keys = ReceiptKeys::new(domain, pin, rpcs.clone());
            keys.heard(word.address());
            let signed = receipt(&word, &domain, 1_800_000_000);
            let found = keys.of(&signed, BTreeSet::new()).await.unwrap();
            assert_eq!(found, expected.address());
            // A receipt that does not hold: only the backend's word may have changed.
            keys.doubt();
            assert_eq!(keys.is_unknown(), pin.is_none());
        }
    }
}
