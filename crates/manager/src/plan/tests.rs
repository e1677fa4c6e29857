use nodesys_core::message::{Domain, Signed};
use nodesys_core::signature::SigningKey;

use super::*;

const STARTED: u64 = 1_000_000;
const GRACE: u64 = 120_000;

fn heard(ago: u64, now: u64) -> Option<Heard> {
    Some(Heard { at_millis: now - ago, status: Status::Healthy })
}

#[test]
fn thirty_seconds_are_still_fresh_and_a_millisecond_more_is_not() {
    let now = STARTED + 60_000;
    assert_eq!(status(heard(0, now), STARTED, GRACE, now), Status::Healthy);
    assert_eq!(status(heard(30_000, now), STARTED, GRACE, now), Status::Healthy);
    assert_eq!(status(heard(30_001, now), STARTED, GRACE, now), Status::Down);
    let degraded = Some(Heard { at_millis: now, status: Status::Degraded });
    assert_eq!(status(degraded, STARTED, GRACE, now), Status::Degraded);
}

#[test]
fn before_its_first_word_a_workload_is_starting_for_the_grace() {
    assert_eq!(status(None, STARTED, GRACE, STARTED), Status::Starting);
    assert_eq!(status(None, STARTED, GRACE, STARTED + GRACE), Status::Starting);
    assert_eq!(status(None, STARTED, GRACE, STARTED + GRACE + 1), Status::Down);
    // The grace is for those who have not spoken yet, not for those who fell silent.
    let silent = Some(Heard { at_millis: STARTED, status: Status::Healthy });
    assert_eq!(status(silent, STARTED, GRACE, STARTED + 31_000), Status::Down);
}

#[test]
fn the_offset_is_the_hash_of_the_address_mod_sixty() {
    // By viem's keccak256 and BigInt.
    assert_eq!(offset_secs(Address::ZERO), 22);
    let first = alloy_primitives::address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
    assert_eq!(offset_secs(first), 57);
    let offsets = (0..=255).map(|byte| offset_secs(Address::repeat_byte(byte)));
    assert!(offsets.clone().all(|offset| offset < 60));
    assert!(offsets.collect::<std::collections::BTreeSet<_>>().len() > 50);
}

const DAY: u64 = 20_454 * 1440;

fn at(minute: u64, secs: u64) -> Timestamp {
    Minute(minute).start().plus_millis(secs * 1000)
}

#[test]
fn a_program_that_starts_sends_at_its_offset() {
    assert_eq!(next_send(at(DAY, 0), None, 30), (Minute(DAY), at(DAY, 30)));
    assert_eq!(next_send(at(DAY, 30), None, 30), (Minute(DAY), at(DAY, 30)));
    assert_eq!(next_send(at(DAY, 31), None, 30), (Minute(DAY + 1), at(DAY + 1, 30)));
    assert_eq!(next_send(at(DAY, 0), None, 0), (Minute(DAY), at(DAY, 0)));
}

#[test]
fn each_minute_is_sent_once_and_midnight_is_a_minute_like_any() {
    for offset in [0, 1, 30, 59] {
        let (mut now, mut done) = (at(DAY - 3, 7), None);
        let (first, _) = next_send(now, done, offset);
        for expected in first.0..DAY + 3 {
            let (minute, wake) = next_send(now, done, offset);
            assert_eq!((minute, wake), (Minute(expected), at(expected, offset)), "{offset}");
            assert!(wake >= now);
            // The answer comes a little later, and may say a little less.
            (now, done) = (wake.plus_millis(3), Some(minute));
        }
    }
}

#[test]
fn what_was_missed_is_not_sent_later() {
    let late = next_send(at(DAY + 5, 45), Some(Minute(DAY)), 30);
    assert_eq!(late, (Minute(DAY + 5), at(DAY + 5, 30)));
    let early = next_send(at(DAY + 5, 3), Some(Minute(DAY)), 30);
    assert_eq!(early, (Minute(DAY + 5), at(DAY + 5, 30)));
}

#[test]
fn a_server_behind_or_set_back_is_followed() {
    // Sent for a minute which the server, by its next answer, has only just before it.
    let behind = next_send(at(DAY, 59), Some(Minute(DAY + 1)), 0);
    assert_eq!(behind, (Minute(DAY + 2), at(DAY + 2, 0)));
    // Planned by a clock that was an hour ahead.
    let back = next_send(at(DAY, 10), Some(Minute(DAY + 60)), 30);
    assert_eq!(back, (Minute(DAY), at(DAY, 30)));
}

