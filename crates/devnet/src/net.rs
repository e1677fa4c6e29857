//! [`Devnet`]: starts and stops everything, on one clock.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nodesys_clock::{Clock, ClockServer, DEVELOPMENT_CHAIN_ID};
use nodesys_core::Address;
use nodesys_core::points::Rule;
use nodesys_core::time::Timestamp;
use nodesys_sdk::client::Client;
use rustix::process::Signal;
use serde_json::json;

use crate::chain::Chain;
use crate::deploy::{self, Deployed, LicenseRef, Plan};
use crate::in_cluster::ClusterParts;
use crate::network::{Network, write_cli_config};
use crate::node::Node;
use crate::people::{People, Person, new_key_file, write_secret};
use crate::postgres::Postgres;
use crate::process::{Process, free_addr};
use crate::programs::Programs;

/// The address everything listens on.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Real time for which a program may hold the clock.
const PATIENCE: Duration = Duration::from_secs(120);

/// Options of a devnet.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder, which must be empty or missing.
    pub root: PathBuf,
    /// The clock's start.
    pub start: Timestamp,
    /// The contracts.
    pub plan: Plan,
    /// Number of backends on the database.
    pub replicas: usize,
    /// A block is final under twice as many further blocks.
    pub slots_in_epoch: u64,
    /// The address at which programs and a cluster's pods reach this machine's loopback:
    /// [`LOOPBACK`] without a cluster.
    pub host: IpAddr,
    /// Real time instead of a stepped clock.
    pub real_time: bool,
}

/// Real time for the pods of a node to start.
const UP_PATIENCE: Duration = Duration::from_secs(300);

/// Options of a master.
#[derive(Debug, Clone)]
pub struct MasterOptions {
    /// The project's reward for a day, in wei.
    pub day_reward: u128,
    /// The rule for points.
    pub rule: Rule,
    /// Minutes that the service waits after a day's end before it commits by itself.
    pub review_minutes: u64,
}

/// A running network.
pub struct Devnet {
    /// Its folder.
    pub root: PathBuf,
    /// Everybody.
    pub people: People,
    /// The clock of every program.
    pub clock: ClockServer,
    /// The chain.
    pub chain: Chain,
    /// The database server.
    pub postgres: Postgres,
    /// The programs' addresses.
    pub network: Network,
    /// The nodes, in the order they were added.
    pub nodes: Vec<Node>,
    /// The backends' RPC, which a test may set apart from the nodes' and the master's.
    pub backend_rpc: String,
    /// Set in the environment of backends that are started from now on.
    pub backend_env: Vec<(&'static str, String)>,
    /// Set in the environment of a master that is started from now on.
    pub master_env: Vec<(&'static str, String)>,
    /// The address programs use for each other.
    host: IpAddr,
    backends: Vec<Backend>,
    master: Option<(Process, SocketAddr)>,
    starts: u32,
}

/// One replica: its address, and its process while it runs.
struct Backend {
    addr: SocketAddr,
    process: Option<Process>,
}

impl Devnet {
    /// Starts Postgres and anvil, deploys the contracts, and starts the backends. `setup` runs in
    /// between: it mints and rents before any backend reads the chain.
    pub async fn start(
        options: &Options,
        setup: impl AsyncFnOnce(&Chain, &People, &Deployed) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let root = std::path::absolute(&options.root)?;
        std::fs::create_dir_all(&root)?;
        let empty = std::fs::read_dir(&root)?.all(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with('.'))
        });
        ensure!(empty, "{} is not empty: a devnet wants a folder of its own", root.display());
        let programs = Programs::find()?;
        let people = People::new(&root.join("keystores"))?;
        let start = options.start;
        let postgres = Postgres::start(&root.join("postgres"), &["backend", "master"]).await?;
        let chain = Chain::start(&root.join("anvil"), start, options.slots_in_epoch).await?;
        std::fs::create_dir_all(root.join("backend"))?;
        let receipt_key = new_key_file(&root.join("backend/receipt.key"))?.address();
        write_secret(&root.join("backend/poster.key"), &people.poster.key.to_hex())?;
        let deployed = deploy::deploy(&chain, &people, &options.plan, receipt_key).await?;
        setup(&chain, &people, &deployed).await?;
        chain.make_final().await?;

        let backend_rpc = chain.url.expose().to_string();
        let clock = ClockServer::start(start, PATIENCE).await?;
        let host = options.host;
        let rpc = backend_rpc.replace("127.0.0.1", &host.to_string());
        if options.real_time {
            chain.follow_real_time().await?;
        }
        let network = Network {
            programs,
            deployed,
            receipt_key,
            backend: String::new(),
            master: None,
            rpc,
            clock: (!options.real_time).then(|| SocketAddr::new(host, clock.addr().port())),
        };
        let mut net = Self {
            root,
            people,
            clock,
            chain,
            postgres,
            network,
            nodes: Vec::new(),
            backend_rpc,
            backend_env: Vec::new(),
            master_env: Vec::new(),
            host,
            backends: Vec::new(),
            master: None,
            starts: 0,
        };
        for _ in 0..options.replicas {
            net.add_backend().await?;
        }
        Ok(net)
    }

