//! Writes `crates/contracts/abi/<Contract>.json`, from which the bindings are made, so that an
//! ordinary build needs no Solidity compiler. `scripts/gen` runs it; with `--check` it writes nothing
//! and fails if a file is not what it would write.
//!
//! It drives forge rather than the crate foundry-compilers: `foundry.toml` stays the one place of
//! compiler settings, and the crate would switch on serde_json's `arbitrary_precision` for every
//! program of the workspace.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// The contracts that Rust deploys or calls.
const CONTRACTS: [&str; 7] = [
    "ProjectRegistry",
    "NodeLicense",
    "LicenseSale",
    "RewardDistributor",
    "DevToken",
    "DelegateRegistry",
    "Multicall3",
];

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => bail!("usage: nodesys-contracts-gen [--check]"),
    };

    let root = repository_root()?;
    build(&root)?;

    let mut stale = Vec::new();
    for name in CONTRACTS {
        let relative = format!("crates/contracts/abi/{name}.json");
        let path = root.join(&relative);
        let wanted = bindings_json(&root, name)?;
        if fs::read_to_string(&path).ok().as_ref() == Some(&wanted) {
            continue;
        }
        if !check {
            fs::write(&path, wanted).with_context(|| format!("cannot write {relative}"))?;
        }
        stale.push(relative);
    }

    if stale.is_empty() {
        println!("{} contracts up to date", CONTRACTS.len());
    } else if check {
        eprintln!("not what contracts/src compiles to: {}", stale.join(", "));
        eprintln!("run scripts/gen and commit the result");
        return Ok(ExitCode::FAILURE);
    } else {
        println!("wrote {}", stale.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder of `foundry.toml`: the tool is run inside a checkout, from anywhere in it.
fn repository_root() -> Result<PathBuf> {
    let start = env::current_dir().context("cannot read the working directory")?;
    start
        .ancestors()
        .find(|folder| folder.join("foundry.toml").is_file())
        .map(Path::to_owned)
        .with_context(|| format!("no foundry.toml in {} or above it", start.display()))
}

/// Where forge leaves its artifacts: not where tests leave theirs, which may be without bytecode.
const OUT: &str = "target/forge/gen/out";
const CACHE: &str = "target/forge/gen/cache";

/// Compiles `contracts/src`.
fn build(root: &Path) -> Result<()> {
    let forge = forge(root);
    let status = Command::new(&forge)
        .args(["build", "--quiet", "--out", OUT, "--cache-path", CACHE, "contracts/src"])
        .current_dir(root)
        .status()
        .with_context(|| {
            format!("cannot run {}: run `npm ci --ignore-scripts` or set FORGE", forge.display())
        })?;
    ensure!(status.success(), "forge build failed");
    Ok(())
}

/// `$FORGE`, else npm's, else one on the PATH (platforms npm has no binary for).
fn forge(root: &Path) -> PathBuf {
    let npm = root.join("node_modules/@foundry-rs/forge-linux-amd64/bin/forge");
    match env::var_os("FORGE") {
        Some(path) => path.into(),
        None if npm.is_file() => npm,
        None => "forge".into(),
    }
}

/// The part of forge's artifact that bindings need: keys sorted, a newline at the end.
fn bindings_json(root: &Path, name: &str) -> Result<String> {
    let path = root.join(format!("{OUT}/{name}.sol/{name}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("no artifact of {name}"))?;
    let artifact: Value =
        serde_json::from_str(&text).with_context(|| format!("artifact of {name} is not JSON"))?;

    let bytecode = |key: &str| {
        let object = artifact[key]["object"].as_str().unwrap_or_default();
        let digits = object.strip_prefix("0x").unwrap_or_default();
        ensure!(
            !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
            "{key} of {name} is missing or not linked"
        );
        Ok(object.to_owned())
    };
    let bindings = json!({
        "abi": artifact["abi"],
        "bytecode": bytecode("bytecode")?,
        "deployedBytecode": bytecode("deployedBytecode")?,
    });
    Ok(serde_json::to_string_pretty(&bindings)? + "\n")
}
