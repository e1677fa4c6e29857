//! `rewards send-claim`: sends a claim that its account has signed.

use std::path::PathBuf;

use nodesys_core::address::from_json;
use nodesys_core::signature::WalletSignature;

use super::claim::ask_and_check;
use super::source::SourceArgs;
use crate::exit::Exit;
use crate::output;
use crate::pair::files::read_bytes;
use crate::prompt::open_keystore;
use crate::rewards::claim::{Claim, ClaimState, send};
use crate::rewards::signed::{ClaimFile, prepare_signed};
use crate::rewards::source::ProofSource;
use crate::setup::Setup;

/// Options of `rewards send-claim`.
#[derive(Debug, clap::Args)]
pub struct SendClaimArgs {
    /// The claim, as `rewards sign-claim` prints it; `-` for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The account's signature over the message of the file, unless the file has it.
    #[arg(long, value_name = "SIGNATURE")]
    pub signature: Option<WalletSignature>,
    /// Encrypted JSON keystore of the sender, who pays the gas.
    #[arg(long, value_name = "FILE", env = "NODESYS_KEYSTORE", hide_env = true)]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the keystore's password; asked for at the terminal if absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_PASSWORD_FILE", hide_env = true)]
    pub password_file: Option<PathBuf>,
    /// The source of the proof.
    #[command(flatten)]
    pub from: SourceArgs,
    /// Check everything and print it; send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the transaction's `to` and `data` for another wallet to send; send nothing.
    #[arg(long, conflicts_with = "dry_run")]
    pub calldata: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    pub yes: bool,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &SendClaimArgs) -> anyhow::Result<Exit> {
    let (bytes, shown) = read_bytes(&args.file)?;
    let file: ClaimFile = from_json(&bytes)
        .map_err(|error| Exit::Failure.because(format!("{shown} is not a claim: {error}")))?;
    let signature = args.signature.as_ref().or(file.signature.as_ref()).ok_or_else(|| {
        Exit::Usage.because(
            "the claim is not signed: give the account's --signature over the message of the file",
        )
    })?;
    let source = ProofSource::new(setup, &args.from.from)?;
    let provider = match &args.keystore {
        _ if args.dry_run || args.calldata => setup.provider().await?,
        Some(path) => {
            let key = open_keystore(path, args.password_file.as_deref())?;
            setup.sending_provider(&key).await?
        }
        None => {
            return Err(Exit::Usage.because(
                "--keystore is missing: the sender pays the gas. --dry-run and --calldata need none",
            ));
        }
    };
    let (claim, prepared) = prepare_signed(setup, &source, &provider, &file, signature).await?;
    let claim = match prepared {
        None => claim,
        Some(prepared) if args.calldata => Claim {
            state: ClaimState::Calldata,
            to: Some(claim.distributor),
            data: Some(prepared.data),
            ..claim
        },
        Some(_) if args.dry_run => Claim { state: ClaimState::DryRun, ..claim },
        Some(prepared) => {
            let sender = provider.sender().unwrap_or(claim.account);
            ask_and_check(&claim, sender, &prepared.gas, args.yes)?;
            send(&provider, claim, prepared).await?
        }
    };
    output::print(setup.format(), &claim)?;
    Ok(Exit::Done)
}
