//! `rewards sign-claim`: the message of a claim that somebody else sends, signed or to be signed.

use std::path::PathBuf;

use clap::ArgGroup;
use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::ids::Amount;
use nodesys_core::message::Message as _;
use nodesys_core::signature::WalletSignature;

use super::source::SourceArgs;
use crate::exit::Exit;
use crate::output::{self, amount, moment, say};
use crate::prompt::open_keystore;
use crate::rewards::signed::{Grant, message_for};
use crate::rewards::source::ProofSource;
use crate::setup::Setup;

/// Options of `rewards sign-claim`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("signer").required(true).multiple(true).args(["keystore", "typed_data"])))]
pub struct SignClaimArgs {
    /// Encrypted JSON keystore of the account that earned.
    #[arg(long, value_name = "FILE", env = "NODESYS_KEYSTORE", hide_env = true)]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the keystore's password; asked for at the terminal if absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_PASSWORD_FILE", hide_env = true)]
    pub password_file: Option<PathBuf>,
    /// Print the message for a wallet elsewhere, as eth_signTypedData_v4 takes it; sign nothing.
    #[arg(long, requires = "account")]
    pub typed_data: bool,
    /// The account that earned, instead of a keystore.
    #[arg(long, value_name = "ADDRESS", requires = "typed_data")]
    #[arg(value_parser = address)]
    pub account: Option<Address>,
    /// The recipient of the tokens [default: the account].
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub recipient: Option<Address>,
    /// Who alone may send the claim [default: anyone].
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub relayer: Option<Address>,
    /// What the sender keeps of the amount, in the token's smallest unit.
    #[arg(long, value_name = "WEI", default_value_t = Amount::ZERO)]
    pub relayer_fee: Amount,
    /// How long the signature is valid.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub valid_hours: u16,
    /// The source of the proof.
    #[command(flatten)]
    pub from: SourceArgs,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &SignClaimArgs) -> anyhow::Result<Exit> {
    let source = ProofSource::new(setup, &args.from.from)?;
    let key = match (args.typed_data, &args.keystore) {
        (false, Some(path)) => Some(open_keystore(path, args.password_file.as_deref())?),
        _ => None,
    };
    let account = key.as_ref().map(|key| key.address()).or(args.account);
    let account = account.ok_or_else(|| {
        Exit::Usage.because("--keystore is missing (or --account with --typed-data)")
    })?;
    let provider = setup.provider().await?;
    let grant = Grant {
        account,
        recipient: args.recipient.unwrap_or(account),
        relayer: args.relayer.unwrap_or_default(),
        relayer_fee: args.relayer_fee,
        valid_secs: u64::from(args.valid_hours) * 3600,
    };
    let (shown, message) = message_for(setup, &source, &provider, grant).await?;
    let Some(message) = message else {
        output::print(setup.format(), &shown)?;
        return Ok(Exit::Done);
    };
    let sender = match args.relayer {
        Some(relayer) => relayer.to_string(),
        None => "anyone".to_owned(),
    };
    say(format!(
        "Who has this signature can claim, once:\n  amount     {} of project {}\n  account    {account}\n  \
         recipient  {}\n  sender     {sender}, who keeps {}\n  until      {}",
        amount(shown.amount, Some(&shown.unit)),
        shown.project,
        shown.recipient,
        amount(grant.relayer_fee, Some(&shown.unit)),
        moment(message.claim.deadline),
    ));
    let signature: Option<WalletSignature> =
        key.map(|key| key.sign(message.claim.digest(&message.domain)).into());
    output::json(&message.file(signature.as_ref()))?;
    Ok(Exit::Done)
}
