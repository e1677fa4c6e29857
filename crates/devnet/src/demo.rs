//! The demo: the whole path, visible to the reader, with real parts.
//!
//! [`run`] starts a devnet, tells the story and stops the devnet in any case: a failure or a signal
//! stops every started process. Messages go to standard error, the closing table to standard
//! output.

mod cast;
mod first_day;
mod ledger;
mod releases;
mod serve;
mod story;
mod summary;
mod table;
mod telling;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nodesys_core::time::UtcDay;
use tokio::signal::unix::{SignalKind, signal};

use crate::deploy::{Deployed, delegate, mint, rent_out, set_release_key};
use crate::net::{Devnet, LOOPBACK};
use crate::people::People;
pub use cast::Kubernetes;
use cast::{A2, B2, FIRST_DAY, plan};
use telling::say;

/// Options of the demo.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder.
    pub root: PathBuf,
    /// Whether everything is left running afterwards.
    pub serve: bool,
    /// The built dashboard, which is served then if it is there.
    pub web: PathBuf,
    /// A cluster for node 1; without it every node consists of processes.
    pub kubernetes: Option<Kubernetes>,
}

/// Tells the whole story.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let _lock = claim_folder(&options.root)?;
    let mut stop = Signals::new()?;
    let start = crate::net::Options {
        root: options.root.clone(),
        start: FIRST_DAY.start(),
        plan: plan(),
        replicas: 1,
        slots_in_epoch: 1,
        host: options.kubernetes.as_ref().map_or(LOOPBACK, |it| it.host),
        real_time: false,
    };
    let kubernetes = options.kubernetes.as_ref();
    say("starting Postgres and anvil, deploying the contracts, starting the backend");
    // A devnet that is dropped while it comes up kills what it has started.
    let mut net = tokio::select! {
        net = Devnet::start(&start, async |chain, people, deployed| {
            set_up(chain, people, deployed).await?;
            if kubernetes.is_none() {
                return Ok(());
            }
            set_release_key(chain, people, deployed, releases::RELEASE_DELAY_SECS).await
        }) => net?,
        () = stop.received() => bail!("stopped by a signal; nothing is left running"),
    };
    let told = tokio::select! {
        told = tell(&mut net, options) => told,
        () = stop.received() => {
            if options.serve { Ok(()) } else { Err(anyhow::anyhow!("stopped by a signal")) }
        }
    };
    say("stopping every process");
    let stopped = net.stop().await;
    told.and(stopped)
}

async fn tell(net: &mut Devnet, options: &Options) -> anyhow::Result<()> {
    story::tell(net, options.kubernetes.as_ref()).await?;
    if options.serve { serve::serve(net, &options.web).await } else { Ok(()) }
}

/// Alice holds A1 and B1; Bob holds A2 and B2, rents A2 to Carol and delegates B2 to her.
async fn set_up(
    chain: &crate::chain::Chain,
    people: &People,
    deployed: &Deployed,
) -> anyhow::Result<()> {
    let (alice, bob, carol) = (&people.alice, &people.bob, &people.carol);
    for workload in 0..deployed.workloads.len() {
        for holder in [alice, bob] {
            mint(chain, people, deployed, workload, holder.address()).await?;
        }
    }
    let until = UtcDay(FIRST_DAY.0 + 30).start().secs();
    rent_out(chain, bob, &deployed.license(A2), carol.address(), until).await?;
    delegate(chain, bob, &deployed.license(B2), carol.address(), true).await
}

/// The folder, emptied, and a lock that keeps a second demo out of it.
fn claim_folder(root: &Path) -> anyhow::Result<File> {
    let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::create_dir_all(parent.unwrap_or(Path::new(".")))?;
    let path = root.with_extension("lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!(
            "another demo runs in {}: stop it (Ctrl-C), or give this one a folder by --dir",
            root.display()
        ),
        Err(TryLockError::Error(error)) => return Err(error).context("the folder's lock"),
    }
    match std::fs::remove_dir_all(root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", root.display()))
        }
        _ => Ok(lock),
    }
}

/// Signals that end the demo early.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
