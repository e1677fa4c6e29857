//! Which release is chosen, of every kind of list.

use nodesys_core::B256;
use nodesys_core::time::Timestamp;
use nodesys_core::update::{CURSOR_ALL, VERIFIED_FORMAT};

use super::*;

const HERE: &str = "x86_64-linux";

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn target(name: String, about: TargetMetadata) -> VerifiedTarget {
    VerifiedTarget { file: format!("0.{name}"), name, size: 1, sha256: B256::ZERO, about }
}

/// Releases as `VERSION[!stop][@percent][#platform]`.
fn listed(words: &str) -> Catalogue {
    let mut targets = Vec::new();
    for word in words.split_whitespace() {
        let (word, platform) = word.split_once('#').unwrap_or((word, HERE));
        let (word, percent) = word.split_once('@').unwrap_or((word, "100"));
        let (name, required_stop) = match word.split_once('!') {
            Some((name, _)) => (name, true),
            None => (word, false),
        };
        let version = version(name);
        let cursor_ppm = percent.parse::<u32>().unwrap() * (CURSOR_ALL / 100);
        let seed = B256::repeat_byte(3);
        let terms = ReleaseTerms {
            version: version.clone(),
            seed,
            cursor_ppm,
            required_stop,
            manager_image: None,
        };
        targets.push(target(format!("release-{name}"), TargetMetadata::Release(terms)));
        for program in Program::ALL {
            let (version, platform) = (version.clone(), platform.parse().unwrap());
            let about = TargetMetadata::Program { version, platform, program };
            targets.push(target(format!("{program}-{name}"), about));
        }
    }
    Catalogue::of(&verified(targets), &HERE.parse().unwrap()).unwrap()
}

fn verified(targets: Vec<VerifiedTarget>) -> Verified {
    Verified {
        format: VERIFIED_FORMAT.to_owned(),
        root_version: 1,
        targets_version: 1,
        timestamp_version: 1,
        judged_at: Timestamp::from_secs(0),
        expires: Timestamp::from_secs(1),
        targets,
    }
}

/// A node key with a place below or above the middle of the order.
fn node(early: bool) -> Address {
    let catalogue = listed("9.9.9");
    let terms = &catalogue.0[&version("9.9.9")].terms;
    let mut nodes = (0..64).map(Address::repeat_byte);
    nodes.find(|node| (terms.place(*node) < CURSOR_ALL / 2) == early).unwrap()
}

fn told(list: &str, current: &str, pin: Option<&str>, bad: &[&str], early: bool) -> String {
    let catalogue = listed(list);
    let (current, pin) = (version(current), pin.map(version));
    let quarantined = bad.iter().map(|bad| (version(bad), "no receipts".to_owned())).collect();
    let standing = NodeFacts {
        current: &current,
        node_key: Some(node(early)),
        pin: pin.as_ref(),
        quarantined: &quarantined,
    };
    match choose(&catalogue, &standing) {
        Choice::Current => "current".to_owned(),
        Choice::Waits(terms) => format!("waits {}", terms.version),
        Choice::Quarantined { version, .. } => format!("quarantined {version}"),
        Choice::Blocked { exit, why } => format!("blocked {} {why}", exit as u8),
        Choice::Take { listed, towards: None } => format!("take {}", listed.terms.version),
        Choice::Take { listed, towards: Some(goal) } => {
            format!("take {} towards {goal}", listed.terms.version)
        }
    }
}

#[test]
fn the_newest_that_is_this_nodes_turn_is_taken() {
    let at = |list: &str| told(list, "0.1.0", None, &[], true);
    assert_eq!(at(""), "current");
    assert_eq!(at("0.0.9 0.1.0"), "current");
    assert_eq!(at("0.9.0 0.10.0 0.2.0"), "take 0.10.0");
    // On trial, or for other machines only.
    assert_eq!(at("0.2.0 0.3.0-rc.1 0.4.0#aarch64-macos"), "take 0.2.0");
    assert_eq!(at("0.3.0@50"), "take 0.3.0");
    let late = |list: &str| told(list, "0.1.0", None, &[], false);
    assert_eq!(late("0.3.0@50"), "waits 0.3.0");
    assert_eq!(late("0.2.0 0.3.0@50"), "take 0.2.0");
    assert_eq!(late("0.2.0@1 0.3.0@50"), "waits 0.3.0");
}

