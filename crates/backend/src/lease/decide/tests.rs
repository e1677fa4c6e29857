//! Every case of the decision, as a table of facts.

use super::{Address, Decision, EndReason, Lease, Liveness, Moment, Renewed, Standby, Timestamp};

const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);
const CAROL: Address = Address::repeat_byte(0xca);

const fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(minutes * 60_000)
}

/// Minute 100, after a life without a gap.
fn moment() -> Moment {
    Moment::new(at(100), &Liveness::new(&[(at(0), at(100))]))
}

/// Node 1's, Alice's, last heard at these minutes.
fn held(carried: Option<u64>, fit: Option<u64>) -> Lease {
    Lease {
        node: 1,
        operator: ALICE,
        granted: at(50),
        listed: true,
        renewed: Renewed { carried: carried.map(at), fit: fit.map(at) },
        ended: None,
    }
}

fn ended(minute: u64, reason: EndReason) -> Lease {
    Lease { ended: Some((at(minute), reason)), ..held(Some(80), Some(80)) }
}

/// Asked first at this minute, and last a minute ago.
const fn standby(node: i32, operator: Address, since: u64) -> Standby {
    Standby { node, operator, since: at(since), asked: at(99), able: true }
}

fn all_allowed(_: Address) -> Option<bool> {
    Some(true)
}

fn denied(operator: Address) -> impl Fn(Address) -> Option<bool> {
    move |asked| Some(asked != operator)
}

/// A decision without the operator, which must be that of the chosen standby.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Stay,
    End(EndReason),
    Grant(i32, Option<EndReason>),
}

fn decide(
    lease: Option<&Lease>,
    standbys: &[Standby],
    right: impl Fn(Address) -> Option<bool>,
    at: &Moment,
) -> Outcome {
    match super::decide(lease, standbys, right, at) {
        Decision::Stay => Outcome::Stay,
        Decision::End(reason) => Outcome::End(reason),
        Decision::Grant { node, operator, ends } => {
            assert!(standbys.iter().any(|s| (s.node, s.operator) == (node, operator)));
            Outcome::Grant(node, ends)
        }
    }
}

fn go(lease: Option<&Lease>, standbys: &[Standby]) -> Outcome {
    decide(lease, standbys, all_allowed, &moment())
}

const fn granted(node: i32) -> Outcome {
    Outcome::Grant(node, None)
}

const fn takes(node: i32, reason: EndReason) -> Outcome {
    Outcome::Grant(node, Some(reason))
}

#[test]
fn a_free_license_goes_to_who_waited_longest() {
    assert_eq!(go(None, &[]), Outcome::Stay);
    let two = [standby(2, BOB, 90), standby(3, CAROL, 95)];
    assert_eq!(go(None, &two), granted(2));
    assert_eq!(decide(None, &two, denied(BOB), &moment()), granted(3));
    assert_eq!(decide(None, &two, |_| None, &moment()), Outcome::Stay);
    let unable = [Standby { able: false, ..two[0].clone() }, two[1].clone()];
    assert_eq!(go(None, &unable), granted(3));
    // Dropped: last request more than five minutes ago.
    let silent = [Standby { asked: at(94), ..two[0].clone() }, two[1].clone()];
    assert_eq!(go(None, &silent), granted(3));
    let just = [Standby { asked: at(95), ..two[0].clone() }, two[1].clone()];
    assert_eq!(go(None, &just), granted(2));
}

#[test]
fn a_lease_that_is_heard_stays_whoever_waits() {
    let waiting = [standby(2, ALICE, 90)];
    for lease in [held(Some(99), Some(99)), held(Some(90), Some(90)), held(None, None)] {
        let lease = Lease { granted: at(90), ..lease };
        assert_eq!(go(Some(&lease), &waiting), Outcome::Stay, "{lease:?}");
        assert_eq!(go(Some(&lease), &[]), Outcome::Stay, "{lease:?}");
    }
}

#[test]
fn silence_ends_it_ten_and_a_half_minutes_later() {
    let lease = |millis: u64| Lease {
        renewed: Renewed {
            carried: Some(Timestamp::from_millis(millis)),
            fit: Some(Timestamp::from_millis(millis)),
        },
        ..held(None, None)
    };
    let limit = at(100).millis() - 630_000;
    let waiting = [standby(2, ALICE, 92), standby(3, BOB, 91)];
    assert_eq!(go(Some(&lease(limit)), &waiting), Outcome::Stay);
    assert_eq!(go(Some(&lease(limit - 1)), &waiting), takes(2, EndReason::Expired));
    assert_eq!(go(Some(&lease(limit - 1)), &[]), Outcome::End(EndReason::Expired));
    // No allowed operator, or no answer of the chain: it ends all the same.
    let unknown = decide(Some(&lease(limit - 1)), &waiting, |_| None, &moment());
    assert_eq!(unknown, Outcome::End(EndReason::Expired));
    let second = decide(Some(&lease(limit - 1)), &waiting, denied(ALICE), &moment());
    assert_eq!(second, takes(3, EndReason::NotEntitled));
    // Never renewed: counted from the grant.
    assert_eq!(go(Some(&held(None, None)), &[]), Outcome::End(EndReason::Expired));
}

