//! Load on a real backend process, over real HTTP, with a durable Postgres.
//!
//! `ingest`: nodes with three leases each send heartbeats in a closed loop, each as fast as its
//! receipts come back. It prints the cost of one heartbeat, as lines `name value unit`: CPU time of
//! the server and of Postgres from `/proc`, so that the load's own CPU and a busy machine hardly
//! count, and write-ahead log. Every receipt is checked, and the rows are counted.
//!
//! Nodes, licenses and leases are inserted as rows, in place of many requests; from then on
//! everything is as in production.

mod ingest;
mod processes;
mod seed;

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;

/// Measures the cost of a heartbeat.
#[derive(Parser)]
#[command(
    name = "nodesys-load",
    version,
    after_help = "Run it by scripts/bench ingest, which starts Postgres and builds the backend."
)]
struct Options {
    /// An empty database of a Postgres with fsync and synchronous_commit on, on this machine.
    #[arg(long)]
    database_url: String,
    /// The backend's binary.
    #[arg(long)]
    backend: PathBuf,
    /// anvil's binary.
    #[arg(long, env = "NODESYS_ANVIL")]
    anvil: PathBuf,
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

#[tokio::main]
async fn main() -> std::process::ExitCode {
    // Fails only if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Options::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodesys-load: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    let pool = sqlx::PgPool::connect(&options.database_url).await.context("Postgres")?;
    sqlx::migrate!("../../migrations/backend").run(&pool).await.context("migrating")?;
    let nodes = seed::seed(&pool, options.nodes).await.context("seeding the database")?;
    let chain = processes::Chain::start(&options.anvil).await.context("anvil")?;
    let backend =
        processes::Backend::start(&options.backend, &options.database_url, &chain).await?;
    let postgres = processes::Postgres::of(&pool).await?;
    let load = ingest::Load { pool, backend, postgres, registry: chain.registry };
    load.run(nodes, options.rounds, options.at_once).await
}
