//! Fetching a release: all its files, tried out, and the journal of what will be done with them.

use std::path::Path;

use anyhow::Context as _;
use nodesys_core::update::Program;
use semver::Version;

use super::{install, repository};
use crate::cluster::driver_of;
use crate::download::hash::hash_of;
use crate::node::cluster_file::{ClusterFile, Phase};
use crate::setup::Setup;
use crate::update::catalogue::ListedRelease;
use crate::update::state::{Journal, ManagerSwap, Step, Swap, UpdateFolder};

/// Has all files of a release, tries them out, and writes down what will be done with them.
pub(crate) async fn fetch_release(
    setup: &Setup,
    folder: &UpdateFolder,
    repository: &str,
    current: &Version,
    listed: &ListedRelease,
) -> anyhow::Result<Journal> {
    let version = &listed.terms.version;
    let here = repository::here()?;
    let programs = here.parent().context("this program has no folder")?;
    install::writable(programs)?;
    let mut swaps = Vec::new();
    for program in Program::ALL {
        let target =
            listed.programs.get(&program).with_context(|| format!("{program} is not listed"))?;
        let [path, staged, previous] = install::places(programs, program, version);
        let old = hash_of(&path)?;
        let new = repository::have(repository, target, &staged).await?;
        swaps.push(Swap { program, path, staged, previous, old, new });
    }
    for swap in &swaps {
        if let Err(error) = install::try_out(swap, version).await {
            install::clear(&swaps);
            return Err(error.context(format!("{version} is not begun, and nothing was changed")));
        }
    }
    let manager = manager_swap(setup.home()?, folder, repository, listed).await?;
    let mut journal = Journal::new(current.clone(), version.clone(), swaps, manager);
    journal.enter(folder, Step::Fetching)?;
    nodesys_failpoint::reach("update:fetched");
    Ok(journal)
}

/// The manager's change, where this node runs one and the release has another.
async fn manager_swap(
    home: &Path,
    folder: &UpdateFolder,
    repository: &str,
    listed: &ListedRelease,
) -> anyhow::Result<Option<ManagerSwap>> {
    let (Some(cluster), Some(after)) = (ClusterFile::read(home)?, &listed.terms.manager_image)
    else {
        return Ok(None);
    };
    if cluster.phase != Phase::Running || cluster.manager_image == *after {
        return Ok(None);
    }
    let archive = match &listed.manager_archive {
        Some(target) if driver_of(cluster.driver).owns_cluster() => {
            let path = folder.path(&target.name);
            repository::have(repository, target, &path).await?;
            Some(path)
        }
        _ => None,
    };
    Ok(Some(ManagerSwap { before: cluster.manager_image, after: after.clone(), archive }))
}
