//! `commit --export|--import`: the reward signer's key is elsewhere, a Safe or a cold machine.
//!
//! Two messages need it, so a day takes two rounds: the points first, then, once the backend has
//! computed the very same commit from them, the commit. The order is the same as with a key at hand:
//! nothing is given out to be signed that the backend does not compute alike, and the record of what
//! may be signed is written before a commit leaves this program.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nodesys_contracts::wallet_signature;
use nodesys_core::bundle::DayBundle;
use nodesys_core::files::{PointsRow, RewardRow, Row as _, first_difference};
use nodesys_core::message::{Domain, Message as _, PointsUpload, RewardCommit, SignedCommit};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use nodesys_sdk::commit::{CommitError, compare, domain_of, points_upload, put_signed_points};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::Settings;
use crate::owner::{Committed, Owner};
use crate::signed::note_once;
use crate::task::queue;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    /// The first round: that a points file is the project's.
    Points(PointsUpload),
    /// The second: the day's commit.
    Commit(RewardCommit),
}

impl Asked {
    fn digest(&self, domain: &Domain) -> B256 {
        match self {
            Self::Points(upload) => upload.digest(domain),
            Self::Commit(commit) => commit.digest(domain),
        }
    }

    const fn round(&self) -> &'static str {
        match self {
            Self::Points(_) => "points",
            Self::Commit(_) => "commit",
        }
    }

    /// The message as `eth_signTypedData_v4` takes it, for wallets that show what they sign.
    fn typed_data(&self, domain: &Domain) -> Value {
        let field = |(name, kind): &(&str, &str)| json!({ "name": name, "type": kind });
        let (primary, fields, message) = match self {
            Self::Points(upload) => (
                "PointsUpload",
                vec![("epoch", "uint64"), ("pointsHash", "bytes32"), ("termsHash", "bytes32")],
                json!({
                    "epoch": upload.epoch.to_string(),
                    "pointsHash": upload.points_hash,
                    "termsHash": upload.terms_hash,
                }),
            ),
            Self::Commit(commit) => (
                "RewardCommit",
                vec![
                    ("epoch", "uint64"),
                    ("revision", "uint32"),
                    ("previous", "bytes32"),
                    ("root", "bytes32"),
                    ("total", "uint256"),
                    ("dataHash", "bytes32"),
                ],
                json!({
                    "epoch": commit.epoch.to_string(),
                    "revision": commit.revision,
                    "previous": commit.previous,
                    "root": commit.root,
                    "total": commit.total,
                    "dataHash": commit.data_hash,
                }),
            ),
        };
        let of_domain = [
            ("name", "string"),
            ("version", "string"),
            ("chainId", "uint256"),
            ("verifyingContract", "address"),
        ];
        json!({
            "types": {
                "EIP712Domain": of_domain.iter().map(field).collect::<Vec<_>>(),
                primary: fields.iter().map(field).collect::<Vec<_>>(),
            },
            "primaryType": primary,
            "domain": {
                "name": "NodeSystem",
                "version": "1",
                "chainId": domain.chain_id(),
                "verifyingContract": domain.verifying_contract(),
            },
            "message": message,
        })
    }
}

/// The file that goes to the signer and comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: String,
    day: UtcDay,
    chain_id: u64,
    distributor: Address,
    /// Who has to sign.
    signer: Address,
    ask: Asked,
    /// What has to be signed.
    digest: B256,
    typed_data: Value,
    /// To be filled in.
    signature: Option<WalletSignature>,
}

impl Export {
    /// The format's name, first of its kind.
    const FORMAT: &str = "nodesys-commit-export-1";

