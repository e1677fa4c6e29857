//! Builds a day's commit as a project owner's own program would; with a key, signs and submits it.
//!
//! The owner believes the backend only as far as its word is signed, reads the chain over an RPC of
//! its own, and signs only what the backend computes alike. The program may run again after any
//! failure.
//!
//! ```sh
//! cargo run --package nodesys-sdk --example build_commit -- \
//!     BACKEND RPC REGISTRY PROJECT TERMS.json FOLDER DAY [KEYSTORE PASSWORD-FILE]
//! ```
//!
//! TERMS.json is like `crates/master/terms.example.json`. FOLDER keeps what was signed, and the
//! bundles.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use nodesys_chain::{Provider, RpcUrl, keystore};
use nodesys_core::Address;
use nodesys_core::bundle::canonical_json;
use nodesys_core::files::{RewardRow, Row as _};
use nodesys_core::message::{Message as _, RewardCommit};
use nodesys_core::time::UtcDay;
use nodesys_sdk::bundles::{BundleSource, BundleStore};
use nodesys_sdk::client::Client;
use nodesys_sdk::commit::{compare, domain_of, sign, submit, upload_points};
use nodesys_sdk::day::{DayBuilder, find_project};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("another TLS provider is installed");
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [backend, rpc, registry, project, terms, folder, day, key @ ..] = &arguments[..] else {
        bail!("usage: BACKEND RPC REGISTRY PROJECT TERMS.json FOLDER DAY [KEYSTORE PASSWORD-FILE]");
    };
    let (folder, day) = (Path::new(folder), day.parse::<UtcDay>()?);
    let store = BundleStore::new(folder.join("bundles"));

    let provider = Provider::connect(&rpc.parse::<RpcUrl>()?, None).await?;
    let project = find_project(&provider, registry.parse::<Address>()?, &project.parse()?).await?;
    let distributor = project.distributor;
    let builder = DayBuilder {
        backend: Client::new(backend)?,
        provider,
        project,
        terms: serde_json::from_slice(&fs::read(terms)?).context("the terms")?,
        bundles: BundleSource::Folder(store.clone()).into(),
        finality_depth: 64,
        logs_from: 0,
        // The backend's, below.
        second_opinion: true,
    };

    // What was signed and stored is submitted as it is, unless it was revoked since.
    let state = builder.state().await?;
    if let Some(signed) = store.commit(distributor, day)?
        && (day.epoch() <= state.epoch || signed.commit.revision == state.revision)
    {
        let view = submit(&builder.backend, distributor, &signed).await?;
        println!("{} was signed before; the backend says {:?}", view.commit_hash, view.state);
        return Ok(());
    }

    let built = builder.build(day).await?;
    println!("{day}: commit {}", built.commit.struct_hash());
    println!("root {}, total {} wei", built.commit.root, built.commit.total);

    let [keystore, password] = key else { return Ok(()) };
    let password = keystore::read_password(Path::new(password))?;
    let key = keystore::open(Path::new(keystore), &password)?;
    ensure!(key.address() == state.signer, "the project's reward signer is {}", state.signer);
    let checked = upload_points(&builder.backend, &built, &key).await?;
    let rewards = &built.files[RewardRow::FILE];
    compare(&builder.backend, distributor, &built.commit, rewards, &checked).await?;
    record(folder, distributor, &built.commit)?;
    let signed = sign(&built.commit, &domain_of(&built), &key);
    store.write(&built, &signed)?;
    let view = submit(&builder.backend, distributor, &signed).await?;
    println!("submitted; the backend says {:?}", view.state);
    Ok(())
}

/// Notes on disk, before the signature is made, which commit is signed for an epoch and revision;
/// refuses another one, since of two signed commits whoever posts could choose.
fn record(folder: &Path, distributor: Address, commit: &RewardCommit) -> anyhow::Result<()> {
    let path = folder.join(format!("signed-{distributor:#x}-{}-{}", commit.epoch, commit.revision));
    let text = canonical_json(commit);
    match File::create_new(&path) {
        Ok(mut file) => {
            file.write_all(&text)?;
            file.sync_all()?;
            File::open(folder)?.sync_all().context("cannot keep the record")
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            ensure!(fs::read(&path)? == text, "{} has another commit", path.display());
            Ok(())
        }
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}
