//! Names of licenses, and the token of the contract that each means.

use std::fmt;
use std::str::FromStr;

use alloy::eips::BlockId;
use nodesys_chain::bindings::ProjectRegistry;
use nodesys_chain::listing::{last_listing, listings_of};
use nodesys_chain::metadata::symbols_of;
use nodesys_chain::{ChainError, Provider, project};
use nodesys_core::address::address;
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::ids::{Name, ParseError};
use nodesys_core::license::LicenseId;
use nodesys_core::listing::Listing;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, U256};

use crate::exit::Exit;
use crate::output::clean;
use crate::setup::Setup;

/// A license as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LicenseName {
    /// `COLLECTION_ADDRESS/TOKEN`.
    Collection(Address, U256),
    /// `WORKLOAD/TOKEN`, within a project.
    Workload(Name, U256),
    /// `SYMBOL TOKEN` without a space, or with `#` between; where one ends and the other begins
    /// depends on the project's symbols.
    Symbol(String),
}

impl FromStr for LicenseName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = |problem| ParseError::new("license", problem, text);
        let Some((left, token)) = text.split_once('/') else {
            return match text.ends_with(|c: char| c.is_ascii_digit()) {
                true if !text.starts_with(|c: char| c.is_ascii_digit()) => {
                    Ok(Self::Symbol(text.to_owned()))
                }
                _ => Err(bad("expected SYMBOL and token (A1), WORKLOAD/TOKEN or 0x…/TOKEN")),
            };
        };
        let token = token_id(token).ok_or_else(|| bad("the token after / is no decimal number"))?;
        if left.starts_with("0x") {
            let address = address(left)?;
            return Ok(Self::Collection(address, token));
        }
        let workload = left.parse().map_err(|_| bad("no workload's name before /"))?;
        Ok(Self::Workload(workload, token))
    }
}

impl fmt::Display for LicenseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collection(address, token) => write!(f, "{address}/{token}"),
            Self::Workload(name, token) => write!(f, "{name}/{token}"),
            Self::Symbol(text) => f.write_str(text),
        }
    }
}

/// Decimal digits, one spelling.
fn token_id(text: &str) -> Option<U256> {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| U256::from_str_radix(text, 10).ok()).flatten()
}

/// The token that `text` names, if its front is this symbol.
fn token_of_symbol(text: &str, symbol: &str) -> Option<U256> {
    let rest = text.strip_prefix(symbol).filter(|_| !symbol.is_empty())?;
    token_id(rest.strip_prefix('#').unwrap_or(rest))
}

/// A collection as the chain presents it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedCollection {
    pub(crate) collection: Address,
    /// The workload that its tokens license now, by the registry.
    pub(crate) workload: Option<Name>,
    /// The first day on which its last listing is over, where that is announced.
    pub(crate) listed_until: Option<UtcDay>,
    /// A stranger's text.
    pub(crate) symbol: Option<String>,
}

/// The license that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedLicense {
    pub(crate) license: LicenseId,
    pub(crate) listed: ListedCollection,
    /// The project that lists the collection, where the registry was asked and knows one.
    pub(crate) project: Option<Name>,
}

/// The collections that the project lists now, in the order of listing.
pub(crate) async fn collections(
    setup: &Setup,
    provider: &Provider,
    project: &ProjectInfo,
) -> anyhow::Result<Vec<Listing>> {
    let newest = provider.latest_block().await?;
    let (registry, from) = (project.registry, setup.first_block());
    let events = project::registry_events(provider, registry, from, newest.number).await?;
    let mut listings = listings_of(&events, project.distributor)?;
    let today = Timestamp::from_secs(newest.secs).day();
    listings.retain(|listing| listing.days.include(today));
    Ok(listings)
}

