//! Deployment of contracts, and the folder that records them.
//!
//! The folder has `<chain id>.json` with the addresses of one chain, and beside it the input with
//! which explorers verify the contracts. It is a record for people and scripts: nothing is decided
//! from it. Each command asks the chain whether a contract exists, so running the commands again
//! writes a lost folder anew.

use std::fmt;
use std::path::{Path, PathBuf};

use alloy::primitives::Bytes;
use anyhow::Context as _;
use clap::Args;
use nodesys_chain::Provider;
use nodesys_chain::deterministic::Deployment;
use nodesys_chain::verification::Verification;
use nodesys_core::address::from_json;
use nodesys_core::{Address, B256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::tx::{SendArgs, TxSender};

/// Options of a command that deploys a contract from a file of parameters.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// JSON file of the contract's parameters.
    #[arg(long, value_name = "FILE")]
    pub params: PathBuf,
    /// Salt of the address: another salt gives another contract with the same parameters.
    #[arg(long, value_name = "HEX", default_value_t)]
    pub salt: B256,
    /// Folder for addresses and verification input.
    #[arg(long, value_name = "DIR", default_value = "deployments")]
    pub deployments: PathBuf,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// Reads a file of parameters.
pub(crate) fn read_params<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the parameter file {}", path.display()))?;
    from_json(&bytes).with_context(|| format!("parameter file {}", path.display()))
}

/// A contract with its constructor's arguments.
pub(crate) struct Contract {
    /// Its owner's name for it.
    pub(crate) name: String,
    pub(crate) verification: Verification,
    /// Constructor arguments, ABI-encoded.
    pub(crate) arguments: Vec<u8>,
}

impl Contract {
    fn deployment(&self, args: &DeployArgs, code: &Bytes) -> Deployment {
        Deployment {
            what: format!("the contract of {}", self.name),
            salt: args.salt,
            init_code: [code.as_ref(), &self.arguments].concat().into(),
        }
    }

    /// Its address, whether it exists or not.
    pub(crate) fn address(&self, args: &DeployArgs, code: &Bytes) -> Address {
        self.deployment(args, code).address()
    }

    /// Deploys the contract, unless it exists, and records it.
    pub(crate) async fn deploy(
        self,
        tx: &TxSender,
        args: &DeployArgs,
        code: &Bytes,
    ) -> anyhow::Result<DeploymentView> {
        let deployment = self.deployment(args, code);
        let (address, what) = (deployment.address(), deployment.what.clone());
        let missing = deployment.request(&tx.provider).await?;
        let exists = missing.is_none();
        let transaction = match missing {
            None => None,
            Some(request) => {
                let action = format!("deploy {what} at {address}");
                tx.send(&action, &format!("deploying {what}"), request).await?
            }
        };
        self.made(tx, args, address, transaction, exists).await
    }

    /// Checks that the contract is at its address, and records it; with a transaction that is yet to be
    /// sent, says what to do after it.
    pub(crate) async fn made(
        self,
        tx: &TxSender,
        args: &DeployArgs,
        address: Address,
        transaction: Option<B256>,
        exists: bool,
    ) -> anyhow::Result<DeploymentView> {
        if tx.only_prepares() && !exists {
            tx.note(format!(
                "{} will be at {address}; run the same command again after its block: it checks the \
                 contract and records it in {}",
                self.name,
                args.deployments.display()
            ));
            return Ok(DeploymentView::planned(address));
        }
        tx.provider.require_code(address, &format!("the contract of {}", self.name)).await?;
        self.recorded(&tx.provider, args, address, transaction)
    }

    fn recorded(
        self,
        provider: &Provider,
        args: &DeployArgs,
        address: Address,
        transaction: Option<B256>,
    ) -> anyhow::Result<DeploymentView> {
        let deployed = DeployedContract {
            contract: self.verification.contract.clone(),
            name: self.name,
            address,
            salt: args.salt,
            constructor_arguments: self.arguments.into(),
            compiler: self.verification.compiler.clone(),
            standard_input: standard_input(&self.verification),
        };
        let record = record(&args.deployments, provider.chain_id(), &self.verification, &deployed)
            .with_context(|| {
                format!("the contract is at {address}, but not recorded: run the command again")
            })?;
        Ok(DeploymentView { address, transaction, notes: Vec::new(), record: Some(record) })
    }
}

