//! `rewards send-claim`: sends a claim that its account has signed.

use std::path::PathBuf;

use nodesys_core::address::from_json;
use nodesys_core::signature::WalletSignature;

use super::claim::finish;
use super::source::SourceArgs;
use crate::exit::Exit;
use crate::pair::files::read_bytes;
use crate::rewards::signed::{ClaimFile, prepare_signed};
use crate::rewards::source::ProofSource;
use crate::setup::Setup;
use crate::wallet::SendingArgs;

/// Options of `rewards send-claim`.
#[derive(Debug, clap::Args)]
pub struct SendClaimArgs {
    /// The claim, as `rewards sign-claim` prints it; `-` for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The account's signature over the message of the file, unless the file has it.
    #[arg(long, value_name = "SIGNATURE")]
    pub signature: Option<WalletSignature>,
    /// The source of the proof.
    #[command(flatten)]
    pub from: SourceArgs,
    /// The wallet, and whether it sends.
    #[command(flatten)]
    pub sending: SendingArgs,
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
    let provider = match args.sending.sender_key()? {
        Some(key) => setup.sending_provider(&key).await?,
        None if !args.sending.sends() => setup.provider().await?,
        None => {
            return Err(Exit::Usage.because(
                "--keystore is missing: the sender pays the gas. --dry-run and --calldata need none",
            ));
        }
    };
    let (claim, prepared) = prepare_signed(setup, &source, &provider, &file, signature).await?;
    finish(setup, &provider, claim, prepared, &args.sending).await
}
