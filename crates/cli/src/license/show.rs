//! One license: its facts at one block, and the operator's right.

use std::fmt;

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::BlockRef;
use nodesys_chain::ownership::{AtBlock, rights_of};
use nodesys_core::ids::Name;
use nodesys_core::license::{LicenseId, Ownership, Rental, Right};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use serde::Serialize;

use super::LicenseArgs;
use super::name::resolve;
use super::operator;
use super::words::why;
use crate::exit::Exit;
use crate::output::{clean, moment};
use crate::setup::Setup;

/// The block at which something was read.
#[derive(Debug, Serialize)]
pub(crate) struct Block {
    number: String,
    hash: B256,
    time: String,
}

impl From<BlockRef> for Block {
    fn from(block: BlockRef) -> Self {
        let time = Timestamp::from_secs(block.secs).to_string();
        Self { number: block.number.to_string(), hash: block.hash, time }
    }
}

impl fmt::Display for Block {
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

/// A right in short, with a moment without end said so.
pub(crate) fn right_word(right: Right) -> String {
    match right {
        Right::Renter { until_secs } => format!("renter until {}", moment(until_secs)),
        other => other.to_string(),
    }
}

/// `license show`.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    license: LicenseId,
    license_hash: B256,
    symbol: Option<String>,
    workload: Option<Name>,
    project: Option<Name>,
    holder: Address,
    rental: Option<RentalView>,
    operator: Address,
    allowed: bool,
    right: String,
    why: String,
    block: Block,
    #[serde(skip)]
    pub(super) facts: Ownership,
    #[serde(skip)]
    pub(super) granted: Right,
}

impl Shown {
    pub(super) const fn operator(&self) -> Address {
        self.operator
    }

    pub(super) const fn license(&self) -> LicenseId {
        self.license
    }
}

pub(super) async fn show(setup: &Setup, args: &LicenseArgs) -> anyhow::Result<Shown> {
    let provider = setup.provider().await?;
    let found = resolve(setup, &provider, &args.license).await?;
    let operator = operator::or_own(setup, args.operator, "--operator").await?;
    let asks = [(found.license, operator)];
    let AtBlock { block, facts } = rights_of(&provider, &asks, BlockNumberOrTag::Latest).await?;
    let [(ownership, right)] = facts[..] else {
        anyhow::bail!("one question was answered by {} facts", facts.len());
    };
    let Some(holder) = ownership.holder else {
        return Err(Exit::NotFound.because(format!(
            "no license {}: the collection {} has no token {} at block {}; it was never minted, \
             or it is burnt",
            args.license, found.license.collection, found.license.token_id, block.number
        )));
    };
    Ok(Shown {
        license: found.license,
        license_hash: found.license.hash(),
        symbol: found.listed.symbol.as_deref().map(clean),
        workload: found.listed.workload,
        project: found.project,
        holder,
        rental: ownership.rental.map(Into::into),
        operator,
        allowed: right.allows(),
        right: right_word(right),
        why: why(&ownership, right, operator),
        block: block.into(),
        facts: ownership,
        granted: right,
    })
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "(none)".to_owned();
        let text = |value: Option<String>| value.unwrap_or_else(none);
        writeln!(f, "license      {}", self.license)?;
        writeln!(f, "hash         {}", self.license_hash)?;
        writeln!(f, "symbol       {}", text(self.symbol.clone()))?;
        writeln!(f, "project      {}", text(self.project.as_ref().map(Name::to_string)))?;
        writeln!(f, "workload     {}", text(self.workload.as_ref().map(Name::to_string)))?;
        writeln!(f, "holder       {}", self.holder)?;
        writeln!(f, "renter       {}", text(self.rental.as_ref().map(ToString::to_string)))?;
        writeln!(f, "operator     {}", self.operator)?;
        writeln!(f, "may run it   {}", if self.allowed { "yes" } else { "no" })?;
        writeln!(f, "right        {}", self.right)?;
        writeln!(f, "why          {}", self.why)?;
        write!(f, "read at      block {}", self.block)
    }
}
