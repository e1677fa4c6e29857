//! The README's crate table lists every crate of the workspace, with its folder.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap()
}

/// Crate and folder of each member, as cargo has them.
fn members() -> BTreeSet<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let folder = manifest.parent().unwrap().strip_prefix(root()).unwrap();
            let name = package["name"].as_str().unwrap();
            (name.to_owned(), folder.to_str().unwrap().to_owned())
        })
        .collect()
}

/// Crate and folder of each row of the table.
fn rows(readme: &str) -> BTreeSet<(String, String)> {
    let cell = |cell: &str| {
        let cell = cell.trim();
        cell.strip_prefix('`')?.strip_suffix('`').map(str::to_owned)
    };
    readme
        .lines()
        .skip_while(|line| !line.starts_with("| crate | folder |"))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.split('|').skip(1);
            Some((cell(cells.next()?)?, cell(cells.next()?)?))
        })
        .collect()
}

#[test]
fn the_crate_table_is_the_workspace() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert_eq!(rows(&readme), members());
}
