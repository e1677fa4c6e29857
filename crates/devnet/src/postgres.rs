//! A Postgres of the devnet's own, on a free loopback port, durable as in production: `fsync` and
//! `synchronous_commit` are on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use tokio::process::Command;

use crate::process::{Process, free_addr};

const USER: &str = "nodesys";
/// Retries of a start while a killed server is not quite gone.
const RESTARTS: u32 = 1_000;
/// The error of a start while the old processes hold its resources.
const LET_GO: [&str; 2] = ["is still in use", "Address already in use"];

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    password: String,
}

impl Postgres {
    /// Makes a cluster in `dir` with these databases, and starts it.
    pub async fn start(dir: &Path, databases: &[&str]) -> anyhow::Result<Self> {
        let bin = bin_dir()?;
        std::fs::create_dir_all(dir)?;
        let password = format!("{:032x}", rand::random::<u128>());
        let secret = dir.join("password");
        crate::people::write_secret(&secret, &password)?;
        let port = free_addr()?.port();
        let mut postgres = Self { process: None, bin, dir: dir.to_owned(), port, password };
        let mut initdb = postgres.command("initdb");
        initdb
            .args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"])
            .arg("--no-instructions")
            .arg("--pwfile")
            .arg(&secret)
            .arg("-D")
            .arg(postgres.data());
        run(initdb).await.context("initdb")?;
        for database in databases {
            postgres.single(&format!("create database {database}")).await?;
        }
        postgres.restart().await?;
        Ok(postgres)
    }

    /// The URL of a database, password included.
    pub fn url(&self, database: &str) -> String {
        let Self { port, password, .. } = self;
        format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// Starts the server again, on the same port, after [`Self::kill`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        for _ in 0..RESTARTS {
            match self.try_restart().await {
                // The killed server's own processes take a moment to notice and let go of its
                // memory, and one that was just forked of its port.
                Err(error) if LET_GO.iter().any(|held| format!("{error:#}").contains(held)) => {
                    crate::process::pause().await;
                }
                done => return done,
            }
        }
        self.try_restart().await
    }

    async fn try_restart(&mut self) -> anyhow::Result<()> {
        let pid_file = self.data().join("postmaster.pid");
        // A killed server leaves it behind; the process it names is gone.
        let _ = std::fs::remove_file(&pid_file);
        let port = self.port.to_string();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &port]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=on",
            "synchronous_commit=on",
            "max_connections=100",
            "shared_buffers=64MB",
        ] {
            command.args(["-c", setting]);
        }
        let log = self.dir.join("log");
        // Only what this start says is of interest.
        let _ = std::fs::rename(&log, self.dir.join("log.old"));
        let mut process = Process::spawn("postgres", command, &log)?;
        // The last line of the file says what the server is doing.
        let ready = || {
            let text = std::fs::read_to_string(&pid_file).ok()?;
            text.lines().nth(7).filter(|line| line.trim() == "ready").map(drop)
        };
        process.wait_for("it took connections", ready).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Kills the server at once; its child processes end when they notice.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Stops it in order: connections are ended, everything is on disk.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.stop_by(Signal::INT).await.map(drop),
            None => Ok(()),
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// One of the server's programs; Postgres refuses to run as root, so root becomes another user
    /// in a namespace of its own.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        if rustix::process::getuid().is_root() {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-user=1000", "--map-group=1000"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    }

    /// Runs a statement without a server: npm's Postgres brings no client.
    async fn single(&self, statement: &str) -> anyhow::Result<()> {
        let mut command = self.command("postgres");
        command.args(["--single", "-j", "-D"]).arg(self.data()).arg("postgres");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("its input is piped")?;
        tokio::io::AsyncWriteExt::write_all(&mut stdin, format!("{statement}\n").as_bytes())
            .await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(output.status.success() && !said.contains("ERROR"), "{statement}: {said}");
        Ok(())
    }
}

async fn run(mut command: Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The folder of the server's programs, as `scripts/setup` found it.
fn bin_dir() -> anyhow::Result<PathBuf> {
    let dir = std::env::var_os("NODESYS_PG_BIN").context(
        "NODESYS_PG_BIN is not set: run scripts/setup, and take it from target/tools/env",
    )?;
    ensure!(
        Path::new(&dir).join("initdb").exists(),
        "NODESYS_PG_BIN is {}, which has no initdb: run scripts/setup",
        OsStr::display(&dir)
    );
    Ok(dir.into())
}
