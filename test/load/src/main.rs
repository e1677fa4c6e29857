//! Load on a real backend process, over real HTTP, with a durable Postgres.
//!
//! `ingest`: nodes with three leases each send heartbeats in a closed loop, each as fast as its
//! receipts come back. It prints the cost of one heartbeat, as lines `name value unit`: CPU time of
//! the server and of Postgres from `/proc`, so that the load's own CPU and a busy machine hardly
//! count, and write-ahead log. Every receipt is checked, and the rows are counted.
//!
//! `hostile`: what of an open loop of heartbeats is answered while a second process attacks.
//!
//! Nodes, licenses and leases are inserted as rows, in place of many requests; from then on
//! everything is as in production.

mod attack;
mod honest;
mod hostile;
mod ingest;
mod processes;
mod seed;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use attack::Attack;
use clap::{Args, Parser};
use nodesys_core::Address;

/// Loads a backend.
#[derive(Parser)]
#[command(
    name = "nodesys-load",
    version,
    after_help = "Run it by scripts/bench ingest and scripts/bench hostile, which start Postgres and build the backend."
)]
enum Options {
    /// Measures the cost of a heartbeat.
    Ingest(IngestOptions),
    /// Measures what is left of honest heartbeats while strangers attack.
    Hostile(HostileOptions),
    /// Attacks until it is killed; `hostile` runs it.
    #[command(hide = true)]
    Attack {
        attack: Attack,
        #[arg(long)]
        base: String,
        #[arg(long)]
        registry: Address,
    },
}

#[derive(Args)]
struct Programs {
    /// An empty database of a Postgres with fsync and synchronous_commit on, on this machine.
    #[arg(long)]
    database_url: String,
    /// The backend's binary.
    #[arg(long)]
    backend: PathBuf,
    /// anvil's binary.
    #[arg(long, env = "NODESYS_ANVIL")]
    anvil: PathBuf,
}

#[derive(Args)]
struct IngestOptions {
    #[command(flatten)]
    programs: Programs,
    /// Number of nodes.
    #[arg(long, default_value_t = 2000)]
    nodes: u32,
    /// Heartbeats of each node that are measured; a node may send 16 in three minutes.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=14))]
    rounds: u32,
    /// Nodes that send at the same time.
    #[arg(long, default_value_t = 256)]
    at_once: usize,
}

#[derive(Args)]
struct HostileOptions {
    #[command(flatten)]
    programs: Programs,
    /// Number of honest nodes; each may send 16 heartbeats in three minutes.
    #[arg(long, default_value_t = 12_000)]
    nodes: u32,
    /// The core of the attacker. Everything else must be pinned to another.
    #[arg(long, default_value_t = 1)]
    core: u32,
    /// Seconds of each control and each attack, two of each in turn.
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// Only these attacks.
    #[arg(value_enum)]
    attacks: Vec<Attack>,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    // Fails only if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match Options::parse() {
        Options::Ingest(options) => ingest(options).await,
        Options::Hostile(options) => hostile(options).await,
        Options::Attack { attack, base, registry } => attack::run(attack, &base, registry).await,
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodesys-load: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

impl Programs {
    /// The pool of a database with the schema.
    async fn database(&self) -> anyhow::Result<sqlx::PgPool> {
        let pool = sqlx::PgPool::connect(&self.database_url).await.context("Postgres")?;
        sqlx::migrate!("../../migrations/backend").run(&pool).await.context("migrating")?;
        Ok(pool)
    }

    async fn start(&self) -> anyhow::Result<(processes::Chain, processes::Backend)> {
        let chain = processes::Chain::start(&self.anvil).await.context("anvil")?;
        let backend = processes::Backend::start(&self.backend, &self.database_url, &chain).await?;
        Ok((chain, backend))
    }
}

async fn ingest(options: IngestOptions) -> anyhow::Result<()> {
    let pool = options.programs.database().await?;
    let nodes = seed::seed(&pool, options.nodes).await.context("seeding the database")?;
    let (chain, backend) = options.programs.start().await?;
    let postgres = processes::Postgres::of(&pool).await?;
    let load = ingest::Load { pool, backend, postgres, registry: chain.registry };
    load.run(nodes, options.rounds, options.at_once).await
}

async fn hostile(options: HostileOptions) -> anyhow::Result<()> {
    let pool = options.programs.database().await?;
    let nodes = seed::seed(&pool, options.nodes).await.context("seeding the database")?;
    seed::seed_free(&pool, attack::FREE_NODES).await.context("seeding the database")?;
    let (chain, backend) = options.programs.start().await?;
    processes::Postgres::of(&pool).await?;
    // Descriptors for this side of every connection.
    nodesys_service::listener::connections_by_descriptors();
    let base = backend.client.base().as_str().trim_end_matches('/').to_owned();
    let honest = honest::Honest::start(&base, chain.registry, nodes).await?;
    let time = Duration::from_secs(options.seconds);
    let target = hostile::Target { base, registry: chain.registry, core: options.core, time };
    let attacks = if options.attacks.is_empty() { Attack::ALL.to_vec() } else { options.attacks };
    hostile::run(&honest, &target, &attacks).await
}
