//! Every license of a project: its tokens from the collections' logs, their facts from calls.

use std::collections::BTreeSet;
use std::fmt;

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::logs::license_events;
use nodesys_chain::ownership::{AtBlock, ownership_of, rights_of};
use nodesys_core::holders::LicenseEvent;
use nodesys_core::ids::Name;
use nodesys_core::license::{LicenseId, Ownership, Right};
use nodesys_core::{Address, B256};
use serde::Serialize;

use super::name::{Listed, collections, listed};
use super::show::{Block, RentalView, right_word};
use crate::output::{clean, table};
use crate::setup::Setup;

/// `license list`.
#[derive(Debug, Serialize)]
pub(super) struct List {
    project: Name,
    operator: Option<Address>,
    block: Block,
    licenses: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    /// How people name it.
    name: String,
    license: LicenseId,
    license_hash: B256,
    workload: Option<Name>,
    holder: Address,
    rental: Option<RentalView>,
    allowed: Option<bool>,
    right: Option<String>,
}

pub(super) async fn list(setup: &Setup, operator: Option<Address>) -> anyhow::Result<List> {
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    let collections = collections(setup, &provider, &project).await?;
    let listed = listed(&provider, &collections).await?;
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
        Some(Line {
            name: short_name(listed, license),
            license: *license,
            license_hash: license.hash(),
            workload: listed.workload.clone(),
            holder,
            rental: ownership.rental.map(Into::into),
            allowed: right.map(Right::allows),
            right: right.map(right_word),
        })
    });
    Ok(List { project: project.name, operator, block: block.into(), licenses: lines.collect() })
}

fn short_name(listed: &Listed, license: &LicenseId) -> String {
    match &listed.symbol {
        Some(symbol) if symbol.ends_with(|c: char| c.is_ascii_digit()) => {
            format!("{}#{}", clean(symbol), license.token_id)
        }
        Some(symbol) => format!("{}{}", clean(symbol), license.token_id),
        None => license.to_string(),
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.licenses.is_empty() {
            return write!(f, "project {} has no licenses at block {}", self.project, self.block);
        }
        let mut header = vec!["license", "workload", "holder", "renter"];
        if self.operator.is_some() {
            header.push("right");
        }
        let mut table = table(&header);
        for line in &self.licenses {
            let mut row = vec![
                line.name.clone(),
                line.workload.as_ref().map_or_else(String::new, Name::to_string),
                line.holder.to_string(),
                line.rental.as_ref().map_or_else(String::new, ToString::to_string),
            ];
            row.extend(line.right.clone());
            table.add_row(row);
        }
        writeln!(f, "{table}")?;
        if let Some(operator) = self.operator {
            writeln!(f, "right of {operator}")?;
        }
        write!(f, "read at block {}", self.block)
    }
}
