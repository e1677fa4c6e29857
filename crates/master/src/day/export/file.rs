//! The file that goes to the reward signer and comes back with a signature.

use std::path::Path;

use anyhow::{Context as _, bail};
use nodesys_core::address::from_json;
use nodesys_core::message::typed_data::typed_data;
use nodesys_core::message::{Domain, Message as _, PointsUpload, RewardCommit};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message for the reward signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SigningRequest {
    /// The first round: the day's points.
    Points(PointsUpload),
    /// The second: the day's commit.
    Commit(RewardCommit),
}

impl SigningRequest {
    pub(super) fn digest(&self, domain: &Domain) -> B256 {
        match self {
            Self::Points(upload) => upload.digest(domain),
            Self::Commit(commit) => commit.digest(domain),
        }
    }

    pub(super) const fn round(&self) -> &'static str {
        match self {
            Self::Points(_) => "points",
            Self::Commit(_) => "commit",
        }
    }

    /// The message as `eth_signTypedData_v4` takes it, for wallets that show what they sign.
    fn typed_data(&self, domain: &Domain) -> Value {
        match self {
            Self::Points(upload) => typed_data(upload, domain),
            Self::Commit(commit) => typed_data(commit, domain),
        }
    }
}

/// The file that goes to the signer and comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportFile {
    format: String,
    pub(super) day: UtcDay,
    chain_id: u64,
    distributor: Address,
    /// The reward signer.
    signer: Address,
    pub(super) ask: SigningRequest,
    /// The digest to sign.
    pub(super) digest: B256,
    typed_data: Value,
    /// Filled in by the signer.
    pub(super) signature: Option<WalletSignature>,
}

impl ExportFile {
    /// The format's name with its version.
    const FORMAT: &str = "nodesys-commit-export-1";

    pub(super) fn new(day: UtcDay, domain: &Domain, signer: Address, ask: SigningRequest) -> Self {
        Self {
            format: Self::FORMAT.to_owned(),
            day,
            chain_id: domain.chain_id(),
            distributor: domain.verifying_contract(),
            signer,
            digest: ask.digest(domain),
            typed_data: ask.typed_data(domain),
            ask,
            signature: None,
        }
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let read: Self = from_json(&bytes)
            .with_context(|| format!("{} is not an exported commit", path.display()))?;
        if read.format != Self::FORMAT {
            bail!("{} has the format {}, not {}", path.display(), read.format, Self::FORMAT);
        }
        Ok(read)
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodesys_core::ids::Amount;

    fn domain() -> Domain {
        Domain::new(31_337, Address::repeat_byte(2))
    }

    fn requests() -> [SigningRequest; 2] {
        [
            SigningRequest::Points(PointsUpload {
                epoch: 20_454,
                points_hash: B256::repeat_byte(3),
                terms_hash: B256::repeat_byte(4),
            }),
            SigningRequest::Commit(RewardCommit {
                epoch: 20_454,
                revision: 7,
                previous: B256::repeat_byte(5),
                root: B256::repeat_byte(6),
                total: Amount::new(u128::MAX),
                data_hash: B256::repeat_byte(7),
            }),
        ]
    }

    /// A wallet computes from the typed data the digest that the contract checks.
    #[test]
    fn the_typed_data_has_the_digest() {
        for ask in requests() {
            let typed: alloy::dyn_abi::TypedData =
                serde_json::from_value(ask.typed_data(&domain())).unwrap();
            assert_eq!(typed.eip712_signing_hash().unwrap(), ask.digest(&domain()));
        }
    }

    #[test]
    fn an_export_survives_a_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export.json");
        for ask in requests() {
            let day = UtcDay::from_epoch(20_454).unwrap();
            let export = ExportFile::new(day, &domain(), Address::repeat_byte(1), ask);
            export.write(&path).unwrap();
            assert_eq!(ExportFile::read(&path).unwrap(), export);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("export-1", "export-2")).unwrap();
        assert!(ExportFile::read(&path).unwrap_err().to_string().contains("export-2"));
        std::fs::write(&path, "{}").unwrap();
        assert!(ExportFile::read(&path).is_err());
    }
}
