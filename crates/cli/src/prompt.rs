//! Questions to the person at the terminal. Every question has a flag; without a terminal a
//! question is an error that names it.

use std::io;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use nodesys_chain::keystore;
use nodesys_core::signature::SigningKey;
use nodesys_core::text::lines;
use nodesys_service::secret;

use crate::exit::Exit;

/// A wallet's encrypted keystore.
#[derive(Debug, Clone, Args)]
pub struct WalletFile {
    /// Encrypted JSON keystore of the wallet.
    #[arg(long, value_name = "FILE", env = "NODESYS_KEYSTORE", hide_env_values = true)]
    pub keystore: PathBuf,
    /// File whose first line is the keystore's password; asked for at the terminal if absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_PASSWORD_FILE", hide_env_values = true)]
    pub password_file: Option<PathBuf>,
}

impl WalletFile {
    /// The wallet's key.
    pub fn open(&self) -> anyhow::Result<SigningKey> {
        open_keystore(&self.keystore, self.password_file.as_deref())
    }
}

/// Opens a keystore with the password of a file, or else asks for it.
pub fn open_keystore(path: &Path, password_file: Option<&Path>) -> anyhow::Result<SigningKey> {
    // Before anybody types a password for a file that is not there.
    std::fs::metadata(path).with_context(|| format!("keystore {}", path.display()))?;
    let password = match password_file {
        Some(file) => keystore::read_password(file)?,
        None => secret::ask_password(path, "--password-file FILE")
            .map_err(|error| Exit::Usage.because(format!("{error:#}")))?,
    };
    Ok(keystore::open(path, &password)?)
}

/// Asks for a yes, unless `--yes` was given.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let words = format!("{question} There is no terminal to ask at: give --yes to continue");
        return Err(Exit::Usage.because(words));
    }
    write!(io::stderr(), "{} [y/N] ", lines(question)).context("cannot write to the terminal")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read from the terminal")?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Exit::Failure.because("nothing was done: the answer was not yes")),
    }
}