#[test]
fn no_required_stop_is_gone_past() {
    let at = |list: &str, current: &str| told(list, current, None, &[], true);
    assert_eq!(at("0.2.0!stop 0.3.0 0.4.0!stop 0.5.0", "0.1.0"), "take 0.2.0 towards 0.5.0");
    assert_eq!(at("0.2.0!stop 0.3.0 0.4.0!stop 0.5.0", "0.2.0"), "take 0.4.0 towards 0.5.0");
    assert_eq!(at("0.2.0!stop 0.3.0 0.4.0!stop 0.5.0", "0.4.0"), "take 0.5.0");
    assert_eq!(at("0.2.0!stop", "0.1.0"), "take 0.2.0");
    // The stop cannot be had: nothing past it is taken either.
    let elsewhere = at("0.2.0!stop#aarch64-macos 0.3.0", "0.1.0");
    assert!(elsewhere.starts_with("blocked 1 0.3.0 goes by way of 0.2.0"), "{elsewhere}");
    let bad = told("0.2.0!stop 0.3.0", "0.1.0", None, &["0.2.0"], true);
    assert!(bad.starts_with("blocked 1") && bad.contains("no receipts"), "{bad}");
    assert_eq!(told("0.2.0!stop@50 0.3.0", "0.1.0", None, &[], false), "waits 0.2.0");
    // Nor with a pin, which else is the operator's own word.
    let pin = |pin: &str| told("0.2.0!stop@1 0.3.0@1", "0.1.0", Some(pin), &[], false);
    assert_eq!(pin("0.3.0"), "take 0.2.0 towards 0.3.0");
}

#[test]
fn a_pin_is_the_operators_own_word() {
    let at = |pin: &str, bad: &[&str]| {
        told("0.1.0 0.2.0@1 0.3.0 0.4.0-rc.1", "0.1.1", Some(pin), bad, false)
    };
    assert_eq!(at("0.2.0", &[]), "take 0.2.0");
    assert_eq!(at("0.4.0-rc.1", &[]), "take 0.4.0-rc.1");
    assert_eq!(at("0.1.1", &[]), "current");
    assert_eq!(at("0.2.0", &["0.2.0"]), "quarantined 0.2.0");
    assert!(at("0.1.0", &[]).starts_with("blocked 1 the pinned 0.1.0 is older"));
    assert!(at("0.2.5", &[]).starts_with("blocked 3 the pinned 0.2.5 is not listed"));
}

#[test]
fn what_did_not_hold_is_not_tried_again_by_itself() {
    let at = |list: &str| told(list, "0.1.0", None, &["0.3.0"], true);
    assert_eq!(at("0.3.0"), "quarantined 0.3.0");
    assert_eq!(at("0.2.0 0.3.0"), "take 0.2.0");
    assert_eq!(at("0.3.0 0.3.1"), "take 0.3.1");
}

#[test]
fn a_machine_without_a_node_waits_for_all() {
    let catalogue = listed("0.2.0 0.3.0@99");
    let (current, none) = (version("0.1.0"), BTreeMap::new());
    let standing = NodeFacts { current: &current, node_key: None, pin: None, quarantined: &none };
    assert!(matches!(
        choose(&catalogue, &standing),
        Choice::Take { listed, .. } if listed.terms.version == version("0.2.0")
    ));
}

#[test]
fn a_file_of_no_release_is_refused() {
    let (version, platform) = (version("0.2.0"), HERE.parse().unwrap());
    let lonely = TargetMetadata::Program { version, platform, program: Program::Nodesys };
    let verified = verified(vec![target("nodesys-0.2.0".to_owned(), lonely)]);
    let error = Catalogue::of(&verified, &HERE.parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("that it does not list"), "{error}");
}
