//! `license list`: every license of the project.

use std::collections::BTreeMap;
use std::fmt;

use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::ids::Name;

use crate::exit::Exit;
use crate::license::list::{LicenseList, list_licenses};
use crate::output::{self, table};
use crate::setup::Setup;

/// Options of `license list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Show this account's right to run each.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub operator: Option<Address>,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &ListArgs) -> anyhow::Result<Exit> {
    output::print(setup.format(), &list_licenses(setup, args.operator).await?)?;
    Ok(Exit::Done)
}

impl fmt::Display for LicenseList {
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
        let ends = self
            .licenses
            .iter()
            .filter_map(|line| line.listed_until.map(|until| (line.license.collection, until)));
        for (collection, until) in ends.collect::<BTreeMap<_, _>>() {
            writeln!(f, "collection {collection} is listed until before {until}")?;
        }
        if let Some(operator) = self.operator {
            writeln!(f, "right of {operator}")?;
        }
        write!(f, "read at block {}", self.block)
    }
}
