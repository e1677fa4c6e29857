//! Every license of a project: its tokens from the collections' logs, their facts from calls.

use std::collections::BTreeSet;

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::logs::license_events;
use nodesys_chain::ownership::{AtBlock, ownership_of, rights_of};
use nodesys_core::holders::LicenseEvent;
use nodesys_core::ids::Name;
use nodesys_core::license::{LicenseId, Ownership, Right};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::license::name::{ListedCollection, collections, listed_collections};
use crate::license::right::right_word;
use crate::license::view::{BlockView, RentalView};
use crate::output::clean;
use crate::setup::Setup;

/// `license list`.
#[derive(Debug, Serialize)]
pub(crate) struct LicenseList {
    pub(crate) project: Name,
    pub(crate) operator: Option<Address>,
    pub(crate) block: BlockView,
    pub(crate) licenses: Vec<LicenseRow>,
}

/// A license of the list.
#[derive(Debug, Serialize)]
pub(crate) struct LicenseRow {
    /// How people name it.
    pub(crate) name: String,
    pub(crate) license: LicenseId,
    pub(crate) license_hash: B256,
    pub(crate) workload: Option<Name>,
    /// First day on which it is listed no more, where that is announced.
    pub(crate) listed_until: Option<UtcDay>,
    pub(crate) holder: Address,
    pub(crate) rental: Option<RentalView>,
    pub(crate) allowed: Option<bool>,
    pub(crate) right: Option<String>,
}

pub(crate) async fn list_licenses(
    setup: &Setup,
    operator: Option<Address>,
) -> anyhow::Result<LicenseList> {
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    let collections = collections(setup, &provider, &project).await?;
    let listed = listed_collections(&provider, &collections).await?;
    let newest = provider.latest_block().await?.number;
    let addresses: Vec<Address> = listed.iter().map(|one| one.collection).collect();
    let events = license_events(&provider, &addresses, setup.first_block(), newest).await?;
    let minted: BTreeSet<LicenseId> = events
        .iter()
        .filter_map(|logged| match logged.event {
            LicenseEvent::Transfer { collection, token_id, .. } => {
                Some(LicenseId { chain_id: project.chain_id, collection, token_id })
            }
            LicenseEvent::UpdateUser { .. } => None,
        })
        .collect();
    // In the order of listing, then by token.
    let place = |license: &LicenseId| addresses.iter().position(|one| *one == license.collection);
    let mut licenses: Vec<LicenseId> = minted.into_iter().collect();
    licenses.sort_by_key(|license| (place(license), license.token_id));

    let at = BlockNumberOrTag::Number(newest);
    let (block, facts): (_, Vec<(Ownership, Option<Right>)>) = match operator {
        Some(operator) => {
            let asks: Vec<_> = licenses.iter().map(|license| (*license, operator)).collect();
            let AtBlock { block, facts } = rights_of(&provider, &asks, at).await?;
            (block, facts.into_iter().map(|(facts, right)| (facts, Some(right))).collect())
        }
        None => {
            let AtBlock { block, facts } = ownership_of(&provider, &licenses, at).await?;
            (block, facts.into_iter().map(|facts| (facts, None)).collect())
        }
    };
    let lines = licenses.iter().zip(facts).filter_map(|(license, (ownership, right))| {
        // Burnt since.
        let holder = ownership.holder?;
        let listed = listed.iter().find(|one| one.collection == license.collection)?;
        Some(LicenseRow {
            name: short_name(listed, license),
            license: *license,
            license_hash: license.hash(),
            workload: listed.workload.clone(),
            listed_until: listed.listed_until,
            holder,
            rental: ownership.rental.map(Into::into),
            allowed: right.map(Right::allows),
            right: right.map(right_word),
        })
    });
    Ok(LicenseList {
        project: project.name,
        operator,
        block: block.into(),
        licenses: lines.collect(),
    })
}

fn short_name(listed: &ListedCollection, license: &LicenseId) -> String {
    match &listed.symbol {
        Some(symbol) if symbol.ends_with(|c: char| c.is_ascii_digit()) => {
            format!("{}#{}", clean(symbol), license.token_id)
        }
        Some(symbol) => format!("{}{}", clean(symbol), license.token_id),
        None => license.to_string(),
    }
}
