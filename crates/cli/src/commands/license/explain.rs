//! `license explain`: the rule of who may run a license, with its facts filled in.

use std::fmt;

use nodesys_chain::ownership::DELEGATE_REGISTRY;
use nodesys_core::license::{OPERATE_RIGHTS, Right};
use serde::Serialize;

use super::show::ShowArgs;
use crate::exit::Exit;
use crate::license::show::{LicenseView, Logged, read_logged_license};
use crate::output::{self, moment};
use crate::setup::Setup;

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &ShowArgs) -> anyhow::Result<Exit> {
    let view = read_logged_license(setup, &args.license, args.operator).await?;
    output::print(setup.format(), &Explanation(view))?;
    Ok(Exit::Done)
}

/// `license explain`.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Explanation(LicenseView);

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(view) = self;
        let (facts, operator) = (&view.facts, view.operator);
        let license = view.license;
        writeln!(f, "{view}\n")?;
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
            let said = matches!(view.granted, Right::Delegate { .. });
            write!(
                f,
                "3. Has the {role} delegated it to the operator, at delegate.xyz's registry \
                 {DELEGATE_REGISTRY} (the token, its collection or the whole wallet, for all \
                 rights or for nodesys.operate.v1)? {}",
                if said { "Yes: the operator may run it." } else { "No: it may not be run." }
            )?;
        }
        if !view.granted.allows() {
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
        if let Some(Logged { from_block, minted_in_block: None }) = view.logged {
            write!(
                f,
                "\n\nBUT no log from block {from_block} on mints it (--first-block): the backend does not \
                 know such a license, and it earns nothing. Its collection is older than what the \
                 network's programs read, or mints without a Transfer for each token (ERC-2309)"
            )?;
        }
        Ok(())
    }
}
