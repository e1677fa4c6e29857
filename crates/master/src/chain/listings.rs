//! What a project lists now, for `project show`.

use std::fmt;

use nodesys_chain::Provider;
use nodesys_chain::listing::listings_of;
use nodesys_chain::project::registry_events;
use nodesys_core::Address;
use nodesys_core::ids::Name;
use nodesys_core::listing::Listing;
use nodesys_core::time::{Timestamp, UtcDay};
use serde::Serialize;

/// A listing of the project's.
#[derive(Debug, Serialize)]
pub(crate) struct ListingView {
    workload: Name,
    collection: Address,
    from: UtcDay,
    /// First day on which it is over, where that is announced.
    until: Option<UtcDay>,
}

impl fmt::Display for ListingView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, collection, from, until } = self;
        write!(f, "{workload}: {collection} from {from} on")?;
        until.map_or(Ok(()), |until| write!(f, ", until before {until}"))
    }
}

/// The project's listings that are not over, in the order of their beginning.
pub(crate) async fn current(
    provider: &Provider,
    registry: Address,
    project: Address,
    first_block: u64,
) -> anyhow::Result<Vec<ListingView>> {
    let newest = provider.latest_block().await?;
    let events = registry_events(provider, registry, first_block, newest.number).await?;
    let today = Timestamp::from_secs(newest.secs).day();
    let listings = listings_of(&events, project)?;
    let current = listings.into_iter().filter(|listing| listing.days.include(today));
    let view = |Listing { collection, workload, days, .. }| ListingView {
        workload,
        collection,
        from: days.from,
        until: days.until,
    };
    Ok(current.map(view).collect())
}
