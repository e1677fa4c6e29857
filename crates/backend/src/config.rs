//! The configuration: one struct of flags and environment, read in `main` only.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use nodesys_chain::RpcUrl;
use nodesys_core::Address;
use nodesys_core::ticket::Origin;
use nodesys_service::network::Proxy;
use nodesys_service::secret;
use zeroize::Zeroizing;

use crate::root::PostLimits;

/// What the program was called for.
pub enum Call {
    /// Run the backend.
    Run(Box<Config>),
    /// Bring the database up to date, and end.
    Migrate(MigrateConfig),
    /// Mend the mirror, and end.
    Mirror(MirrorCall),
}

impl Call {
    /// Reads the command line and the environment; ends the process where they cannot be read.
    pub fn parse() -> Self {
        Self::of(&command().get_matches())
            .unwrap_or_else(|error| error.format(&mut command()).exit())
    }

    fn of(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some(("mirror", mirror)) => MirrorCall::from_arg_matches(mirror).map(Self::Mirror),
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
        .subcommand(
            MirrorCall::augment_subcommands(clap::Command::new("mirror"))
                .about("Mend what the database has of the chain, and end (docs/mirror.md)")
                .subcommand_required(true)
                .arg_required_else_help(true),
        )
}

/// Mending the mirror.
#[derive(Clone, Subcommand)]
pub enum MirrorCall {
    /// Read blocks again, and put in what is missing. Safe beside running replicas.
    Rescan {
        /// The database and the chain.
        #[command(flatten)]
        of: MirrorConfig,
        /// The first block to read; without it that of the registry's deployment.
        #[arg(long, value_name = "BLOCK")]
        from: Option<u64>,
        /// One contract only: the registry, a distributor, a collection.
        #[arg(long, value_name = "ADDRESS")]
        source: Option<Address>,
    },
    /// Forget what later blocks said, once the chain has replaced final ones. Stop all replicas first.
    Rewind {
        /// The database and the chain.
        #[command(flatten)]
        of: MirrorConfig,
        /// The last block that stays: one that both the old chain and the new one have.
        #[arg(long, value_name = "BLOCK")]
        to: u64,
    },
}

/// The database and the chain of a mirror; flags and variables are those of the backend.
#[derive(Clone, Args)]
pub struct MirrorConfig {
    /// The backend's Postgres.
    #[arg(long, env = "NODESYS_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// JSON-RPC endpoint of the chain; with several the answer of the majority counts.
    #[arg(
        long,
        env = "NODESYS_RPC",
        hide_env_values = true,
        value_delimiter = ',',
        required = true
    )]
    pub rpc: Vec<RpcUrl>,
    /// Refuse another chain.
    #[arg(long, env = "NODESYS_CHAIN_ID")]
    pub chain_id: u64,
    /// Address of ProjectRegistry.
    #[arg(long, env = "NODESYS_REGISTRY")]
    pub registry: Address,
    /// First block to follow: that of the registry's deployment.
    #[arg(long, env = "NODESYS_FIRST_BLOCK", default_value_t = 0)]
    pub first_block: u64,
    /// Accept a Postgres with fsync off: tests only.
    #[arg(long)]
    pub allow_unsafe_postgres: bool,
}

/// The database, as its owner.
#[derive(Clone, Args)]
pub struct MigrateConfig {
    /// The database.
    #[command(flatten)]
    pub database: Database,
    /// Accept a Postgres with fsync off: tests only.
    #[arg(long)]
    pub allow_unsafe_postgres: bool,
}

/// Where the database is: a URL, or a file that holds it.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Database {
    /// Postgres of the backend alone; migrated at start, unless --no-migrate. fsync must be on.
    #[arg(long, env = "NODESYS_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<Zeroizing<String>>,
    /// File that only we can read, with that URL: a Secret of Kubernetes, a credential of systemd.
    #[arg(long, env = "NODESYS_DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
}

impl Database {
    /// The URL, which may hold a password.
    pub(crate) fn url(&self) -> anyhow::Result<Zeroizing<String>> {
        match (&self.database_url, &self.database_url_file) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(path)) => secret::value(path).context("--database-url-file"),
            (None, None) => anyhow::bail!("--database-url is missing"),
        }
    }
}

/// Where the chain is read: URLs, or a file that holds them.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Rpcs {
    /// JSON-RPC endpoint of the chain; never taken from anybody else. May be given more than once, of
    /// different providers: then the answer of the majority counts.
    #[arg(
        long,
        env = "NODESYS_RPC",
        hide_env_values = true,
        value_name = "URL",
        value_delimiter = ','
    )]
    pub rpc: Vec<RpcUrl>,
    /// File that only we can read, with those URLs, one a line.
    #[arg(long, env = "NODESYS_RPC_FILE", value_name = "FILE")]
    pub rpc_file: Option<PathBuf>,
}