    fn new(day: UtcDay, domain: &Domain, signer: Address, ask: Asked) -> Self {
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

    fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let read: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is no export of a commit", path.display()))?;
        if read.format != Self::FORMAT {
            bail!("{} has the format {}, not {}", path.display(), read.format, Self::FORMAT);
        }
        Ok(read)
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// What became of a round.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum Round {
    /// A file was written for the signer.
    Exported {
        day: UtcDay,
        /// `points` or `commit`.
        round: &'static str,
        signer: Address,
        digest: B256,
        file: PathBuf,
    },
    /// The backend has taken the points, and computes the same commit.
    PointsAccepted { day: UtcDay },
    /// The backend has taken the commit.
    Committed(Committed),
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exported { day, round, signer, digest, file } => {
                writeln!(f, "day      {day}")?;
                writeln!(f, "round    {round}")?;
                writeln!(f, "signer   {signer}")?;
                writeln!(f, "digest   {digest}")?;
                writeln!(f, "file     {}", file.display())?;
                write!(
                    f,
                    "next     have the digest (or the file's typed_data) signed, then\n         \
                     nodesys-master commit --day {day} --import {} --signature HEX",
                    file.display()
                )
            }
            Self::PointsAccepted { day } => {
                writeln!(f, "day      {day}")?;
                writeln!(f, "points   accepted; the backend computes the same commit")?;
                write!(f, "next     nodesys-master commit --day {day} --export FILE")
            }
            Self::Committed(committed) => committed.fmt(f),
        }
    }
}

/// A day on its way to a signer who is elsewhere.
struct Desk<'a> {
    settings: &'a Settings,
    owner: &'a Owner,
    day: UtcDay,
    built: DayBundle,
    domain: Domain,
    signer: Address,
}

impl<'a> Desk<'a> {
    async fn open(settings: &'a Settings, owner: &'a Owner, day: UtcDay) -> anyhow::Result<Self> {
        let signer = owner.builder.state().await?.signer;
        if signer.is_zero() {
            bail!("the project has no reward signer: `project signer --set` appoints one");
        }
        let built = owner.build(day, None).await?;
        let domain = domain_of(&built);
        Ok(Self { settings, owner, day, built, domain, signer })
    }

