//! One license: its facts at one block, and the operator's right.

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::collection::minted_in;
use nodesys_chain::ownership::{AtBlock, rights_of};
use nodesys_core::ids::Name;
use nodesys_core::license::{LicenseId, Ownership, Right};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::exit::Exit;
use crate::license::name::{LicenseName, resolve};
use crate::license::operator::or_own;
use crate::license::right::{right_word, why};
use crate::license::view::{BlockView, RentalView};
use crate::output::clean;
use crate::setup::Setup;

/// `license show`.
#[derive(Debug, Serialize)]
pub(crate) struct LicenseView {
    pub(crate) license: LicenseId,
    pub(crate) license_hash: B256,
    pub(crate) symbol: Option<String>,
    pub(crate) workload: Option<Name>,
    pub(crate) project: Option<Name>,
    /// First day on which no project pays for it by its last listing.
    pub(crate) listed_until: Option<UtcDay>,
    pub(crate) holder: Address,
    pub(crate) rental: Option<RentalView>,
    pub(crate) operator: Address,
    pub(crate) allowed: bool,
    pub(crate) right: String,
    pub(crate) why: String,
    pub(crate) block: BlockView,
    /// The block of the log that mints it, where `explain` looked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logged: Option<Logged>,
    #[serde(skip)]
    pub(crate) facts: Ownership,
    #[serde(skip)]
    pub(crate) granted: Right,
}

/// Whether the logs that the network's programs read have a license's mint.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Logged {
    /// The first block of these logs.
    pub(crate) from_block: u64,
    pub(crate) minted_in_block: Option<u64>,
}

/// The same, with what the logs say: the backend knows a license by the log that mints it.
pub(crate) async fn read_logged_license(
    setup: &Setup,
    name: &LicenseName,
    operator: Option<Address>,
) -> anyhow::Result<LicenseView> {
    let view = read_license(setup, name, operator).await?;
    let (LicenseId { collection, token_id, .. }, from_block) = (view.license, setup.first_block());
    let provider = setup.provider().await?;
    let minted_in_block = minted_in(&provider, collection, token_id, from_block).await?;
    Ok(LicenseView { logged: Some(Logged { from_block, minted_in_block }), ..view })
}

pub(crate) async fn read_license(
    setup: &Setup,
    name: &LicenseName,
    operator: Option<Address>,
) -> anyhow::Result<LicenseView> {
    let provider = setup.provider().await?;
    let found = resolve(setup, &provider, name).await?;
    let operator = or_own(setup, operator, "--operator").await?;
    let asks = [(found.license, operator)];
    let AtBlock { block, facts } = rights_of(&provider, &asks, BlockNumberOrTag::Latest).await?;
    let [(ownership, right)] = facts[..] else {
        anyhow::bail!("one question was answered by {} facts", facts.len());
    };
    let Some(holder) = ownership.holder else {
        return Err(Exit::NotFound.because(format!(
            "no license {}: the collection {} has no token {} at block {}; it was never minted, \
             or it is burnt",
            name, found.license.collection, found.license.token_id, block.number
        )));
    };
    Ok(LicenseView {
        license: found.license,
        license_hash: found.license.hash(),
        symbol: found.listed.symbol.as_deref().map(clean),
        workload: found.listed.workload,
        project: found.project,
        listed_until: found.listed.listed_until,
        holder,
        rental: ownership.rental.map(Into::into),
        operator,
        allowed: right.allows(),
        right: right_word(right),
        why: why(&ownership, right, operator),
        block: block.into(),
        logged: None,
        facts: ownership,
        granted: right,
    })
}
