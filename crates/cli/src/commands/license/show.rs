//! `license show`: one license, its facts, and the operator's right.

use std::fmt;

use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::ids::Name;

use crate::exit::Exit;
use crate::license::name::LicenseName;
use crate::license::show::{LicenseView, read_license};
use crate::output;
use crate::setup::Setup;

/// The license, and the account whose right is shown.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The license.
    #[arg(value_name = "LICENSE")]
    pub license: LicenseName,
    /// The account whose right is shown [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub operator: Option<Address>,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &ShowArgs) -> anyhow::Result<Exit> {
    let view = read_license(setup, &args.license, args.operator).await?;
    output::print(setup.format(), &view)?;
    Ok(Exit::Done)
}

impl fmt::Display for LicenseView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "(none)".to_owned();
        let text = |value: Option<String>| value.unwrap_or_else(none);
        writeln!(f, "license      {}", self.license)?;
        writeln!(f, "hash         {}", self.license_hash)?;
        writeln!(f, "symbol       {}", text(self.symbol.clone()))?;
        writeln!(f, "project      {}", text(self.project.as_ref().map(Name::to_string)))?;
        writeln!(f, "workload     {}", text(self.workload.as_ref().map(Name::to_string)))?;
        match (self.listed_until, &self.project) {
            (Some(until), Some(_)) => writeln!(f, "listed       until before {until}")?,
            (Some(until), None) => writeln!(f, "listed       no more, since {until}")?,
            (None, Some(_)) => writeln!(f, "listed       no end announced")?,
            (None, None) => {}
        }
        writeln!(f, "holder       {}", self.holder)?;
        writeln!(f, "renter       {}", text(self.rental.as_ref().map(ToString::to_string)))?;
        writeln!(f, "operator     {}", self.operator)?;
        writeln!(f, "may run it   {}", if self.allowed { "yes" } else { "no" })?;
        writeln!(f, "right        {}", self.right)?;
        writeln!(f, "why          {}", self.why)?;
        write!(f, "read at      block {}", self.block)
    }
}