    /// Whether the backend has these points already, and computes the same amounts from them.
    async fn points_are_there(&self) -> anyhow::Result<bool> {
        let (backend, project) = (&self.owner.builder.backend, self.owner.project.distributor);
        match backend.points(project, self.day).await {
            Ok(points) if *points == *self.built.files[PointsRow::FILE] => {}
            Ok(_) => return Ok(false),
            Err(error) if error.code() == Some("not_found") => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let computed = backend.computed_rewards(project, self.day).await?;
        let ours = &self.built.files[RewardRow::FILE];
        match first_difference(RewardRow::FILE, ours, &computed) {
            Some(difference) => Err(CommitError::Rewards(difference).into()),
            None => Ok(true),
        }
    }

    /// Writes down that this commit, and no other, may be signed.
    async fn note(&self) -> anyhow::Result<()> {
        let url = Settings::need(&self.settings.database_url, "--database-url")?;
        let record = queue::connect(url).await?;
        let clock = self.settings.observed_clock(self.owner.project.chain_id).await?;
        note_once(&record, &self.domain, &self.built.commit, self.signer, clock.now()).await
    }

    /// Gives out the next message to be signed.
    async fn export(&self, points_are_there: bool, path: &Path) -> anyhow::Result<Round> {
        let ask = if points_are_there {
            self.note().await?;
            Asked::Commit(self.built.commit.clone())
        } else {
            Asked::Points(points_upload(&self.built))
        };
        let export = Export::new(self.day, &self.domain, self.signer, ask);
        export.write(path)?;
        Ok(Round::Exported {
            day: self.day,
            round: export.ask.round(),
            signer: self.signer,
            digest: export.digest,
            file: path.to_owned(),
        })
    }

    /// The export's signature, once it is the signer's over what this day asks for.
    async fn checked(
        &self,
        export: Export,
        path: &Path,
        signature: Option<WalletSignature>,
    ) -> anyhow::Result<(Asked, WalletSignature)> {
        let ours = match export.ask {
            Asked::Points(_) => Asked::Points(points_upload(&self.built)),
            Asked::Commit(_) => Asked::Commit(self.built.commit.clone()),
        };
        let digest = ours.digest(&self.domain);
        if export.day != self.day || export.ask != ours || export.digest != digest {
            bail!(
                "{} asks for another {} of {} than this day gives now ({digest}): export it again",
                path.display(),
                ours.round(),
                export.day
            );
        }
        let signature = signature.or(export.signature).with_context(|| {
            format!("{} holds no signature: give --signature HEX", path.display())
        })?;
        wallet_signature::verify(&self.owner.builder.provider, self.signer, digest, &signature)
            .await
            .with_context(|| format!("the signature is not {}'s over {digest}", self.signer))?;
        Ok((ours, signature))
    }
}

/// Writes what is to be signed next.
pub(crate) async fn export(
    settings: &Settings,
    owner: &Owner,
    day: UtcDay,
    path: &Path,
) -> anyhow::Result<Round> {
    let desk = Desk::open(settings, owner, day).await?;
    let there = desk.points_are_there().await?;
    desk.export(there, path).await
}

/// Takes what was signed; with `next`, the points' round goes on to the commit's export.
pub(crate) async fn import(
    settings: &Settings,
    owner: &Owner,
    day: UtcDay,
    path: &Path,
    signature: Option<WalletSignature>,
    next: Option<&Path>,
) -> anyhow::Result<Round> {
    let export = Export::read(path)?;
    // Handed in before: its bundle is stored, and the day need not be built again.
    if let (Asked::Commit(commit), Some(standing)) = (&export.ask, owner.standing(day).await?)
        && standing.commit == *commit
    {
        return Ok(Round::Committed(owner.hand_in(day, &standing, true).await?));
    }
    let desk = Desk::open(settings, owner, day).await?;
    let (asked, signature) = desk.checked(export, path, signature).await?;
    let (backend, project) = (&owner.builder.backend, owner.project.distributor);
    match asked {
        Asked::Points(_) => {
            let checked = put_signed_points(backend, &desk.built, &signature).await?;
            let csv = &desk.built.files[RewardRow::FILE];
            compare(backend, project, &desk.built.commit, csv, &checked).await?;
            match next {
                Some(next) => desk.export(true, next).await,
                None => Ok(Round::PointsAccepted { day }),
            }
        }
        Asked::Commit(commit) => {
            // The record may be another machine's; the same commit again is no second one.
            desk.note().await?;
            let signed = SignedCommit { commit, signature };
            owner.store.write(&desk.built, &signed)?;
            Ok(Round::Committed(owner.hand_in(day, &signed, false).await?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodesys_core::ids::Amount;

    fn domain() -> Domain {
        Domain::new(31_337, Address::repeat_byte(2))
    }

    fn asked() -> [Asked; 2] {
        [
            Asked::Points(PointsUpload {
                epoch: 20_454,
                points_hash: B256::repeat_byte(3),
                terms_hash: B256::repeat_byte(4),
            }),
            Asked::Commit(RewardCommit {
                epoch: 20_454,
                revision: 7,
                previous: B256::repeat_byte(5),
                root: B256::repeat_byte(6),
                total: Amount::new(u128::MAX),
                data_hash: B256::repeat_byte(7),
            }),
        ]
    }

    /// What a wallet computes from the typed data is the digest that the contract checks.
    #[test]
    fn the_typed_data_is_what_the_digest_is_of() {
        for ask in asked() {
            let typed: alloy::dyn_abi::TypedData =
                serde_json::from_value(ask.typed_data(&domain())).unwrap();
            assert_eq!(typed.eip712_signing_hash().unwrap(), ask.digest(&domain()));
        }
    }

    #[test]
    fn the_file_goes_and_comes_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export.json");
        for ask in asked() {
            let day = UtcDay::from_epoch(20_454).unwrap();
            let export = Export::new(day, &domain(), Address::repeat_byte(1), ask);
            export.write(&path).unwrap();
            assert_eq!(Export::read(&path).unwrap(), export);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("export-1", "export-2")).unwrap();
        assert!(Export::read(&path).unwrap_err().to_string().contains("export-2"));
        std::fs::write(&path, "{}").unwrap();
        assert!(Export::read(&path).is_err());
    }
}