/// A contract, deployed and recorded.
#[derive(Debug, Serialize)]
pub(crate) struct DeploymentView {
    pub(crate) address: Address,
    /// Absent where the contract existed before.
    pub(crate) transaction: Option<B256>,
    /// Further steps, done or pending.
    pub(crate) notes: Vec<String>,
    /// The file with the record; absent for a contract that another wallet has yet to deploy.
    pub(crate) record: Option<PathBuf>,
}

impl DeploymentView {
    /// Of a contract that another wallet has yet to deploy.
    pub(crate) const fn planned(address: Address) -> Self {
        Self { address, transaction: None, notes: Vec::new(), record: None }
    }
}

impl fmt::Display for DeploymentView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "address      {}", self.address)?;
        match self.transaction {
            Some(transaction) => writeln!(f, "transaction  {transaction}")?,
            None => writeln!(f, "transaction  none: the contract exists already")?,
        }
        for note in &self.notes {
            writeln!(f, "             {note}")?;
        }
        match &self.record {
            Some(record) => write!(f, "recorded in  {}", record.display()),
            None => write!(f, "recorded in  none yet"),
        }
    }
}

/// A deployed contract, as the folder records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DeployedContract {
    /// The contract, as `path:name`.
    contract: String,
    /// Its owner's name for it.
    name: String,
    address: Address,
    /// The salt of its address.
    salt: B256,
    /// Its constructor's arguments, as explorers take them.
    constructor_arguments: Bytes,
    /// The compiler's version.
    compiler: String,
    /// File beside this one with the compiler's standard JSON input.
    standard_input: String,
}

/// The contracts of one chain, by address.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ChainRecord {
    chain_id: u64,
    contracts: Vec<DeployedContract>,
}

/// Records a contract, once, and writes its verification input.
fn record(
    folder: &Path,
    chain_id: u64,
    verification: &Verification,
    deployed: &DeployedContract,
) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let input = serde_json::to_vec_pretty(&verification.input)?;
    replace(&folder.join(&deployed.standard_input), &input)?;

    let path = folder.join(format!("{chain_id}.json"));
    let mut chain = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
            format!("{} is not a record of deployments: move it away", path.display())
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => ChainRecord::default(),
        Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
    };
    chain.chain_id = chain_id;
    chain.contracts.retain(|other| other.address != deployed.address);
    chain.contracts.push(deployed.clone());
    chain.contracts.sort_by_key(|contract| contract.address);
    replace(&path, &serde_json::to_vec_pretty(&chain)?)?;
    Ok(path)
}

/// The name of the file with a contract's standard JSON input.
fn standard_input(verification: &Verification) -> String {
    let name = verification.contract.rsplit(':').next().unwrap_or_default();
    format!("{name}.standard-input.json")
}

/// Writes a file whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, bytes)
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_recorded_once_and_a_foreign_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let verification = Verification::license_sale();
        let mut deployed = DeployedContract {
            contract: verification.contract.clone(),
            name: "sale".to_owned(),
            address: Address::repeat_byte(2),
            salt: B256::ZERO,
            constructor_arguments: Bytes::from_static(&[1]),
            compiler: verification.compiler.clone(),
            standard_input: standard_input(&verification),
        };
        assert_eq!(deployed.standard_input, "LicenseSale.standard-input.json");
        let path = record(folder.path(), 5, &verification, &deployed).unwrap();
        let first = std::fs::read(&path).unwrap();
        record(folder.path(), 5, &verification, &deployed).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);

        deployed.address = Address::repeat_byte(1);
        record(folder.path(), 5, &verification, &deployed).unwrap();
        let chain: ChainRecord = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(chain.chain_id, 5);
        let addresses: Vec<Address> = chain.contracts.iter().map(|c| c.address).collect();
        assert_eq!(addresses, [Address::repeat_byte(1), Address::repeat_byte(2)]);

        std::fs::write(&path, "mine").unwrap();
        let error = record(folder.path(), 5, &verification, &deployed).unwrap_err();
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
