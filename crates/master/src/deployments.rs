//! The folder that tells what was deployed: `<chain id>.json` with the addresses of one chain, and
//! beside it what an explorer needs to verify the contracts.
//!
//! It is a record for people and scripts; nothing is decided from it. Whether a contract is there is
//! asked of the chain each time, so a lost folder is written anew by running the commands again.

use std::path::{Path, PathBuf};

use alloy::primitives::Bytes;
use anyhow::Context as _;
use nodesys_contracts::verification::Verification;
use nodesys_core::{Address, B256};
use serde::{Deserialize, Serialize};

/// One deployed contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The contract, as `path:name`.
    pub contract: String,
    /// What its owner calls it.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// The salt of its address.
    pub salt: B256,
    /// Its constructor's arguments, as an explorer wants them.
    pub constructor_arguments: Bytes,
    /// The compiler's version.
    pub compiler: String,
    /// File beside this one with the compiler's standard JSON input.
    pub standard_input: String,
}

/// The contracts of one chain, by address.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Chain {
    chain_id: u64,
    contracts: Vec<Deployed>,
}

/// Records a contract, once, and writes its verification input.
pub fn record(
    folder: &Path,
    chain_id: u64,
    verification: &Verification,
    deployed: &Deployed,
) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let input = serde_json::to_vec_pretty(&verification.input)?;
    replace(&folder.join(&deployed.standard_input), &input)?;

    let path = folder.join(format!("{chain_id}.json"));
    let mut chain = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
            format!("{} is no record of deployments: move it away", path.display())
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Chain::default(),
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
pub fn standard_input(verification: &Verification) -> String {
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
        let mut deployed = Deployed {
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
        let chain: Chain = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(chain.chain_id, 5);
        let addresses: Vec<Address> = chain.contracts.iter().map(|c| c.address).collect();
        assert_eq!(addresses, [Address::repeat_byte(1), Address::repeat_byte(2)]);

        std::fs::write(&path, "mine").unwrap();
        let error = record(folder.path(), 5, &verification, &deployed).unwrap_err();
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