/// The same with their symbols.
pub(crate) async fn listed_collections(
    provider: &Provider,
    listings: &[Listing],
) -> Result<Vec<ListedCollection>, ChainError> {
    let addresses: Vec<Address> = listings.iter().map(|one| one.collection).collect();
    let symbols = symbols_of(provider, &addresses).await?;
    let listed = listings.iter().zip(symbols).map(|(one, symbol)| ListedCollection {
        collection: one.collection,
        workload: Some(one.workload.clone()),
        listed_until: one.days.until,
        symbol,
    });
    Ok(listed.collect())
}

/// Finds out which license is meant. That the token exists is for the reader of its facts.
pub(crate) async fn resolve(
    setup: &Setup,
    provider: &Provider,
    name: &LicenseName,
) -> anyhow::Result<ResolvedLicense> {
    let chain_id = provider.chain_id();
    let (listed, token_id, project) = match name {
        LicenseName::Collection(address, token) => {
            let (listed, project) = of_address(setup, provider, *address).await?;
            (listed, *token, project)
        }
        LicenseName::Workload(workload, token) => {
            let project = setup.project(provider).await?;
            let listed = of_workload(setup, provider, &project, workload).await?;
            (listed, *token, Some(project.name))
        }
        LicenseName::Symbol(text) => {
            let project = setup.project(provider).await?;
            let collections = collections(setup, provider, &project).await?;
            let listed = listed_collections(provider, &collections).await?;
            let (listed, token) = of_symbol(text, &project.name, &listed)?;
            (listed, token, Some(project.name))
        }
    };
    let license = LicenseId { chain_id, collection: listed.collection, token_id };
    Ok(ResolvedLicense { license, listed, project })
}

/// A known registry names the collection's project; without one the address stands
/// alone.
async fn of_address(
    setup: &Setup,
    provider: &Provider,
    collection: Address,
) -> anyhow::Result<(ListedCollection, Option<Name>)> {
    provider.require_code(collection, "a license collection").await?;
    let symbol = symbols_of(provider, &[collection]).await?.into_iter().next().flatten();
    let Some(registry) = setup.settings.registry else {
        let unknown = ListedCollection { collection, workload: None, listed_until: None, symbol };
        return Ok((unknown, None));
    };
    let last = last_listing(provider, registry, collection).await?;
    let listed_until = last.as_ref().and_then(|last| last.days.until);
    let today = Timestamp::from_secs(provider.latest_block().await?.secs).day();
    let (workload, project) = match last.filter(|last| last.days.include(today)) {
        Some(last) => {
            let project = project::of(provider, registry, last.project).await?;
            (Some(last.workload), project.map(|found| found.name))
        }
        None => (None, None),
    };
    Ok((ListedCollection { collection, workload, listed_until, symbol }, project))
}

async fn of_workload(
    setup: &Setup,
    provider: &Provider,
    project: &ProjectInfo,
    workload: &Name,
) -> anyhow::Result<ListedCollection> {
    let collection = collection_of_workload(setup, provider, project, workload).await?;
    let symbol = symbols_of(provider, &[collection]).await?.into_iter().next().flatten();
    let last = last_listing(provider, project.registry, collection).await?;
    let listed_until = last.and_then(|last| last.days.until);
    Ok(ListedCollection { collection, workload: Some(workload.clone()), listed_until, symbol })
}

/// The collection whose tokens license this workload.
pub(crate) async fn collection_of_workload(
    setup: &Setup,
    provider: &Provider,
    project: &ProjectInfo,
    workload: &Name,
) -> anyhow::Result<Address> {
    let call = ProjectRegistry::collectionOfCall {
        project: project.distributor,
        workload: workload.to_string(),
    };
    let collection = provider.call(project.registry, &call, BlockId::latest()).await?;
    if collection.is_zero() {
        let known = collections(setup, provider, project).await?;
        let known: Vec<&str> = known.iter().map(|one| one.workload.as_str()).collect();
        return Err(Exit::NotFound.because(format!(
            "project {} has no workload {workload}; it has {}",
            project.name,
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )));
    }
    Ok(collection)
}

