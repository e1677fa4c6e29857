//! The processes of a run, and the CPU time they have used.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nodesys_chain::Provider;
use nodesys_chain::bindings::ProjectRegistry;
use nodesys_clock::{Clock, DEVELOPMENT_CHAIN_ID};
use nodesys_core::Address;
use nodesys_core::signature::SigningKey;
use nodesys_sdk::client::Client;
use nodesys_service::{logs, ready::Ready};
use sqlx::PgPool;
use tempfile::TempDir;

/// The first of anvil's funded accounts ("test test test ... junk").
const FUNDED: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A child that ends with us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// anvil with a `ProjectRegistry`, which the backend asks for.
pub(crate) struct Chain {
    _anvil: Running,
    url: String,
    pub(crate) registry: Address,
}

impl Chain {
    pub(crate) async fn start(binary: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(binary)
            .args(["--port", "0", "--slots-in-an-epoch", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let anvil = Running(child);
        let mut lines = BufReader::new(stdout).lines();
        let addr = lines
            .find_map(|line| Some(line.ok()?.strip_prefix("Listening on ")?.to_owned()))
            .context("it ended without listening")?;
        // A pipe that nobody reads would stop anvil once it is full.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://{addr}");
        let key = SigningKey::from_hex(FUNDED)?;
        let provider =
            Provider::connect_with_key(&url.parse()?, Some(DEVELOPMENT_CHAIN_ID), &key).await?;
        let deploy = ProjectRegistry::deploy_builder(provider.rpc(), key.address());
        let receipt =
            provider.send("deploying the registry", deploy.into_transaction_request()).await?;
        let registry = receipt.contract_address.context("a deployment makes a contract")?;
        let record = ProjectRegistry::new(registry, provider.rpc())
            .setReceiptKey(Address::ZERO, receipt_key()?.address(), 0, u64::MAX)
            .into_transaction_request();
        provider.send("recording the receipt key", record).await?;
        Ok(Self { _anvil: anvil, url, registry })
    }
}

fn receipt_key() -> anyhow::Result<SigningKey> {
    Ok(SigningKey::from_bytes(&[7; 32])?)
}

/// The backend.
pub(crate) struct Backend {
    process: Running,
    pub(crate) client: Client,
    pub(crate) receipt_key: Address,
    _folder: TempDir,
}

impl Backend {
    pub(crate) async fn start(
        binary: &Path,
        database_url: &str,
        chain: &Chain,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (key_file, ready_file) =
            (folder.path().join("receipt.key"), folder.path().join("ready"));
        let key = receipt_key()?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(&key_file)?;
        std::fs::write(&key_file, key.to_hex().as_bytes())?;
        // Without --allow-unsafe-postgres: it refuses a Postgres that may lose what it commits.
        let child = Command::new(binary)
            .args(["--database-url", database_url, "--rpc", &chain.url])
            .args(["--chain-id", &DEVELOPMENT_CHAIN_ID.to_string()])
            .args(["--registry", &chain.registry.to_string()])
            .args(["--vouch-after-secs", "0"])
            .arg("--receipt-key-file")
            .arg(&key_file)
            .arg("--ready-file")
            .arg(&ready_file)
            .env(logs::VARIABLE, "error")
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut process = Running(child);
        let mut sleeper = Clock::system().sleeper();
        let ready = loop {
            if let Some(ready) = Ready::read(&ready_file)? {
                break ready;
            }
            if let Some(status) = process.0.try_wait()? {
                bail!("the backend did not start: {status}");
            }
            sleeper.sleep(Duration::from_millis(10)).await;
        };
        let client = Client::new(&format!("http://{}", ready.addr))?;
        Ok(Self { process, client, receipt_key: key.address(), _folder: folder })
    }

    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        Ok(Stat::of(self.process.0.id())?.own)
    }
}

/// The Postgres server on this machine.
pub(crate) struct Postgres {
    postmaster: u32,
}

impl Postgres {
    pub(crate) async fn of(pool: &PgPool) -> anyhow::Result<Self> {
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value: String = sqlx::query_scalar("select current_setting($1)")
                .bind(setting)
                .fetch_one(pool)
                .await?;
            if value != "on" {
                bail!(
                    "Postgres runs with {setting}={value}: what it costs then is not of interest"
                );
            }
        }
        let folder: String =
            sqlx::query_scalar("select current_setting('data_directory')").fetch_one(pool).await?;
        let text = std::fs::read_to_string(Path::new(&folder).join("postmaster.pid"))
            .context("Postgres must run on this machine")?;
        let pid = text.lines().next().context("an empty postmaster.pid")?;
        Ok(Self { postmaster: pid.trim().parse()? })
    }

    /// Of the server, its processes, and those of its processes that have ended.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let postmaster = Stat::of(self.postmaster)?;
        let mut sum = postmaster.own + postmaster.ended_children;
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // A process may end while we look.
            if let Ok(stat) = Stat::of(pid)
                && stat.parent == self.postmaster
            {
                sum += stat.own;
            }
        }
        Ok(sum)
    }
}

/// CPU time of this process.
pub(crate) fn own_cpu_seconds() -> anyhow::Result<f64> {
    Ok(Stat::of(std::process::id())?.own)
}

/// Of `/proc/PID/stat`.
struct Stat {
    parent: u32,
    own: f64,
    ended_children: f64,
}

impl Stat {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is the name in brackets, which may hold anything; the third comes next.
        let (_, rest) = text.rsplit_once(')').context("/proc/PID/stat has no name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| -> anyhow::Result<f64> {
            let value = fields.get(number - 3).context("/proc/PID/stat is too short")?;
            Ok(value.parse()?)
        };
        // Linux has counted in hundredths of a second here, on every machine, since 2.6.
        let seconds = |a: usize, b: usize| anyhow::Ok((field(a)? + field(b)?) / 100.0);
        Ok(Self {
            parent: fields.get(1).context("/proc/PID/stat is too short")?.parse()?,
            own: seconds(14, 15)?,
            ended_children: seconds(16, 17)?,
        })
    }
}
