//! Which step is due, over every state of a post and of the brakes.

use nodesys_chain::BlockRef;
use nodesys_chain::control::Control;
use nodesys_core::ids::Amount;
use nodesys_core::time::UtcDay;

use nodesys_core::message::RewardCommit;

use super::*;

const POSTED: u64 = 1_000_000;
const DELAY: u64 = 86_400;
const OWNER: Address = Address::repeat_byte(1);
const GUARDIAN: Address = Address::repeat_byte(2);
const PAUSE: u64 = 10 * 86_400;

fn control() -> Control {
    Control {
        block: BlockRef { number: 9, hash: B256::ZERO, secs: POSTED },
        signer: Address::repeat_byte(3),
        guardian: GUARDIAN,
        owner: OWNER,
        pause_spent: false,
        paused_from: 0,
        paused_until: 0,
        delay_secs: DELAY,
    }
}

fn post(byte: u8, verdict: Verdict) -> Post {
    Post {
        project: Address::ZERO,
        day: UtcDay(byte.into()),
        commit_hash: B256::repeat_byte(byte),
        transaction: None,
        posted_at_secs: POSTED,
        activates_at_secs: POSTED + DELAY,
        verdict,
        vouched: true,
        findings: Vec::new(),
        doubts: Vec::new(),
    }
}

fn look(after: u64, posts: Vec<Post>, control: Control) -> Look {
    Look {
        now_secs: POSTED + after,
        posts,
        control: Some(Control {
            block: BlockRef { secs: POSTED + after, ..control.block },
            ..control
        }),
        ..Look::default()
    }
}

fn revoke(byte: u8) -> Step {
    Step::Revoke { commit_hash: B256::repeat_byte(byte) }
}

#[test]
fn a_proof_disables_first_and_revokes_from_the_lowest() {
    let posts = vec![
        post(1, Verdict::Holds),
        post(2, Verdict::DoesNotHold),
        post(3, Verdict::CannotTell),
        post(4, Verdict::DoesNotHold),
    ];
    let now = look(0, posts.clone(), control());
    assert_eq!(decide(&now, false), [Step::DisableSigner, revoke(2)]);
    // Once it is disabled only the rest is due; what failed is due again.
    let disabled = Control { signer: Address::ZERO, ..control() };
    assert_eq!(decide(&look(0, posts.clone(), disabled), false), [revoke(2)]);
    // What is active cannot be taken back; the signer is disabled all the same.
    let now = look(DELAY + 1, posts[..2].to_vec(), control());
    assert_eq!(decide(&now, false), [Step::DisableSigner]);
    // By one RPC alone it is a doubt: nothing before half the delay, then the brake.
    let unvouched = |post: &Post| Post { vouched: false, ..post.clone() };
    let alone = |after| look(after, posts.iter().map(unvouched).collect(), control());
    assert_eq!(decide(&alone(0), false), []);
    assert_eq!(decide(&alone(DELAY / 2), false), [Step::Pause]);
}

#[test]
fn a_doubt_pulls_the_brake_at_half_the_delay_and_not_before() {
    let posts = || vec![post(1, Verdict::CannotTell)];
    assert_eq!(decide(&look(DELAY / 2 - 1, posts(), control()), false), []);
    assert_eq!(decide(&look(DELAY / 2, posts(), control()), false), [Step::Pause]);
    assert_eq!(decide(&look(DELAY / 2, vec![post(1, Verdict::Holds)], control()), false), []);

    // The pause runs: nothing, until it is about to end with the doubt still there.
    let from = POSTED + DELAY / 2;
    let until = from + PAUSE;
    let paused = Control { pause_spent: true, paused_from: from, paused_until: until, ..control() };
    let at = |secs: u64| secs - POSTED;
    assert_eq!(decide(&look(at(from + 1), posts(), paused), false), []);
    assert_eq!(decide(&look(at(until - DELAY / 3 - 1), posts(), paused), false), []);
    let last = look(at(until - DELAY / 3), posts(), paused);
    assert_eq!(decide(&last, false), [Step::DisableSigner, revoke(1)]);
    // The owner, and a guardian whose pause was renewed, pause again instead.
    assert_eq!(decide(&last, true), [Step::Pause]);
    let renewed = Control { pause_spent: false, ..paused };
    assert_eq!(decide(&look(at(until - DELAY / 3), posts(), renewed), false), [Step::Pause]);
    // The doubt is gone: nothing more is done.
    assert_eq!(decide(&look(at(until - 1), vec![post(1, Verdict::Holds)], paused), false), []);
}

#[test]
fn with_the_pause_spent_the_last_third_decides() {
    let spent = Control { pause_spent: true, ..control() };
    let posts = || vec![post(1, Verdict::CannotTell), post(2, Verdict::CannotTell)];
    assert_eq!(decide(&look(DELAY * 2 / 3 - 1, posts(), spent), false), []);
    let due = decide(&look(DELAY * 2 / 3, posts(), spent), false);
    assert_eq!(due, [Step::DisableSigner, revoke(1)]);
    // A clock that is far ahead of the chain gives nothing up.
    let ahead = Look { now_secs: POSTED + 9 * DELAY, ..look(0, posts(), spent) };
    assert_eq!(decide(&ahead, false), [Step::DisableSigner, revoke(1)]);
    // Active already: nothing that a guardian does is of use, and nobody is accused.
    assert_eq!(decide(&look(DELAY, posts(), spent), false), []);
}

#[test]
fn a_revocation_goes_from_the_head_down() {
    let commit = |byte: u8, previous: u8| PostedCommit {
        day: UtcDay(byte.into()),
        commit: RewardCommit {
            epoch: byte.into(),
            revision: 0,
            previous: B256::repeat_byte(previous),
            root: B256::repeat_byte(byte),
            total: Amount::new(byte.into()),
            data_hash: B256::ZERO,
        },
        commit_hash: B256::repeat_byte(byte),
        activates_at: 0,
        block_number: byte.into(),
        transaction: B256::ZERO,
    };
    let posts = [commit(1, 0), commit(2, 1), commit(3, 2)];
    let epochs = |bad: u8| {
        let call = revocation(&posts, B256::repeat_byte(bad))?;
        let down: Vec<u64> = call.down.iter().map(|commit| commit.epoch).collect();
        Some((down, call.newHead.epoch))
    };
    assert_eq!(epochs(3), Some((vec![3], 2)));
    assert_eq!(epochs(2), Some((vec![3, 2], 1)));
    assert_eq!(epochs(1), Some((vec![3, 2, 1], 0)));
    assert_eq!(epochs(9), None);
}