#[test]
fn the_servers_time_goes_on_with_the_monotonic_clock() {
    let time = ServerTime::new(at(DAY, 0), 500);
    assert_eq!(time.now(500), at(DAY, 0));
    assert_eq!(time.now(60_500), at(DAY + 1, 0));
    // Ahead or behind: the newest word counts.
    assert_eq!(time.heard(at(DAY, 9), 1500, false).now(1500), at(DAY, 9));
    assert_eq!(time.heard(at(DAY - 1, 50), 1500, false).now(1500), at(DAY - 1, 50));
    // Except the old word in the answer to a repeat.
    assert_eq!(time.heard(at(DAY - 1, 50), 1500, true).now(1500), at(DAY, 1));
    assert_eq!(time.heard(at(DAY, 9), 1500, true).now(1500), at(DAY, 9));
}

#[test]
fn a_challenge_is_good_for_three_minutes() {
    let challenge = Some(Challenge { value: B256::repeat_byte(1), minute: Minute(DAY) });
    for minute in DAY..DAY + 3 {
        assert!(usable_challenge(challenge, Minute(minute)).is_some());
    }
    assert_eq!(usable_challenge(challenge, Minute(DAY + 3)), None);
    assert_eq!(usable_challenge(None, Minute(DAY)), None);
}

#[test]
fn each_remedy_is_tried_once_in_a_minute() {
    let mut tries = Tries::default();
    assert_eq!(tries.after(Failure::Passing), Retry::SameBytes);
    assert_eq!(tries.after(Failure::StaleChallenge), Retry::NewSession);
    assert_eq!(tries.after(Failure::SeqStale), Retry::NewSeq);
    for again in
        [Failure::Passing, Failure::StaleChallenge, Failure::WrongMinute, Failure::SeqStale]
    {
        assert_eq!(tries.after(again), Retry::GiveUp);
    }
    assert_eq!(Tries::default().after(Failure::Refused), Retry::GiveUp);
}

#[test]
fn the_largest_heartbeat_is_within_the_backends_limit() {
    let key = SigningKey::from_bytes(&[7; 32]).unwrap();
    let held = HeldLease {
        license: B256::repeat_byte(0xff),
        fence: Fence::MAX,
        status: Status::Degraded,
        release: 3,
    };
    let held = vec![held; crate::config::MAX_WORKLOADS];
    let mut message =
        heartbeat(key.address(), Minute(u64::MAX), Seq::MAX, B256::repeat_byte(0xff), &held);
    for line in &mut message.leases {
        line.release = u64::MAX;
    }
    let signed = Signed::new(message, &Domain::new(1, Address::ZERO), &key);
    let bytes = serde_json::to_vec(&signed).unwrap();
    assert!(bytes.len() <= 4096, "{}", bytes.len());
}

#[test]
fn updating_is_said_for_five_minutes_of_a_release_and_ten_of_a_day() {
    let mut said = UpdatingMinutes::default();
    let day = UtcDay(20_455);
    let minute = |i: u64| Minute(day.first_minute().0 + i);
    let mut say = |status, updating, release, minute| said.said(status, updating, release, minute);
    assert_eq!(say(Status::Healthy, true, 3, minute(0)), Status::Healthy);
    assert_eq!(say(Status::Down, false, 3, minute(0)), Status::Down);
    for release in [3, 4, 5] {
        let of: Vec<bool> = (0..7)
            .map(|i| say(Status::Down, true, release, minute(10 * release + i)) == Status::Updating)
            .collect();
        let most = if release == 5 { 0 } else { 5 };
        assert_eq!(of.iter().filter(|yes| **yes).count(), most, "{of:?}");
    }
    // The same minute signed again is not another one.
    let next = Minute(day.next().first_minute().0);
    for _ in 0..9 {
        assert_eq!(say(Status::Starting, true, 5, next), Status::Updating);
    }
    for i in 1..5 {
        assert_eq!(say(Status::Starting, true, 5, Minute(next.0 + i)), Status::Updating);
    }
    assert_eq!(say(Status::Starting, true, 5, Minute(next.0 + 5)), Status::Starting);
}
