//! The rule of who may run a license, in words with its facts filled in.

use std::fmt;

use nodesys_chain::ownership::DELEGATE_REGISTRY;
use nodesys_core::Address;
use nodesys_core::license::{OPERATE_RIGHTS, Ownership, Right};
use serde::Serialize;

use super::show::Shown;
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

/// `license explain`.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Explained(pub(super) Shown);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(shown) = self;
        let (facts, operator) = (&shown.facts, shown.operator());
        let license = shown.license();
        writeln!(f, "{shown}\n")?;
        writeln!(
            f,
            "The rule, as the backend and this program each apply it to their own chain:\n"
        )?;
        match facts.rental {
            Some(rental) => writeln!(
                f,
                "1. Does an ERC-4907 rental run? Yes: to {} until {}. While it runs, the holder's \
                 own right rests.",
                rental.renter,
                moment(rental.until_secs)
            )?,
            None => {
                writeln!(f, "1. Does an ERC-4907 rental run? No, so the holder's word counts.")?;
            }
        }
        let Some(principal) = facts.principal() else { return write!(f, "2. No such token.") };
        let role = if facts.rental.is_some() { "renter" } else { "holder" };
        if principal == operator {
            write!(f, "2. The {role} is {principal}: that is the operator, who may run it.")?;
        } else {
            writeln!(f, "2. The {role} is {principal}, which is not the operator.")?;
            let said = matches!(shown.granted, Right::Delegate { .. });
            write!(
                f,
                "3. Has the {role} delegated it to the operator, at delegate.xyz's registry \
                 {DELEGATE_REGISTRY} (the token, its collection or the whole wallet, for all \
                 rights or for nodesys.operate.v1)? {}",
                if said { "Yes: the operator may run it." } else { "No: it may not be run." }
            )?;
        }
        if !shown.granted.allows() {
            let collection = license.collection;
            write!(
                f,
                "\n\nTo change that, the {role} {principal} either runs it, or delegates it:\n  \
                 delegateERC721({operator}, {collection}, {}, {OPERATE_RIGHTS}, true)",
                license.token_id
            )?;
            if facts.rental.is_none() {
                write!(
                    f,
                    "\nor rents it out, at the collection {collection}:\n  setUser({}, {operator}, \
                     UNTIL_SECS)",
                    license.token_id
                )?;
            }
        }
        Ok(())
    }
}
