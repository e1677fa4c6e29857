//! `foundry.toml`, the one place of compiler settings, as foundry-compilers takes it.
//!
//! A setting that this program does not know is refused, since it might change the bytecode that
//! forge's tests see and not the one that is written here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, ensure};
use foundry_compilers::artifacts::output_selection::OutputSelection;
use foundry_compilers::artifacts::remappings::{RelativeRemapping, Remapping};
use foundry_compilers::artifacts::{Optimizer, Settings, SettingsMetadata};
use foundry_compilers::solc::{Solc, SolcCompiler, SolcSettings};
use foundry_compilers::{Project, ProjectBuilder, ProjectPathsConfig};
use serde::Deserialize;

/// Settings that only forge reads: none changes what the compiler makes.
const FORGE_ONLY: [&str; 10] = [
    "cache_path",
    "fs_permissions",
    "fuzz",
    "ignored_warnings_from",
    "invariant",
    "offline",
    "out",
    "script",
    "snapshots",
    "test",
];

/// What the compiler is asked for, of each contract.
const OUTPUTS: [&str; 4] =
    ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode.object"];

#[derive(Deserialize)]
struct FoundryToml {
    profile: Profiles,
}

#[derive(Deserialize)]
struct Profiles {
    default: Profile,
}

#[derive(Deserialize)]
struct Profile {
    src: PathBuf,
    libs: Vec<PathBuf>,
    auto_detect_remappings: bool,
    remappings: Vec<Remapping>,
    solc: PathBuf,
    evm_version: String,
    optimizer: bool,
    optimizer_runs: usize,
    bytecode_hash: String,
    cbor_metadata: bool,
    #[serde(flatten)]
    others: BTreeMap<String, toml::Value>,
}

/// The project of `foundry.toml` in `root`, and its compiler. Nothing is cached or written: the
/// compiler always runs.
pub fn project(root: &Path) -> Result<(Project<SolcCompiler>, Solc)> {
    let text = fs::read_to_string(root.join("foundry.toml")).context("cannot read foundry.toml")?;
    let FoundryToml { profile } = toml::from_str(&text).context("foundry.toml")?;
    let profile = profile.default;
    for name in profile.others.keys() {
        ensure!(
            FORGE_ONLY.contains(&name.as_str()),
            "foundry.toml has the setting {name}, which contracts-gen does not know: add it there"
        );
    }
    ensure!(!profile.auto_detect_remappings, "foundry.toml must name its remappings itself");

    let solc = Solc::new(root.join(&profile.solc)).context("cannot run the compiler")?;
    let remappings = profile
        .remappings
        .iter()
        .map(|remapping| RelativeRemapping::from(remapping.clone()).to_remapping(root.to_owned()));
    let paths = ProjectPathsConfig::builder()
        .sources(root.join(&profile.src))
        .libs(profile.libs.iter().map(|folder| root.join(folder)))
        .remappings(remappings)
        .build_with_root(root);
    let project = ProjectBuilder::<SolcCompiler>::default()
        .paths(paths)
        .settings(SolcSettings { settings: settings(&profile)?, ..SolcSettings::default() })
        .ephemeral()
        .no_artifacts()
        .offline()
        .build(SolcCompiler::Specific(solc.clone()))?;
    Ok((project, solc))
}

fn settings(profile: &Profile) -> Result<Settings> {
    let mut optimizer = Optimizer::default();
    optimizer.enabled = Some(profile.optimizer);
    optimizer.runs = Some(profile.optimizer_runs);
    let hash = parse("bytecode_hash", &profile.bytecode_hash)?;
    Ok(Settings {
        optimizer,
        metadata: Some(SettingsMetadata::new(hash, profile.cbor_metadata)),
        evm_version: Some(parse("evm_version", &profile.evm_version)?),
        output_selection: OutputSelection::common_output_selection(OUTPUTS.map(str::to_owned)),
        ..Settings::default()
    })
}

fn parse<T: FromStr<Err = String>>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|problem: String| anyhow!("foundry.toml, {name}: {problem}"))
}
