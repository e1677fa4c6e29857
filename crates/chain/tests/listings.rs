//! A project's listings, folded from the registry's events.

use nodesys_chain::bindings::ProjectRegistry::{CollectionDelisted, CollectionListed};
use nodesys_chain::listing::listings_of;
use nodesys_chain::logs::Logged;
use nodesys_chain::project::RegistryEvent;
use nodesys_core::listing::{ListedDays, Listing};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};

const OURS: Address = Address::repeat_byte(1);
const THEIRS: Address = Address::repeat_byte(2);
const FIRST: Address = Address::repeat_byte(3);
const SECOND: Address = Address::repeat_byte(4);

fn logged(event: RegistryEvent) -> Logged<RegistryEvent> {
    let (transaction, address) = (B256::ZERO, Address::ZERO);
    Logged { block_number: 1, log_index: 0, transaction, address, event }
}

fn listed(
    project: Address,
    collection: Address,
    workload: &str,
    day: u64,
) -> Logged<RegistryEvent> {
    let workload = workload.to_owned();
    let event = CollectionListed { project, collection, workload, fromDay: day };
    logged(RegistryEvent::CollectionListed(event))
}

fn delisted(project: Address, collection: Address, day: u64) -> Logged<RegistryEvent> {
    let event = CollectionDelisted { project, collection, untilDay: day };
    logged(RegistryEvent::CollectionDelisted(event))
}

fn listing(collection: Address, workload: &str, from: u32, until: Option<u32>) -> Listing {
    let days = ListedDays { from: UtcDay(from), until: until.map(UtcDay) };
    Listing { project: OURS, collection, workload: workload.parse().expect("a name"), days }
}

#[test]
fn each_end_is_that_of_the_listing_before_it() {
    let events = [
        listed(OURS, FIRST, "render", 1),
        listed(OURS, SECOND, "store", 2),
        // Another project's words about the same collections are its own.
        delisted(THEIRS, SECOND, 5),
        delisted(OURS, FIRST, 9),
        listed(THEIRS, FIRST, "render", 9),
        listed(OURS, FIRST, "store", 20),
        // Its listing came before the first block that was read.
        delisted(OURS, THEIRS, 9),
    ];
    let expected = [
        listing(FIRST, "render", 1, Some(9)),
        listing(SECOND, "store", 2, None),
        listing(FIRST, "store", 20, None),
    ];
    assert_eq!(listings_of(&events, OURS).unwrap(), expected);
}

#[test]
fn what_the_registry_cannot_say_is_refused() {
    for event in [listed(OURS, FIRST, "Render", 1), listed(OURS, FIRST, "render", u64::MAX)] {
        assert!(listings_of(&[event], OURS).is_err());
    }
    let events = [listed(OURS, FIRST, "render", 1), delisted(OURS, FIRST, u64::MAX)];
    assert!(listings_of(&events, OURS).is_err());
    assert_eq!(listings_of(&[listed(THEIRS, FIRST, "Render", 1)], OURS).unwrap(), []);
}
