//! The repository: verified by `nodesys-update`, the program beside this one; its files fetched by the
//! size and hash that were verified.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nodesys_core::time::Timestamp;
use nodesys_core::update::{Program, VERIFIED_FORMAT, Verified, VerifiedTarget};
use nodesys_sdk::network::Updates;
use tokio::process::Command;

use crate::download::hash::hash_of;
use crate::download::pin::{self, PinnedFile, Sha256Hash};
use crate::download::pinned::fetch_verified;
use crate::exit::Exit;
use crate::output::say;
use crate::setup::Setup;
use crate::system::complaint;
use crate::update::state::UpdateFolder;

/// For all metadata: a server that trickles is not waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// The root that this build trusts, where whoever built it gave one.
const BUILT_IN_ROOT: Option<&str> = option_env!("NODESYS_UPDATE_ROOT_JSON");

/// The repository that was built in, if one was.
pub(crate) const BUILT_IN_REPOSITORY: Option<&str> = option_env!("NODESYS_UPDATE_REPOSITORY");

/// The latest time that is known: this machine's clock, and the chain's newest block.
pub(crate) async fn latest_time(setup: &Setup) -> anyhow::Result<Timestamp> {
    let now = setup.clock().await?.now();
    if setup.settings.rpc.is_empty() {
        return Ok(now);
    }
    let block = async { anyhow::Ok(setup.provider().await?.latest_block().await?) };
    match block.await {
        Ok(block) => Ok(now.max(Timestamp::from_secs(block.secs))),
        Err(error) => {
            say(format!("note: the chain's time is not known ({error:#}); this machine's is used"));
            Ok(now)
        }
    }
}

/// The root to trust at the first update.
pub(crate) enum Root {
    /// The operator's file.
    Given(PathBuf),
    /// Of the joined network, or built in.
    Known(tempfile::NamedTempFile),
}

impl Root {
    /// What the operator gives, else the joined network's, else the one that was built in.
    pub(crate) fn of(
        given: Option<&Path>,
        network: Option<&Updates>,
    ) -> anyhow::Result<Option<Self>> {
        if let Some(path) = given {
            return Ok(Some(Self::Given(path.to_owned())));
        }
        let text = match (network, BUILT_IN_ROOT) {
            (Some(updates), _) => {
                serde_json::to_string(&updates.root).context("the network's root")?
            }
            (None, Some(text)) => text.to_owned(),
            (None, None) => return Ok(None),
        };
        let file = tempfile::NamedTempFile::new().context("a file for the root")?;
        std::fs::write(file.path(), text).context("a file for the root")?;
        Ok(Some(Self::Known(file)))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Known(file) => file.path(),
        }
    }
}

/// Verifies it; the trusted metadata are kept.
pub(crate) async fn verify(
    folder: &UpdateFolder,
    repository: &str,
    root: Option<&Root>,
    now: Timestamp,
) -> anyhow::Result<Verified> {
    let program = beside()?;
    let mut command = Command::new(&program);
    command.args(["verify", "--repository", repository]);
    command.arg("--trusted").arg(folder.trusted());
    command.arg("--now-secs").arg(now.secs().to_string()).kill_on_drop(true);
    if let Some(root) = root {
        command.arg("--root").arg(root.path());
    }
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| {
            Exit::Network.because(format!(
                "the repository gives its metadata too slowly: not within {} min; try again later, \
                 or by another network",
                PATIENCE.as_secs() / 60
            ))
        })?
        .with_context(|| format!("{} cannot be run", program.display()))?;
    if !output.status.success() {
        let exit = match output.status.code() {
            Some(2) => Exit::Usage,
            Some(7) => Exit::Network,
            _ => Exit::Failure,
        };
        // Its own words are a sentence for people; without any, how it ended is all there is.
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(exit.because(match words.is_empty() {
            true => complaint(&program.display().to_string(), &output),
            false => words,
        }));
    }
    let other = || {
        Exit::Failure.because(format!(
            "{} is of another release than this program: put both in place from one release",
            program.display()
        ))
    };
    let verified: Verified = serde_json::from_slice(&output.stdout).map_err(|_| other())?;
    if verified.format == VERIFIED_FORMAT { Ok(verified) } else { Err(other()) }
}

/// `nodesys-update`, which lies where this program does.
fn beside() -> anyhow::Result<PathBuf> {
    let path = here()?.with_file_name(Program::Update.name());
    if path.exists() {
        return Ok(path);
    }
    Err(Exit::NotFound.because(format!(
        "{} is not there: it verifies releases; put it beside nodesys, from the same release",
        path.display()
    )))
}

/// This program's own file.
pub(crate) fn here() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("this program's own file cannot be found")?;
    path.canonicalize().with_context(|| format!("{} cannot be found", path.display()))
}

/// Has a verified file at `goal`, from the repository.
pub(crate) async fn have(
    repository: &str,
    target: &VerifiedTarget,
    goal: &Path,
) -> anyhow::Result<Sha256Hash> {
    let sha256 = Sha256Hash(target.sha256.0);
    if repository.contains("://") {
        let base = format!("{}/targets/{}", repository.trim_end_matches('/'), target.file);
        let url = base.parse().with_context(|| format!("the address of {}", target.name))?;
        // The architecture was chosen with the target; it is not looked at again.
        let file = PinnedFile { arch: pin::here()?, sha256, size: target.size, urls: vec![url] };
        fetch_verified(&file, goal, &target.name).await?;
        return Ok(sha256);
    }
    let from = Path::new(repository).join("targets").join(&target.file);
    let refused = |problem: String| {
        Exit::Failure.because(format!(
            "{} is refused: {problem}; nothing was changed: get the repository again",
            from.display()
        ))
    };
    let size = std::fs::metadata(&from)
        .map_err(|error| {
            Exit::Network.because(format!("{} cannot be read: {error}", from.display()))
        })?
        .len();
    if size != target.size {
        return Err(refused(format!("it has {size} bytes, and {} are signed for", target.size)));
    }
    let folder = goal.parent().unwrap_or(Path::new("."));
    let cannot = || format!("cannot write {}", goal.display());
    let new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    std::fs::copy(&from, new.path()).with_context(cannot)?;
    let found = hash_of(new.path())?;
    if found != sha256 {
        return Err(refused(format!("its SHA-256 is {found}, not the signed {sha256}")));
    }
    new.as_file().sync_all().with_context(cannot)?;
    new.persist(goal).with_context(cannot)?;
    Ok(sha256)
}
