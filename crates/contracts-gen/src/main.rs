//! Writes `crates/contracts/abi/<Contract>.json`, from which the bindings are made, so that an
//! ordinary build needs no Solidity compiler, and `crates/contracts/verification/<Contract>.json`,
//! which block explorers need to verify a deployed contract. `scripts/gen` runs it; with `--check` it
//! writes nothing and fails if a file is not what it would write.
//!
//! It drives forge rather than the crate foundry-compilers: `foundry.toml` stays the one place of
//! compiler settings, and the crate would switch on serde_json's `arbitrary_precision` for every
//! program of the workspace.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
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

/// The contracts that somebody deploys by command, and so may want to verify.
const VERIFIED: [&str; 4] = ["ProjectRegistry", "NodeLicense", "LicenseSale", "RewardDistributor"];

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => bail!("usage: nodesys-contracts-gen [--check]"),
    };

    let root = repository_root()?;
    build(&root)?;

    let mut files = Vec::new();
    for name in CONTRACTS {
        files.push((format!("crates/contracts/abi/{name}.json"), bindings_json(&root, name)?));
    }
    for name in VERIFIED {
        let relative = format!("crates/contracts/verification/{name}.json");
        files.push((relative, verification_json(&root, name)?));
    }

    let mut stale = Vec::new();
    let count = files.len();
    for (relative, wanted) in files {
        let path = root.join(&relative);
        if fs::read_to_string(&path).ok().as_ref() == Some(&wanted) {
            continue;
        }
        if !check {
            fs::write(&path, wanted).with_context(|| format!("cannot write {relative}"))?;
        }
        stale.push(relative);
    }

    if stale.is_empty() {
        println!("{count} files up to date");
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

fn artifact_of(root: &Path, name: &str) -> Result<Value> {
    let path = root.join(format!("{OUT}/{name}.sol/{name}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("no artifact of {name}"))?;
    serde_json::from_str(&text).with_context(|| format!("artifact of {name} is not JSON"))
}

/// The part of forge's artifact that bindings need: keys sorted, a newline at the end.
fn bindings_json(root: &Path, name: &str) -> Result<String> {
    let artifact = artifact_of(root, name)?;
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

/// Compiler, contract and standard JSON input, made from what the compiler says it read, and compiled
/// once more: only an input that gives the same bytecode is written.
fn verification_json(root: &Path, name: &str) -> Result<String> {
    let artifact = artifact_of(root, name)?;
    let metadata = &artifact["metadata"];
    let mut sources = serde_json::Map::new();
    let read = metadata["sources"].as_object().context("an artifact without sources")?;
    for path in read.keys() {
        let content = fs::read_to_string(root.join(path))
            .with_context(|| format!("cannot read {path}, which {name} is made of"))?;
        sources.insert(path.clone(), json!({ "content": content }));
    }
    let mut settings = metadata["settings"].clone();
    let target = settings
        .as_object_mut()
        .and_then(|settings| settings.remove("compilationTarget"))
        .context("an artifact without a compilation target")?;
    let (source, _) = target
        .as_object()
        .and_then(|target| target.iter().next())
        .context("an artifact without a compilation target")?;
    settings["outputSelection"] = json!({ "*": { "*": ["evm.bytecode.object"] } });
    let input = json!({ "language": "Solidity", "sources": sources, "settings": settings });

    let output = compile(root, &input)?;
    let compiled = &output["contracts"][source.as_str()][name]["evm"]["bytecode"]["object"];
    let expected = artifact["bytecode"]["object"].as_str().unwrap_or_default();
    ensure!(
        compiled.as_str() == expected.strip_prefix("0x"),
        "the verification input of {name} compiles to other bytecode than forge made: {}",
        output["errors"]
    );
    let verification = json!({
        "compiler": metadata["compiler"]["version"],
        "contract": format!("{source}:{name}"),
        "input": input,
    });
    Ok(serde_json::to_string_pretty(&verification)? + "\n")
}

/// Runs the compiler of `foundry.toml`.
fn compile(root: &Path, input: &Value) -> Result<Value> {
    let mut solc = Command::new(root.join("contracts/tools/solc"))
        .arg("--standard-json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run contracts/tools/solc")?;
    // It reads all of its input before it answers, so nothing waits for the other.
    solc.stdin.take().context("no input")?.write_all(input.to_string().as_bytes())?;
    let answer = solc.wait_with_output()?;
    ensure!(answer.status.success(), "contracts/tools/solc failed");
    serde_json::from_slice(&answer.stdout).context("the compiler's answer is not JSON")
}
