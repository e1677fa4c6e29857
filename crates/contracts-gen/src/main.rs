//! Writes `crates/chain/abi/<Contract>.json`, from which the bindings are made, so that an
//! ordinary build needs no Solidity compiler, and `crates/chain/verification/<Contract>.json`,
//! which block explorers need to verify a deployed contract. `scripts/gen` runs it; with `--check` it
//! writes nothing and fails if a file is not what it would write.
//!
//! It drives the compiler through foundry-compilers, which forge is built on, with the settings of
//! `foundry.toml`; so the bytecode is the one that forge's tests see.

mod foundry;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use foundry_compilers::artifacts::{BytecodeObject, Contract};
use foundry_compilers::project::ProjectCompiler;
use foundry_compilers::solc::{Solc, SolcCompiler};
use foundry_compilers::{AggregatedCompilerOutput, Project};
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
    let (project, solc) = foundry::project(&root)?;
    let output = compile(&project)?;

    let mut files = Vec::new();
    for name in CONTRACTS {
        let contract = contract(&output, name)?;
        files.push((format!("crates/chain/abi/{name}.json"), bindings_json(name, contract)?));
    }
    for name in VERIFIED {
        let contract = contract(&output, name)?;
        let relative = format!("crates/chain/verification/{name}.json");
        files.push((relative, verification_json(&root, &solc, name, contract)?));
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

/// Compiles the project's sources, without its tests.
fn compile(project: &Project<SolcCompiler>) -> Result<AggregatedCompilerOutput<SolcCompiler>> {
    let compiled =
        ProjectCompiler::with_sources(project, project.paths.read_sources()?)?.compile()?;
    ensure!(!compiled.has_compiler_errors(), "{compiled}");
    Ok(compiled.into_output())
}

/// The one contract of this name.
fn contract<'a>(
    output: &'a AggregatedCompilerOutput<SolcCompiler>,
    name: &str,
) -> Result<&'a Contract> {
    let mut found = output.contracts_iter().filter(|(contract, _)| *contract == name);
    let (_, contract) = found.next().with_context(|| format!("no contract is called {name}"))?;
    ensure!(found.next().is_none(), "more than one contract is called {name}");
    Ok(contract)
}

/// What bindings need: keys sorted, a newline at the end.
fn bindings_json(name: &str, contract: &Contract) -> Result<String> {
    let evm = contract.evm.as_ref();
    let deployed = evm.and_then(|evm| evm.deployed_bytecode.as_ref()?.bytecode.as_ref());
    let bindings = json!({
        "abi": contract.abi,
        "bytecode": linked(name, evm.and_then(|evm| evm.bytecode.as_ref()).map(|it| &it.object))?,
        "deployedBytecode": linked(name, deployed.map(|it| &it.object))?,
    });
    Ok(serde_json::to_string_pretty(&bindings)? + "\n")
}

/// Bytecode as `0x` hex.
fn linked(name: &str, bytecode: Option<&BytecodeObject>) -> Result<String> {
    let bytes = bytecode.and_then(BytecodeObject::as_bytes).filter(|bytes| !bytes.is_empty());
    Ok(bytes.with_context(|| format!("bytecode of {name} is missing or not linked"))?.to_string())
}

/// Compiler, contract and standard JSON input, made from what the compiler says it read, and compiled
/// once more: only an input that gives the same bytecode is written.
fn verification_json(root: &Path, solc: &Solc, name: &str, contract: &Contract) -> Result<String> {
    let metadata = contract.metadata.as_ref().context("a contract without metadata")?;
    let metadata = serde_json::to_value(&metadata.metadata)?;
    let mut sources = serde_json::Map::new();
    let read = metadata["sources"].as_object().context("a contract without sources")?;
    for path in read.keys() {
        let content = fs::read_to_string(root.join(path))
            .with_context(|| format!("cannot read {path}, which {name} is made of"))?;
        sources.insert(path.clone(), json!({ "content": content }));
    }
    let mut settings = metadata["settings"].clone();
    let target = settings
        .as_object_mut()
        .and_then(|settings| settings.remove("compilationTarget"))
        .context("a contract without a compilation target")?;
    let (source, _) = target
        .as_object()
        .and_then(|target| target.iter().next())
        .context("a contract without a compilation target")?;
    settings["outputSelection"] = json!({ "*": { "*": ["evm.bytecode.object"] } });
    let input = json!({ "language": "Solidity", "sources": sources, "settings": settings });

    let output: Value = solc.compile_as(&input)?;
    let compiled = &output["contracts"][source.as_str()][name]["evm"]["bytecode"]["object"];
    let expected = contract.evm.as_ref().and_then(|evm| evm.bytecode.as_ref());
    let expected = linked(name, expected.map(|bytecode| &bytecode.object))?;
    ensure!(
        compiled.as_str() == expected.strip_prefix("0x"),
        "the verification input of {name} compiles to other bytecode: {}",
        output["errors"]
    );
    let verification = json!({
        "compiler": metadata["compiler"]["version"],
        "contract": format!("{source}:{name}"),
        "input": input,
    });
    Ok(serde_json::to_string_pretty(&verification)? + "\n")
}