/// The one collection whose symbol the text begins with.
fn of_symbol(
    text: &str,
    project: &Name,
    all: &[ListedCollection],
) -> anyhow::Result<(ListedCollection, U256)> {
    let choice = |listed: &ListedCollection| {
        let workload = listed.workload.as_ref().map_or("?", Name::as_str);
        let symbol = listed.symbol.as_deref().map(clean).unwrap_or_else(|| "none".to_owned());
        format!("{symbol} ({workload}, {})", listed.collection)
    };
    let mut found: Vec<(ListedCollection, U256)> = all
        .iter()
        .filter_map(|listed| {
            let token = token_of_symbol(text, listed.symbol.as_deref()?)?;
            Some((listed.clone(), token))
        })
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            let choices: Vec<String> = found
                .iter()
                .map(|(listed, token)| {
                    format!("  {}/{token}  {}", listed.collection, choice(listed))
                })
                .collect();
            Err(Exit::Usage.because(format!(
                "{text} may mean more than one license of project {project}; name one of\n{}",
                choices.join("\n")
            )))
        }
        (None, _) => {
            let symbols: Vec<String> = all.iter().map(choice).collect();
            Err(Exit::NotFound.because(format!(
                "no collection of project {project} has a symbol that {text} begins with; its \
                 symbols are: {}",
                if symbols.is_empty() { "none".to_owned() } else { symbols.join(", ") }
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed_collections(symbol: &str, byte: u8) -> ListedCollection {
        ListedCollection {
            collection: Address::repeat_byte(byte),
            workload: Some(format!("w{byte}").parse().unwrap()),
            listed_until: None,
            symbol: Some(symbol.to_owned()),
        }
    }

    #[test]
    fn the_three_forms() {
        let address = Address::repeat_byte(0xab);
        for (text, expected) in [
            (format!("{address}/7"), LicenseName::Collection(address, U256::from(7))),
            (
                "gpu-render/7".to_owned(),
                LicenseName::Workload("gpu-render".parse().unwrap(), U256::from(7)),
            ),
            ("A#1".to_owned(), LicenseName::Symbol("A#1".to_owned())),
            ("A1".to_owned(), LicenseName::Symbol("A1".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(expected.clone()));
            assert_eq!(expected.to_string(), text);
        }
        for bad in ["", "A", "1", "a/", "a/01", "a/0x1", "0x12/1", "A b/1", "/1"] {
            assert!(bad.parse::<LicenseName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_symbol_names_one_collection_or_none() {
        let project = "acme".parse().unwrap();
        let of = |text: &str, all: &[ListedCollection]| of_symbol(text, &project, all);
        let all = [listed_collections("A", 1), listed_collections("B", 2)];
        assert_eq!(of("A1", &all).unwrap(), (all[0].clone(), U256::from(1)));
        assert_eq!(of("B#12", &all).unwrap(), (all[1].clone(), U256::from(12)));
        let error = of("C1", &all).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::NotFound);
        assert!(error.to_string().contains("B (w2"), "{error}");

        // Where symbols end in digits, `#` tells.
        let all = [listed_collections("A", 1), listed_collections("A1", 2)];
        let error = of("A12", &all).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        let words = error.to_string();
        assert!(words.contains(&format!("{}/12", all[0].collection)), "{words}");
        assert!(words.contains(&format!("{}/2", all[1].collection)), "{words}");
        assert_eq!(of("A1#2", &all).unwrap(), (all[1].clone(), U256::from(2)));
        assert_eq!(of("A#12", &all).unwrap(), (all[0].clone(), U256::from(12)));

        let twice = [listed_collections("A", 1), listed_collections("A", 2)];
        assert_eq!(Exit::of(&of("A1", &twice).unwrap_err()), Exit::Usage);
        let nameless = [
            ListedCollection { symbol: None, ..listed_collections("", 1) },
            listed_collections("", 2),
        ];
        assert_eq!(Exit::of(&of("A1", &nameless).unwrap_err()), Exit::NotFound);
    }
}
