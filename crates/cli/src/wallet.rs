//! The wallet that signs a message: a keystore here, or a wallet elsewhere that is shown the message and
//! gives its signature.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use nodesys_core::Address;
use nodesys_core::message::Domain;
use nodesys_core::message::typed_data::{WalletMessage, typed_data};
use nodesys_core::signature::{SigningKey, WalletSignature};
use serde_json::Value;

use crate::exit::Exit;
use crate::prompt::open_keystore;

/// Options of a command whose message a wallet signs.
#[derive(Debug, Clone, Default, Args)]
#[command(group(
    ArgGroup::new("wallet").required(true).multiple(true).args(["keystore", "typed_data", "signature"])
))]
pub struct WalletArgs {
    /// Encrypted JSON keystore of the wallet.
    #[arg(long, value_name = "FILE", env = "NODESYS_KEYSTORE", hide_env_values = true)]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the keystore's password; asked for at the terminal if absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_PASSWORD_FILE", hide_env_values = true)]
    pub password_file: Option<PathBuf>,
    /// Print the message for a wallet elsewhere, as eth_signTypedData_v4 takes it; sign nothing.
    #[arg(long, conflicts_with = "signature")]
    pub typed_data: bool,
    /// The signature of a wallet elsewhere over that message, as its tool gives it.
    #[arg(long, value_name = "SIGNATURE")]
    pub signature: Option<WalletSignature>,
}

/// Options of a command that sends transactions of a wallet, or only shows them.
#[derive(Debug, Clone, Args)]
pub struct SendingArgs {
    /// Encrypted JSON keystore of the account that sends.
    #[arg(long, value_name = "FILE", env = "NODESYS_KEYSTORE", hide_env = true)]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the keystore's password; asked for at the terminal if absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_PASSWORD_FILE", hide_env = true)]
    pub password_file: Option<PathBuf>,
    /// Check everything and print it; send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print what another wallet has to send, receiver and data; send nothing.
    #[arg(long, conflicts_with = "dry_run")]
    pub calldata: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    pub yes: bool,
}

impl SendingArgs {
    /// Whether anything is to be sent.
    pub(crate) const fn sends(&self) -> bool {
        !self.dry_run && !self.calldata
    }

    /// The keystore's key, where one is given.
    pub(crate) fn key(&self) -> anyhow::Result<Option<SigningKey>> {
        let open = |path: &PathBuf| open_keystore(path, self.password_file.as_deref());
        self.keystore.as_ref().map(open).transpose()
    }

    /// The same for a transaction: without one no password is asked for.
    pub(crate) fn sender_key(&self) -> anyhow::Result<Option<SigningKey>> {
        if self.sends() { self.key() } else { Ok(None) }
    }
}

/// Who signs.
pub(crate) enum Wallet {
    /// A key that is here.
    Key(SigningKey),
    /// A wallet elsewhere, which has signed.
    Signed(WalletSignature),
    /// A wallet elsewhere, which has to be shown the message first.
    Unsigned,
}

/// What became of a message.
pub(crate) enum Outcome<T> {
    /// It is signed, and this came of it.
    Done(T),
    /// The message, for the wallet.
    ToSign(Value),
}

impl WalletArgs {
    /// Opens the keystore, where none of the other ways is given: a keystore may come from the
    /// environment.
    pub(crate) fn choose(&self) -> anyhow::Result<Wallet> {
        match (self.typed_data, &self.signature, &self.keystore) {
            (true, ..) => Ok(Wallet::Unsigned),
            (_, Some(signature), _) => Ok(Wallet::Signed(signature.clone())),
            (_, _, Some(path)) => {
                Ok(Wallet::Key(open_keystore(path, self.password_file.as_deref())?))
            }
            _ => Err(Exit::Usage.because(
                "--keystore is missing; for a wallet elsewhere print the message with --typed-data, \
                 sign it there, and give its --signature",
            )),
        }
    }
}

impl Wallet {
    /// The account, where its key is here.
    pub(crate) const fn address(&self) -> Option<Address> {
        match self {
            Self::Key(key) => Some(key.address()),
            Self::Signed(_) | Self::Unsigned => None,
        }
    }

    /// The signature of `account` over a message, or the message to be signed.
    pub(crate) fn sign<M: WalletMessage>(
        &self,
        message: &M,
        account: Address,
        domain: &Domain,
    ) -> anyhow::Result<Outcome<WalletSignature>> {
        let digest = message.digest(domain);
        match self {
            Self::Key(key) if key.address() == account => {
                Ok(Outcome::Done(key.sign(digest).into()))
            }
            Self::Key(key) => Err(Exit::Failure.because(format!(
                "{account} has to sign this, but the keystore's wallet is {}",
                key.address()
            ))),
            Self::Signed(signature) => {
                let spelled = signature.clone().spelled_for(digest, account);
                Ok(Outcome::Done(spelled.map_err(|error| {
                    Exit::Failure.because(format!("the signature of {account}: {error}"))
                })?))
            }
            Self::Unsigned => Ok(Outcome::ToSign(typed_data(message, domain))),
        }
    }
}
