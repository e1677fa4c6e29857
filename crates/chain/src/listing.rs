//! Listings of license collections, from the registry's state and its logs.

use alloy::eips::BlockId;
use alloy::primitives::Address;
use nodesys_core::listing::{ListedDays, Listing};
use nodesys_core::time::UtcDay;

use crate::bindings::ProjectRegistry;
use crate::error::ChainError;
use crate::logs::Logged;
use crate::project::RegistryEvent;
use crate::provider::Provider;

/// A collection's last listing by the registry's state, which may be over; `None` where it never had one.
///
/// # Errors
///
/// [`ChainError::OutOfRange`] where its days or its workload's name are none to us, and those of a read.
pub async fn last_listing(
    provider: &Provider,
    registry: Address,
    collection: Address,
) -> Result<Option<Listing>, ChainError> {
    let call = ProjectRegistry::listingOfCall { collection };
    let found = provider.call(registry, &call, BlockId::latest()).await?;
    if found.project.is_zero() {
        return Ok(None);
    }
    let until = found.untilDay.to::<u64>();
    let days = ListedDays {
        from: day(found.fromDay.to())?,
        // Zero stands for no end.
        until: if until == 0 { None } else { Some(day(until)?) },
    };
    let workload = found.workload.parse();
    let workload = workload.map_err(|_| out_of_range("a workload's name", &found.workload))?;
    Ok(Some(Listing { project: found.project, collection, workload, days }))
}

/// A project's listings by the registry's events, in chain order.
///
/// # Errors
///
/// [`ChainError::OutOfRange`] where a listing's days or its workload's name are none to us.
pub fn listings_of(
    events: &[Logged<RegistryEvent>],
    project: Address,
) -> Result<Vec<Listing>, ChainError> {
    let mut listings: Vec<Listing> = Vec::new();
    for logged in events {
        match &logged.event {
            RegistryEvent::CollectionListed(listed) if listed.project == project => {
                let workload = listed.workload.parse();
                let workload =
                    workload.map_err(|_| out_of_range("a workload's name", &listed.workload))?;
                let days = ListedDays { from: day(listed.fromDay)?, until: None };
                let collection = listed.collection;
                listings.push(Listing { project, collection, workload, days });
            }
            RegistryEvent::CollectionDelisted(delisted) if delisted.project == project => {
                let until = day(delisted.untilDay)?;
                // Only the last can have been open.
                let last = listings.iter_mut().rev();
                let mut last = last.filter(|one| one.collection == delisted.collection);
                if let Some(listing) = last.next() {
                    listing.days.until = Some(until);
                }
            }
            _ => {}
        }
    }
    Ok(listings)
}

/// A day of the registry.
///
/// # Errors
///
/// [`ChainError::OutOfRange`] beyond our calendar.
pub fn day(number: u64) -> Result<UtcDay, ChainError> {
    UtcDay::from_epoch(number).ok_or_else(|| out_of_range("a listing's day", number))
}

fn out_of_range(what: &str, value: impl std::fmt::Display) -> ChainError {
    ChainError::OutOfRange { what: what.to_owned(), value: value.to_string() }
}