#[test]
fn it_ends_with_its_listing() {
    let over = Lease { listed: false, ..held(Some(99), Some(99)) };
    assert_eq!(go(Some(&over), &[]), Outcome::End(EndReason::NotEntitled));
    // Listed anew, another node may be waiting already.
    assert_eq!(go(Some(&over), &[standby(2, BOB, 99)]), takes(2, EndReason::NotEntitled));
    // Nobody gets what is not listed.
    let nobody = |_| Some(false);
    let decided = decide(Some(&over), &[standby(2, BOB, 99)], nobody, &moment());
    assert_eq!(decided, Outcome::End(EndReason::NotEntitled));
}

#[test]
fn down_and_degraded_renew_only_while_nobody_waits() {
    let lease = held(Some(99), Some(80));
    assert_eq!(go(Some(&lease), &[]), Outcome::Stay);
    // They counted up to the first request.
    assert_eq!(go(Some(&lease), &[standby(2, ALICE, 90)]), Outcome::Stay);
    let two = [standby(2, ALICE, 89), standby(3, ALICE, 95)];
    assert_eq!(go(Some(&lease), &two), takes(2, EndReason::Expired));
    // A dropped standby does not count.
    let gone = [Standby { asked: at(90), ..standby(2, ALICE, 89) }];
    assert_eq!(go(Some(&lease), &gone), Outcome::Stay);
    // A standby without the right still makes it end: the next may have it.
    let unable = [Standby { able: false, ..standby(2, ALICE, 89) }];
    assert_eq!(go(Some(&lease), &unable), Outcome::End(EndReason::Expired));
}

#[test]
fn the_chains_no_ends_it_at_once() {
    let lease = held(Some(100), Some(100));
    let waiting = [standby(2, ALICE, 60), standby(3, BOB, 99)];
    let sold = |standbys: &[Standby]| decide(Some(&lease), standbys, denied(ALICE), &moment());
    assert_eq!(sold(&waiting), takes(3, EndReason::NotEntitled));
    assert_eq!(sold(&waiting[..1]), Outcome::End(EndReason::NotEntitled));
    assert_eq!(sold(&[]), Outcome::End(EndReason::NotEntitled));
    // A silent chain is not a denial.
    assert_eq!(decide(Some(&lease), &waiting, |_| None, &moment()), Outcome::Stay);
}

#[test]
fn the_former_node_comes_first_for_two_minutes() {
    let (former, other) = (standby(1, ALICE, 99), standby(2, BOB, 97));
    let asking = [other.clone(), former.clone()];
    for (minute, chosen) in [(98, 1), (97, 2)] {
        let lease = ended(minute, EndReason::Expired);
        assert_eq!(go(Some(&lease), &asking), granted(chosen), "ended at {minute}");
    }
    // A newcomer waits for it; an earlier standby does not.
    let newcomer = Standby { since: at(99), ..other.clone() };
    let just = ended(98, EndReason::Expired);
    assert_eq!(go(Some(&just), std::slice::from_ref(&newcomer)), Outcome::Stay);
    let at_once = Standby { since: at(98), ..other.clone() };
    assert_eq!(go(Some(&just), &[at_once]), Outcome::Stay);
    assert_eq!(go(Some(&just), &[Standby { since: at(90), ..other.clone() }]), granted(2));
    assert_eq!(
        go(Some(&ended(97, EndReason::Expired)), std::slice::from_ref(&newcomer)),
        granted(2)
    );
    // Not if it lost its right, or the operator revoked the node.
    for reason in [EndReason::NotEntitled, EndReason::Revoked, EndReason::Moved] {
        assert_eq!(go(Some(&ended(99, reason)), &asking), granted(2), "{reason:?}");
    }
    // Nor if the chain denies it now: then it has no preference.
    assert_eq!(decide(Some(&just), &asking, denied(ALICE), &moment()), granted(2));
    let newcomer = Standby { since: at(99), ..other };
    assert_eq!(decide(Some(&just), &[newcomer], denied(ALICE), &moment()), granted(2));
}

#[test]
fn nothing_is_over_while_the_backend_was_down() {
    // Down from minute 62 to 98: of the lease's time 8 minutes have passed.
    let away = Moment::new(at(100), &Liveness::new(&[(at(0), at(60)), (at(98), at(100))]));
    let lease = held(Some(56), Some(56));
    let waiting = [Standby { asked: at(59), ..standby(2, BOB, 55) }];
    assert_eq!(decide(Some(&lease), &waiting, all_allowed, &away), Outcome::Stay);
    // The standby is not forgotten either, and the former node still preferred.
    let former = [Standby { asked: at(59), ..standby(1, ALICE, 59) }];
    let both = [waiting[0].clone(), former[0].clone()];
    let just = ended(61, EndReason::Expired);
    assert_eq!(decide(Some(&just), &both, all_allowed, &away), granted(2));
    let later = Moment::new(at(99), &Liveness::new(&[(at(0), at(60)), (at(98), at(99))]));
    assert_eq!(decide(Some(&just), &both, all_allowed, &later), granted(1));
}
