//! The right to run a license, in words.

use nodesys_core::Address;
use nodesys_core::license::{Ownership, Right};

use crate::output::moment;

/// Why an operator may run a license, or may not, in one sentence.
pub(crate) fn why(facts: &Ownership, right: Right, operator: Address) -> String {
    match (right, facts.holder, facts.rental) {
        (Right::Holder, ..) => format!("{operator} owns the token, and no rental runs"),
        (Right::Renter { until_secs }, ..) => {
            format!("{operator} rents the token until {}", moment(until_secs))
        }
        (Right::Delegate { from }, _, Some(_)) => {
            format!("{from} rents the token and has delegated it to {operator}")
        }
        (Right::Delegate { from }, _, None) => {
            format!("{from} owns the token and has delegated it to {operator}")
        }
        (Right::Expired { at_secs }, ..) => {
            format!(
                "the license expired at {}, and until it is renewed nobody may run it",
                moment(at_secs)
            )
        }
        (Right::None, None, _) => "the token does not exist".to_owned(),
        (Right::None, Some(holder), Some(rental)) => format!(
            "it is rented to {} until {}, so only the renter or its delegate may run it{}",
            rental.renter,
            moment(rental.until_secs),
            if holder == operator { ", not its holder" } else { "" }
        ),
        (Right::None, Some(holder), None) => format!(
            "{holder} owns the token, no rental runs, and {operator} is not a delegate of the holder"
        ),
    }
}

/// A right in short, with a moment without end said so.
pub(crate) fn right_word(right: Right) -> String {
    match right {
        Right::Renter { until_secs } => format!("renter until {}", moment(until_secs)),
        other => other.to_string(),
    }
}
