//! The people of the devnet: wallets of anvil's well-known mnemonic, and their keystores.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use alloy::signers::local::{MnemonicBuilder, coins_bip39::English};
use anyhow::Context as _;
use nodesys_chain::keystore;
use nodesys_core::Address;
use nodesys_core::signature::SigningKey;

/// anvil's mnemonic: its accounts are funded on the development chain, and worth nothing elsewhere.
const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// The keystores' password, which protects nothing here.
const PASSWORD: &str = "development only";

/// Somebody with a wallet.
pub struct Person {
    /// For people.
    pub name: &'static str,
    /// The wallet.
    pub key: SigningKey,
    /// Its encrypted keystore.
    pub keystore: PathBuf,
    /// A file with the keystore's password.
    pub password_file: PathBuf,
}

impl Person {
    /// The wallet's address.
    pub const fn address(&self) -> Address {
        self.key.address()
    }
}

/// Everybody.
pub struct People {
    /// Runs the registry's network: records receipt keys.
    pub network: Person,
    /// Owns the project.
    pub owner: Person,
    /// The project's guardian.
    pub guardian: Person,
    /// The reward signer.
    pub signer: Person,
    /// Pays for the backend's posts.
    pub poster: Person,
    /// A user who runs her own licenses.
    pub alice: Person,
    /// A user who rents out and delegates.
    pub bob: Person,
    /// An operator of others' licenses.
    pub carol: Person,
    /// The project's release key, which announces releases.
    pub releaser: Person,
}

impl People {
    /// Derives the wallets and writes their keystores below `dir`.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let password_file = dir.join("password");
        write_secret(&password_file, PASSWORD)?;
        let mut index = 0;
        let mut next = |name: &'static str| {
            let signer = MnemonicBuilder::<English>::default()
                .phrase(MNEMONIC)
                .index(index)
                .and_then(|builder| builder.build())
                .with_context(|| format!("the wallet of {name}"))?;
            index += 1;
            let key = SigningKey::from_bytes(&signer.to_bytes().0)?;
            let keystore = dir.join(format!("{name}.json"));
            keystore::create(&keystore, &key, PASSWORD)?;
            anyhow::Ok(Person { name, key, keystore, password_file: password_file.clone() })
        };
        Ok(Self {
            network: next("network")?,
            owner: next("owner")?,
            guardian: next("guardian")?,
            signer: next("signer")?,
            poster: next("poster")?,
            alice: next("alice")?,
            bob: next("bob")?,
            carol: next("carol")?,
            releaser: next("releaser")?,
        })
    }

    /// Everybody, in the order of the mnemonic.
    pub fn all(&self) -> [&Person; 9] {
        let Self { network, owner, guardian, signer, poster, alice, bob, carol, releaser } = self;
        [network, owner, guardian, signer, poster, alice, bob, carol, releaser]
    }

    /// Somebody's name, by address.
    pub fn name_of(&self, address: Address) -> String {
        let found = self.all().into_iter().find(|person| person.address() == address);
        found.map_or_else(|| address.to_string(), |person| person.name.to_owned())
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(())
}

/// Writes a fresh key as 64 hex digits, mode 0600.
pub(crate) fn new_key_file(path: &Path) -> anyhow::Result<SigningKey> {
    let key = SigningKey::from_bytes(&rand::random())?;
    write_secret(path, &key.to_hex())?;
    Ok(key)
}