    /// Starts one more replica on a free port. Programs use the first one.
    pub async fn add_backend(&mut self) -> anyhow::Result<()> {
        self.backends.push(Backend { addr: free_addr()?, process: None });
        self.start_backend(self.backends.len() - 1).await?;
        self.network.backend = self.backend_url(0);
        if self.network.clock.is_none() {
            return Ok(());
        }
        // The mirror has read the chain once every loop sleeps.
        Ok(self.clock.settle().await?)
    }

    /// Starts a replica, again on the port it had.
    pub async fn start_backend(&mut self, replica: usize) -> anyhow::Result<()> {
        let dir = self.root.join("backend");
        let ready = self.ready_file("backend");
        let mut command = self.network.programs.command("nodesys-backend");
        command.env("NODESYS_DATABASE_URL", self.postgres.url("backend"));
        command.env("NODESYS_RPC", &self.backend_rpc);
        command.envs(self.backend_env.iter().map(|(name, value)| (*name, value)));
        command.args(["--chain-id", &DEVELOPMENT_CHAIN_ID.to_string()]);
        command.args(["--registry", &self.network.deployed.registry.to_string()]);
        command.args(["--listen", &self.backends[replica].addr.to_string()]);
        command.args(self.network.clock_flag());
        // One RPC of the same machine: nobody else could vouch for it.
        command.args(["--vouch-after-secs", "0"]);
        command.arg("--receipt-key-file").arg(dir.join("receipt.key"));
        command.arg("--poster-key-file").arg(dir.join("poster.key"));
        command.arg("--allow-private-webhooks").arg("--ready-file").arg(&ready);
        let log = dir.join(format!("{replica}.log"));
        let mut process = Process::spawn(&format!("backend {replica}"), command, &log)?;
        self.backends[replica].addr = process.ready(&ready).await?.addr;
        self.backends[replica].process = Some(process);
        Ok(())
    }

    /// A replica's URL.
    pub fn backend_url(&self, replica: usize) -> String {
        self.url_of(self.backends[replica].addr)
    }

    fn url_of(&self, addr: SocketAddr) -> String {
        format!("http://{}", SocketAddr::new(self.host, addr.port()))
    }

    /// A client of a replica.
    pub fn client(&self, replica: usize) -> anyhow::Result<Client> {
        Ok(Client::new(&self.backend_url(replica))?)
    }

    /// A replica's process, for faults.
    pub fn backend_process(&self, replica: usize) -> Option<&Process> {
        self.backends[replica].process.as_ref()
    }

    /// Whether a replica that was started has ended by itself.
    pub fn backend_has_ended(&mut self, replica: usize) -> anyhow::Result<bool> {
        self.backends[replica].process.as_mut().map_or(Ok(false), Process::has_ended)
    }

