//! The chain over this machine's own RPC: does it answer, is it up to date, is the registry there.

use std::fmt;

use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::Address;
use nodesys_core::ids::Name;
use nodesys_core::time::Timestamp;
use serde::Serialize;

use crate::output::ago;
use crate::setup::Setup;
use crate::status::section::Section;

/// No chain that licenses live on is this long without a block.
const BEHIND_MILLIS: u64 = 10 * 60_000;

/// The chain's state.
#[derive(Debug, Serialize)]
pub(crate) struct ChainStatus {
    rpc: String,
    chain_id: String,
    block_number: String,
    block_time: String,
    registry: Option<Address>,
    project: Option<Name>,
    distributor: Option<Address>,
    #[serde(skip)]
    block_ago: String,
}

pub(crate) async fn section(setup: &Setup, now: Timestamp) -> Section<ChainStatus> {
    if setup.settings.rpc.is_empty() {
        return Section::not_configured("give --rpc URL");
    }
    Section::from_result(read(setup, now).await)
}

async fn read(setup: &Setup, now: Timestamp) -> anyhow::Result<(ChainStatus, Vec<String>)> {
    let provider = setup.provider().await?;
    let block = provider.latest_block().await?;
    let then = Timestamp::from_secs(block.secs);
    let mut problems = Vec::new();
    // A development chain makes blocks when it is told to.
    let steady = provider.chain_id() != DEVELOPMENT_CHAIN_ID || setup.settings.clock.is_some();
    if steady && now.millis_since(then) > BEHIND_MILLIS {
        problems.push(format!("its newest block is of {}: the RPC is behind", ago(now, then)));
    }
    let mut chain = ChainStatus {
        rpc: provider.place(),
        chain_id: provider.chain_id().to_string(),
        block_number: block.number.to_string(),
        block_time: then.to_string(),
        registry: setup.settings.registry,
        project: None,
        distributor: None,
        block_ago: ago(now, then),
    };
    match (setup.settings.registry, &setup.settings.project) {
        (Some(_), Some(_)) => match setup.project(&provider).await {
            Ok(project) => {
                (chain.project, chain.distributor) =
                    (Some(project.name), Some(project.distributor));
            }
            Err(error) => problems.push(format!("{error:#}")),
        },
        (Some(registry), None) => {
            if let Err(error) = provider.require_code(registry, "the ProjectRegistry").await {
                problems.push(error.to_string());
            }
        }
        (None, _) => {}
    }
    Ok((chain, problems))
}

impl fmt::Display for ChainStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rpc           {} (chain {})", self.rpc, self.chain_id)?;
        write!(
            f,
            "newest block  {} of {} ({})",
            self.block_number, self.block_time, self.block_ago
        )?;
        if let Some(registry) = self.registry {
            write!(f, "\nregistry      {registry}")?;
        }
        if let (Some(name), Some(distributor)) = (&self.project, self.distributor) {
            write!(f, "\nproject       {name} ({distributor})")?;
        }
        Ok(())
    }
}