impl Rpcs {
    /// The URLs, which may hold API keys.
    pub(crate) fn urls(&self) -> anyhow::Result<Vec<RpcUrl>> {
        let Some(path) = &self.rpc_file else { return Ok(self.rpc.clone()) };
        let urls = secret::values(path)?;
        let urls: Result<_, _> = urls.iter().map(|url| url.parse::<RpcUrl>()).collect();
        urls.with_context(|| format!("{} does not hold URLs of RPCs, one a line", path.display()))
    }
}

/// The Node System backend.
#[derive(Clone, Parser)]
#[command(
    name = "nodesys-backend",
    version,
    after_help = "Examples:\n  nodesys-backend --database-url postgres://nodesys@localhost/nodesys \\\n    --rpc https://rpc.example.org --chain-id 1 --registry 0x… --receipt-key-file receipt.key --poster-key-file poster.key\n  nodesys-backend migrate --database-url postgres://owner@localhost/nodesys"
)]
pub struct Config {
    /// The database.
    #[command(flatten)]
    pub database: Database,
    /// Refuse to start on a schema that is not up to date, instead of migrating it. For a role that
    /// does not own the tables; `nodesys-backend migrate` is run before, by one that does.
    #[arg(long)]
    pub no_migrate: bool,
    /// Most connections to Postgres.
    #[arg(long, env = "NODESYS_DATABASE_CONNECTIONS", default_value_t = 16)]
    pub database_connections: u32,
    /// The chain.
    #[command(flatten)]
    pub rpcs: Rpcs,
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
    /// With one --rpc: seconds after which a page of logs is read again; only when both readings agree
    /// does it count as read, and days wait for it. 0 believes the first one.
    #[arg(long, env = "NODESYS_VOUCH_AFTER_SECS", value_name = "SECS", default_value_t = 600)]
    pub vouch_after_secs: u64,
    /// Requests a minute that the check of all active leases may take; with it a round takes a quarter of an
    /// hour, or longer. A request carries a hundred licenses.
    #[arg(long, env = "NODESYS_RIGHTS_REQUESTS", value_name = "N", default_value_t = 1_200)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub rights_requests: u32,
    /// File that only we can read (mode 0600) with the receipt key, 64 hex digits.
    #[arg(long, env = "NODESYS_RECEIPT_KEY_FILE")]
    pub receipt_key_file: PathBuf,
    /// The same with the poster key. Without it nothing is posted here.
    #[arg(long, env = "NODESYS_POSTER_KEY_FILE")]
    pub poster_key_file: Option<PathBuf>,
    /// What a project's posts may cost.
    #[command(flatten)]
    pub post_limits: PostLimits,
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, env = "NODESYS_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// A second address, for /metrics, which then answers nowhere else; /healthz and /readyz answer on
    /// both. For probes and Prometheus: let no stranger reach it.
    #[arg(long, env = "NODESYS_ADMIN_LISTEN", value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,
    /// Proxies in front of this program, as addresses or networks (10.0.0.0/8): their X-Forwarded-For
    /// names the client. Without it everybody behind a proxy shares that proxy's limits.
    #[arg(
        long = "trusted-proxy",
        env = "NODESYS_TRUSTED_PROXIES",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<Proxy>,
    /// Where people reach this backend: the site that wallets sign in to. https://, or http:// on this
    /// machine for development. Without it nobody can sign in; all that is public stays.
    #[arg(long, env = "NODESYS_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Origin>,
    /// Folder of the built dashboard (`web/dist`), to serve it too. It is read once, at start.
    #[arg(long, env = "NODESYS_WEB", value_name = "DIR")]
    pub web: Option<PathBuf>,
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
    fn the_commands_of_the_page_about_the_mirror_are_well_formed() {
        let page = include_str!("../../../docs/mirror.md");
        let told: Vec<&str> =
            page.lines().filter(|line| line.starts_with("nodesys-backend ")).collect();
        assert!(told.len() >= 4, "{told:?}");
        for line in told {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            words.extend(["--database-url", "postgres://x", "--rpc", "http://localhost:1"]);
            words.extend(["--chain-id", "1", "--registry"]);
            words.push("0x5fbdb2315678afecb367f032d93f642f64180aa3");
            let matches = command().try_get_matches_from(&words);
            let call = matches.and_then(|matches| Call::of(&matches));
            assert!(matches!(call, Ok(Call::Mirror(_))), "{line}: {:?}", call.err());
        }
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
            let Some((name, value)) = line.split_once('=') else { continue };
            // An alternative to the line above it.
            if let Some(name) = name.strip_prefix('#') {
                named.push(name);
                continue;
            }
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