    /// Waits until a replica has ended by itself.
    pub async fn backend_ends(&mut self, replica: usize) -> anyhow::Result<()> {
        match &mut self.backends[replica].process {
            Some(process) => process.ends().await,
            None => Ok(()),
        }
    }

    /// Freezes a replica (SIGSTOP); time passes without it.
    pub async fn freeze_backend(&mut self, replica: usize) -> anyhow::Result<()> {
        self.freeze(replica, Signal::STOP, true).await
    }

    /// Resumes a frozen replica (SIGCONT), and waits until it has caught up.
    pub async fn thaw_backend(&mut self, replica: usize) -> anyhow::Result<()> {
        self.freeze(replica, Signal::CONT, false).await?;
        Ok(self.clock.settle().await?)
    }

    async fn freeze(&self, replica: usize, signal: Signal, frozen: bool) -> anyhow::Result<()> {
        let process = self.backends[replica].process.as_ref().context("the replica runs")?;
        process.signal(signal)?;
        self.clock.set_frozen(process.pid().context("the replica runs")?, frozen).await;
        Ok(())
    }

    /// Kills a replica at once.
    pub async fn kill_backend(&mut self, replica: usize) -> anyhow::Result<()> {
        match self.backends[replica].process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Stops every replica in order.
    pub async fn stop_backends(&mut self) -> anyhow::Result<()> {
        for backend in &mut self.backends {
            if let Some(process) = backend.process.take() {
                process.stop().await?;
            }
        }
        Ok(())
    }

    /// Writes the master's settings and starts its service.
    pub async fn start_master(&mut self, options: &MasterOptions) -> anyhow::Result<()> {
        let dir = self.root.join("master");
        std::fs::create_dir_all(&dir)?;
        let terms = json!({
            "day_reward": options.day_reward.to_string(),
            "rule": options.rule,
            "beneficiary": "renter",
            "excluded": [],
        });
        std::fs::write(dir.join("terms.json"), serde_json::to_vec_pretty(&terms)?)?;
        let signer = &self.people.signer;
        let settings = json!({
            "backend": self.network.backend,
            "rpc": self.network.rpc,
            "chain_id": DEVELOPMENT_CHAIN_ID,
            "registry": self.network.deployed.registry,
            "project": self.network.deployed.project,
            "terms": dir.join("terms.json"),
            "bundles": self.bundles(),
            "transactions": dir.join("transactions"),
            "signer_keystore": signer.keystore,
            "signer_password_file": signer.password_file,
            "database_url": self.postgres.url("master"),
            "clock": self.network.clock,
        });
        let path = self.master_settings();
        let _ = std::fs::remove_file(&path);
        write_secret(&path, &serde_json::to_string_pretty(&settings)?)?;

        let ready = self.ready_file("master");
        let mut command = self.master_command(&["serve"]);
        command.envs(self.master_env.iter().map(|(name, value)| (*name, value)));
        // Its tickets are for the URL that it is reached by, so that is known beforehand.
        let listen = self.master.take().map_or_else(free_addr, |(_, addr)| Ok(addr))?;
        command.args(["--listen", &listen.to_string()]);
        if self.host != LOOPBACK {
            command.args(["--public-url", &self.url_of(listen)]);
        }
        command.args(["--review-minutes", &options.review_minutes.to_string()]);
        command.arg("--ready-file").arg(&ready);
        let mut process = Process::spawn("master", command, &dir.join("log"))?;
        let addr = process.ready(&ready).await?.addr;
        self.master = Some((process, addr));
        self.network.master = self.master_url();
        Ok(())
    }

    /// A `nodesys-master` command with the project's settings.
    pub fn master_command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = self.network.programs.command("nodesys-master");
        command.arg("--config").arg(self.master_settings()).args(arguments);
        command
    }

    fn master_settings(&self) -> PathBuf {
        self.root.join("master/settings.json")
    }

    /// The master's URL, while it runs.
    pub fn master_url(&self) -> Option<String> {
        self.master.as_ref().map(|(_, addr)| self.url_of(*addr))
    }

