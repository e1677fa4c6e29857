//! The sample workload: counts hashes, posts its health to the node's manager, and works on the
//! tasks of its project's master, where it is told of one.
//!
//! It stands for a real workload in the demo and the tests. At each multiple of the interval it
//! lengthens a hash chain and says how long it is. A manager that cannot be reached is told to the
//! log, and the next post goes out at the next interval.

mod tasks;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use alloy_primitives::{B256, keccak256};
use anyhow::{Context as _, ensure};
use clap::Parser;
use nodesys_clock::Clock;
use nodesys_core::time::Timestamp;
use nodesys_service::ready::Ready;
use nodesys_service::signals::stop_on_signals;
use nodesys_service::{listener, logs};
use tasks::Master;
use tokio_util::sync::CancellationToken;

const EXAMPLES: &str = "\
Example:
  nodesys-sample-workload --manager http://127.0.0.1:7070 --token-file alpha.token \\
    --master https://tasks.example.org";

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A workload that counts hashes and posts its health to a node's manager.
#[derive(Debug, Parser)]
#[command(name = "nodesys-sample-workload", version, after_help = EXAMPLES)]
struct Args {
    /// The manager's URL.
    #[arg(long, env = "NODESYS_MANAGER")]
    manager: String,
    /// File with the token that the manager knows this workload by.
    #[arg(long, env = "NODESYS_TOKEN_FILE")]
    token_file: PathBuf,
    /// URL of the project's master, to fetch tasks from: hash chains as {"seed":"0x...","length":9}.
    #[arg(long, env = "NODESYS_MASTER")]
    master: Option<String>,
    /// Seconds for which an empty queue is left alone.
    #[arg(long, env = "NODESYS_IDLE_SECS", default_value_t = 10)]
    idle_secs: u64,
    /// Seconds between two posts.
    #[arg(long, env = "NODESYS_INTERVAL_SECS", default_value = "10")]
    interval_secs: NonZeroU64,
    /// Hashes made in each interval.
    #[arg(long, default_value_t = 100)]
    hashes: u32,
    /// The chain; only the development chain may run on a stepped clock.
    #[arg(long, env = "NODESYS_CHAIN_ID", default_value_t = nodesys_clock::DEVELOPMENT_CHAIN_ID)]
    chain_id: u64,
    /// Where to answer that the program runs; port 0 picks a free port.
    #[arg(long, env = "NODESYS_LISTEN", default_value_t = (Ipv4Addr::LOCALHOST, 0).into())]
    listen: SocketAddr,
    /// Written when ready: pid, address and build id as JSON.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// A stepped clock, for the development chain only.
    #[arg(long)]
    clock: Option<SocketAddr>,
}

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing before the first line of main installs a provider");
    let args = Args::parse();
    logs::to_stderr(logs::LONG_RUNNING);
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodesys-sample-workload: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(args: &Args) -> anyhow::Result<()> {
    let mut manager = Manager::new(&args.manager, &args.token_file)?;
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let clock = Clock::from_flag(args.clock, args.chain_id, "sample workload").await?;
    let (listener, addr) = listener::bind(args.listen).await?;
    let routes = axum::Router::new().route("/healthz", axum::routing::get(|| async { "ok\n" }));
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let mut master = match &args.master {
        Some(url) => {
            let idle = Duration::from_secs(args.idle_secs);
            Some(Master::new(url, &args.manager, &manager.token, idle)?)
        }
        None => None,
    };
    let mut sleeper = clock.sleeper();
    if let Some(path) = &args.ready_file {
        Ready::here(addr).write(path)?;
    }
    tracing::info!(manager = args.manager, %addr, "sample workload runs");
    let mut chain = Chain::default();
    'run: loop {
        // At once, too: whoever starts it hears from it before the next interval.
        chain.lengthen(args.hashes);
        manager.post(&chain).await;
        let wake = next_post(clock.now(), args.interval_secs);
        loop {
            if let Some(master) = &mut master {
                master.step(clock.now()).await;
            }
            tokio::select! {
                () = sleeper.sleep_until(wake) => break,
                // A long task is reported when it is worked out, while time goes on.
                () = worked(&mut master) => {}
                () = stop.cancelled() => break 'run,
            }
        }
    }
    let tasks = master.as_ref().map_or(0, Master::done);
    tracing::info!(hashes = chain.length, tasks, "sample workload stops");
    Ok(())
}

async fn worked(master: &mut Option<Master>) {
    match master {
        Some(master) => master.worked().await,
        None => std::future::pending().await,
    }
}

/// The next multiple of the interval after `now`.
fn next_post(now: Timestamp, interval_secs: NonZeroU64) -> Timestamp {
    Timestamp::from_secs((now.secs() / interval_secs + 1).saturating_mul(interval_secs.get()))
}

/// The work: each link is the hash of the one before.
#[derive(Default)]
struct Chain {
    last: B256,
    length: u64,
}

impl Chain {
    fn lengthen(&mut self, hashes: u32) {
        for _ in 0..hashes {
            self.last = keccak256(self.last);
        }
        self.length += u64::from(hashes);
    }
}

/// The node's manager, as this workload reaches it.
struct Manager {
    http: reqwest::Client,
    url: String,
    token: String,
    reached: bool,
}

impl Manager {
    fn new(url: &str, token_file: &Path) -> anyhow::Result<Self> {
        let token = std::fs::read_to_string(token_file)
            .with_context(|| format!("the token file {} cannot be read", token_file.display()))?;
        let token = token.trim().to_owned();
        ensure!(!token.is_empty(), "the token file {} is empty", token_file.display());
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?;
        let url = format!("{}/v1/health", url.trim_end_matches('/'));
        Ok(Self { http, url, token, reached: true })
    }

    /// Posts once; what fails is told when it begins and when it ends.
    async fn post(&mut self, chain: &Chain) {
        let body = serde_json::json!({
            "status": "healthy",
            "detail": format!("hash chain at {}", chain.last),
            "work": chain.length.to_string(),
        });
        let answer = self.http.post(&self.url).bearer_auth(&self.token).json(&body).send().await;
        let problem = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the manager answered {}", answer.status())),
            Err(error) => Some(format!("the manager cannot be reached: {error}")),
        };
        match (&problem, self.reached) {
            (Some(problem), true) => {
                tracing::warn!(problem, "health not posted; trying again at the next interval");
            }
            (None, false) => tracing::info!("the manager takes health posts again"),
            _ => {}
        }
        self.reached = problem.is_none();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_fall_on_multiples_of_the_interval() {
        let ten = NonZeroU64::new(10).unwrap();
        for (now, next) in [(0, 10_000), (1, 10_000), (9_999, 10_000), (10_000, 20_000)] {
            assert_eq!(next_post(Timestamp::from_millis(now), ten).millis(), next);
        }
    }

    #[test]
    fn the_chain_is_one_hash_of_the_one_before() {
        let (mut one, mut two) = (Chain::default(), Chain::default());
        one.lengthen(3);
        two.lengthen(1);
        two.lengthen(2);
        assert_eq!((one.last, one.length), (two.last, 3));
        assert_eq!(one.last, keccak256(keccak256(keccak256(B256::ZERO))));
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
