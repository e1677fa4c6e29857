//! Blocks and rentals, printed.

use std::fmt;

use nodesys_chain::BlockRef;
use nodesys_core::license::Rental;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::output::moment;

/// The block at which something was read.
#[derive(Debug, Serialize)]
pub(crate) struct BlockView {
    number: String,
    hash: B256,
    time: String,
}

impl From<BlockRef> for BlockView {
    fn from(block: BlockRef) -> Self {
        let time = Timestamp::from_secs(block.secs).to_string();
        Self { number: block.number.to_string(), hash: block.hash, time }
    }
}

impl fmt::Display for BlockView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.time)
    }
}

/// A running rental, printed.
#[derive(Debug, Serialize)]
pub(crate) struct RentalView {
    renter: Address,
    until_secs: String,
    until: String,
}

impl From<Rental> for RentalView {
    fn from(rental: Rental) -> Self {
        Self {
            renter: rental.renter,
            until_secs: rental.until_secs.to_string(),
            until: moment(rental.until_secs),
        }
    }
}

impl fmt::Display for RentalView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} until {}", self.renter, self.until)
    }
}