    /// Whether the master has ended by itself.
    pub fn master_has_ended(&mut self) -> anyhow::Result<bool> {
        self.master.as_mut().map_or(Ok(false), |(process, _)| process.has_ended())
    }

    /// Stops the master in order.
    pub async fn stop_master(&mut self) -> anyhow::Result<()> {
        match self.master.take() {
            Some((process, _)) => process.stop().await.map(drop),
            None => Ok(()),
        }
    }

    /// Kills the master at once.
    pub async fn kill_master(&mut self) -> anyhow::Result<()> {
        match self.master.take() {
            Some((process, _)) => process.kill().await,
            None => Ok(()),
        }
    }

    /// The folder of the day bundles that the master publishes.
    pub fn bundles(&self) -> PathBuf {
        self.root.join("bundles")
    }

    /// Pairs a node with its operator's wallet and starts it, as processes.
    pub async fn add_node(
        &mut self,
        operator: impl FnOnce(&People) -> &Person,
        licenses: &[LicenseRef],
    ) -> anyhow::Result<usize> {
        self.add_node_in(operator, licenses, None).await
    }

    /// The same, in a cluster if one is given; it must hold no other node.
    pub async fn add_node_in(
        &mut self,
        operator: impl FnOnce(&People) -> &Person,
        licenses: &[LicenseRef],
        cluster: Option<ClusterParts>,
    ) -> anyhow::Result<usize> {
        let index = self.nodes.len();
        let name = format!("node {}", index + 1);
        let home = self.root.join(format!("nodes/{}", index + 1));
        let operator = operator(&self.people);
        let mut node = Node::pair(&self.network, &home, &name, operator, licenses, cluster).await?;
        node.start(&self.network).await?;
        self.nodes.push(node);
        self.node_comes_up(index).await?;
        Ok(index)
    }

    /// Waits until a node's workloads are healthy. Pods start in real time and post by the clock,
    /// so it advances a second at a time.
    pub async fn node_comes_up(&self, node: usize) -> anyhow::Result<()> {
        let node = &self.nodes[node];
        let real = Clock::system();
        let began = real.monotonic_millis();
        while !node.is_up().await? {
            let patience = u64::try_from(UP_PATIENCE.as_millis())?;
            ensure!(
                real.monotonic_millis() - began < patience,
                "the workloads of {} are not healthy after {} s: look at {}",
                node.name,
                UP_PATIENCE.as_secs(),
                node.home.display()
            );
            self.run_until(self.now().await.plus_millis(1000)).await?;
            real.sleeper().sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    /// A `nodesys` command of somebody, whose home is made when first needed.
    pub fn nodesys(
        &self,
        who: &Person,
        arguments: &[&str],
    ) -> anyhow::Result<tokio::process::Command> {
        let home = self.root.join(format!("homes/{}", who.name));
        std::fs::create_dir_all(&home)?;
        write_cli_config(&self.network, &home)?;
        Ok(self.network.nodesys(&home, arguments))
    }

    /// Moves the time of every program and of the chain.
    pub async fn run_until(&self, target: Timestamp) -> anyhow::Result<()> {
        self.clock.run_until(target, async |now| self.chain.step(now).await).await?;
        Ok(())
    }

    /// The clock's time.
    pub async fn now(&self) -> Timestamp {
        self.clock.now().await
    }

    /// Stops every process, in the order in which they depend on each other.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            node.stop().await?;
        }
        self.stop_master().await?;
        self.stop_backends().await?;
        self.postgres.stop().await?;
        self.chain.stop().await
    }

    /// A person's balance of the reward token, in wei.
    pub async fn balance(&self, account: Address) -> anyhow::Result<alloy::primitives::U256> {
        let token = self.network.deployed.token;
        let bound = nodesys_chain::bindings::DevToken::new(token, self.chain.reader.rpc());
        bound.balanceOf(account).call().await.context("reading a balance")
    }

    fn ready_file(&mut self, what: &str) -> PathBuf {
        self.starts += 1;
        self.root.join(format!(".{what}.{}.ready", self.starts))
    }

    /// A path below the devnet's folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }
}
