//! The configuration: one struct of flags and environment, read in `main` only.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser};
use nodesys_chain::RpcUrl;
use nodesys_core::Address;
use nodesys_service::network::Proxy;

/// What the program was called for.
pub enum Call {
    /// Run the backend.
    Run(Box<Config>),
    /// Bring the database up to date, and end.
    Migrate(MigrateConfig),
}

impl Call {
    /// Reads the command line and the environment; ends the process where they cannot be read.
    pub fn parse() -> Self {
        Self::of(&command().get_matches())
            .unwrap_or_else(|error| error.format(&mut command()).exit())
    }

    fn of(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((_, migrate)) => MigrateConfig::from_arg_matches(migrate).map(Self::Migrate),
            None => Ok(Self::Run(Box::new(Config::from_arg_matches(matches)?))),
        }
    }
}

fn command() -> clap::Command {
    let about =
        "Bring the database up to date, and end. Safe to re-run, and beside running replicas";
    Config::command()
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
        .subcommand(MigrateConfig::augment_args(clap::Command::new("migrate")).about(about))
}

/// The database, as its owner.
#[derive(Clone, Args)]
pub struct MigrateConfig {
    /// The backend's Postgres, with the role that owns its tables.
    #[arg(long, env = "NODESYS_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Accept a Postgres with fsync off: tests only.
    #[arg(long)]
    pub allow_unsafe_postgres: bool,
}

/// The Node System backend.
#[derive(Clone, Parser)]
#[command(
    name = "nodesys-backend",
    version,
    after_help = "Examples:\n  nodesys-backend --database-url postgres://nodesys@localhost/nodesys \\\n    --rpc https://rpc.example.org --chain-id 1 --registry 0x… --receipt-key-file receipt.key --poster-key-file poster.key\n  nodesys-backend migrate --database-url postgres://owner@localhost/nodesys"
)]
pub struct Config {
    /// Postgres of the backend alone; migrated at start, unless --no-migrate. fsync must be on.
    #[arg(long, env = "NODESYS_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Refuse to start on a schema that is not up to date, instead of migrating it. For a role that
    /// does not own the tables; `nodesys-backend migrate` is run before, by one that does.
    #[arg(long)]
    pub no_migrate: bool,
    /// Most connections to Postgres.
    #[arg(long, env = "NODESYS_DATABASE_CONNECTIONS", default_value_t = 16)]
    pub database_connections: u32,
    /// JSON-RPC endpoint of the chain; never taken from anybody else. May be given more than once, of
    /// different providers: then the answer of the majority counts.
    #[arg(
        long,
        env = "NODESYS_RPC",
        hide_env_values = true,
        value_delimiter = ',',
        required = true
    )]
    pub rpc: Vec<RpcUrl>,
    /// Refuse to start on another chain.
    #[arg(long, env = "NODESYS_CHAIN_ID")]
    pub chain_id: u64,
    /// Address of ProjectRegistry.
    #[arg(long, env = "NODESYS_REGISTRY")]
    pub registry: Address,
    /// First block to follow: that of the registry's deployment.
    #[arg(long, env = "NODESYS_FIRST_BLOCK", default_value_t = 0)]
    pub first_block: u64,
    /// Depth of final blocks on a chain without a `finalized` tag.
    #[arg(long, env = "NODESYS_FINAL_DEPTH", default_value_t = 64)]
    pub final_depth: u64,
    /// File (mode 0600) with the receipt key, 64 hex digits.
    #[arg(long, env = "NODESYS_RECEIPT_KEY_FILE")]
    pub receipt_key_file: PathBuf,
    /// File (mode 0600) with the poster key, 64 hex digits. Without it nothing is posted here.
    #[arg(long, env = "NODESYS_POSTER_KEY_FILE")]
    pub poster_key_file: Option<PathBuf>,
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, env = "NODESYS_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Proxies in front of this program, as addresses or networks (10.0.0.0/8): their X-Forwarded-For
    /// names the client. Without it everybody behind a proxy shares that proxy's limits.
    #[arg(
        long = "trusted-proxy",
        env = "NODESYS_TRUSTED_PROXIES",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<Proxy>,
    /// Written when ready: pid, address and build id as JSON.
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
    /// A stepped clock, for the development chain only.
    #[arg(long)]
    pub clock: Option<SocketAddr>,
    /// How far our clock may be from that of Postgres, the other replicas and the chain before this
    /// replica takes and decides nothing.
    #[arg(
        long,
        env = "NODESYS_CLOCK_TOLERANCE_MILLIS",
        value_name = "MILLIS",
        default_value_t = 2_000
    )]
    pub clock_tolerance_millis: u64,
    /// Accept a Postgres with fsync off, which loses acknowledged heartbeats in a crash: tests only.
    #[arg(long)]
    pub allow_unsafe_postgres: bool,
    /// Let webhooks lead to private addresses and to http://: tests and closed networks only.
    #[arg(long)]
    pub allow_private_webhooks: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn help_is_as_committed() {
        let mut command = command().term_width(100);
        insta::assert_snapshot!("help", command.render_long_help());
    }

    /// Each line of the example as the flag that its variable stands for; the process's own
    /// environment belongs to all tests at once.
    #[test]
    fn the_example_file_is_a_configuration() {
        let command = command();
        let mut flags = vec!["nodesys-backend".to_owned()];
        let mut named = Vec::new();
        for line in include_str!("../backend.example.env").lines() {
            let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#'))
            else {
                continue;
            };
            let flag = command.get_arguments().find(|flag| flag.get_env() == Some(name.as_ref()));
            let flag = flag.unwrap_or_else(|| panic!("{name} sets nothing"));
            flags.push(format!("--{}={value}", flag.get_long().unwrap()));
            named.push(name);
        }
        let config = Config::try_parse_from(flags).unwrap();
        assert_eq!((config.chain_id, config.listen.port()), (1, 8080));
        let all = command.get_arguments().filter_map(|flag| flag.get_env());
        let missing: Vec<_> = all.filter(|name| !named.iter().any(|given| given == name)).collect();
        assert!(missing.is_empty(), "not in the example: {missing:?}");
    }
}
