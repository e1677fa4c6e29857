//! The program as a process: what it refuses to start with, how it dies and how it stops.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod faults;
mod ha;
mod metrics;
mod roles;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use nodesys_clock::Clock;
use nodesys_core::U256;
use nodesys_core::api::{LeaseView, Receipt};
use nodesys_core::ids::Seq;
use nodesys_core::message::{
    Domain, Heartbeat, LeaseRequest, LeaseStatus, Message as _, NodeAuthorization, Signed,
    SignedAuthorization, Status,
};
use nodesys_core::signature::SigningKey;
use nodesys_sdk::client::{Client, Error};
use nodesys_service::ready::Ready;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::{Chain, alice, owner, receipt_key};
use nodesys_testing::key;
use nodesys_testing::logs::{FILTERS, hide_the_secret};
use sqlx::{ConnectOptions as _, PgPool};
use tempfile::TempDir;
use tokio::process::Child;

/// A backend's flags, and the folder of its files.
struct Setup {
    folder: TempDir,
    database_url: String,
    rpc: String,
    chain_id: String,
    registry: String,
    unsafe_postgres: bool,
    no_migrate: bool,
    /// In place of the two URLs.
    secrets: Option<Vec<String>>,
}

impl Setup {
    fn new(pool: &PgPool, chain: &Chain) -> Self {
        Self::on(pool.connect_options().to_url_lossy().as_ref(), chain)
    }

    /// On the database of this URL.
    fn on(database_url: &str, chain: &Chain) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_key(&folder.path().join("receipt.key"), &receipt_key().to_hex(), 0o600);
        Self {
            folder,
            database_url: database_url.to_owned(),
            rpc: format!("{}/?key=SECRET", chain.anvil.url),
            chain_id: CHAIN_ID.to_string(),
            registry: chain.registry.to_string(),
            unsafe_postgres: true,
            no_migrate: false,
            secrets: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodesys-backend"));
        let urls = ["--database-url", &self.database_url, "--rpc", &self.rpc].map(str::to_owned);
        command
            .args(self.secrets.clone().unwrap_or_else(|| urls.into()))
            .args(["--chain-id", &self.chain_id, "--registry", &self.registry])
            .args(["--vouch-after-secs", "0"])
            .arg("--receipt-key-file")
            .arg(self.path("receipt.key"))
            .arg("--ready-file")
            .arg(self.path("ready"))
            .args(self.unsafe_postgres.then_some("--allow-unsafe-postgres"))
            .args(self.no_migrate.then_some("--no-migrate"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its refusal.
    fn refusal(&self) -> String {
        let Output { status, stderr, .. } = self.command().output().unwrap();
        let words = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{words}");
        assert!(!self.path("ready").exists(), "a backend that refuses says it is ready");
        assert!(!words.contains("SECRET"), "{words}");
        words
    }

    /// Starts it and waits until it is ready.
    async fn start(&self) -> (Child, Client) {
        let mut command = self.command();
        command.stderr(Stdio::inherit());
        self.start_by(command).await
    }

    async fn start_by(&self, command: Command) -> (Child, Client) {
        let ready = self.path("ready");
        let _ = std::fs::remove_file(&ready);
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut sleeper = Clock::system().sleeper();
        let ready = loop {
            if let Some(ready) = Ready::read(&ready).unwrap() {
                break ready;
            }
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it was ready");
            sleeper.sleep(Duration::from_millis(5)).await;
        };
        assert_eq!((ready.pid, &*ready.build_id), (child.id().unwrap(), env!("CARGO_PKG_VERSION")));
        (child, Client::new(&format!("http://{}", ready.addr)).unwrap())
    }
}

fn write_key(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn it_refuses_to_start_on_a_wrong_footing(pool: PgPool) {
    let chain = Chain::start().await;
    let refused = |change: &dyn Fn(&mut Setup), says: &[&str]| {
        let mut setup = Setup::new(&pool, &chain);
        change(&mut setup);
        let words = setup.refusal();
        for part in says {
            assert!(words.contains(part), "{part:?} is not in: {words}");
        }
    };
    refused(&|setup| setup.chain_id = "1".into(), &["chain 31337", "expected chain 1"]);
    refused(&|setup| setup.registry = owner().address().to_string(), &["no contract at"]);
    refused(&|setup| setup.rpc = "http://127.0.0.1:1/SECRET".into(), &["does not answer"]);
    refused(&|setup| setup.unsafe_postgres = false, &["fsync=off", "--allow-unsafe-postgres"]);
    refused(&|setup| setup.database_url = "localhost".into(), &["database URL"]);
    refused(
        &|setup| setup.database_url = setup.database_url.replacen("_sqlx_test", "none", 1),
        &["cannot connect to Postgres", "does not exist"],
    );
    let nobody = "postgres://nodesys@127.0.0.1:1/nodesys";
    refused(
        &|setup| setup.database_url = nobody.into(),
        &["cannot connect to Postgres at 127.0.0.1:1", "refused"],
    );
    let token = chain.token.to_string();
    refused(&|setup| setup.registry = token.clone(), &["does not answer as a ProjectRegistry"]);
    let strange = key(99);
    refused(
        &|setup| write_key(&setup.path("receipt.key"), &strange.to_hex(), 0o600),
        &["does not know the receipt key", "nodesys-master registry receipt-key --key 0x"],
    );
    refused(
        &|setup| write_key(&setup.path("receipt.key"), &receipt_key().to_hex(), 0o640),
        &["can be read by others", "chmod 600"],
    );
    refused(
        &|setup| write_key(&setup.path("receipt.key"), "not a key", 0o600),
        &["must hold 64 hex digits"],
    );
    refused(
        &|setup| std::fs::remove_file(setup.path("receipt.key")).unwrap(),
        &["receipt.key cannot be read"],
    );
    refused(
        &|setup| {
            write_key(&setup.path("url"), &setup.database_url, 0o644);
            let file = setup.path("url").display().to_string();
            let rpc = setup.rpc.clone();
            setup.secrets =
                Some(["--database-url-file", &file, "--rpc", &rpc].map(str::to_owned).into());
        },
        &["--database-url-file", "can be read by others", "chmod 600"],
    );
    let tables: i64 =
        sqlx::query_scalar("select count(*) from writer").fetch_one(&pool).await.unwrap();
    assert_eq!(tables, 0, "a backend that refuses has begun to write");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_database_belongs_to_one_registry(pool: PgPool) {
    let chain = Chain::start().await;
    let setup = Setup::new(&pool, &chain);
    let (mut child, _) = setup.start().await;
    child.kill().await.unwrap();
    let recorded: Vec<u8> =
        sqlx::query_scalar("select registry::bytea from network").fetch_one(&pool).await.unwrap();
    assert_eq!(recorded, chain.registry.as_slice());
    // Another network's backend was pointed at this database before.
    let other = chain.token;
    let moved = sqlx::query("update network set registry = $1").bind(other.as_slice());
    moved.execute(&pool).await.unwrap();
    std::fs::remove_file(setup.path("ready")).unwrap();
    let words = setup.refusal();
    let expected = format!("the database is of the registry {other} on chain {CHAIN_ID}");
    assert!(words.contains(&expected), "{words}");
}

/// Expand and contract: replicas of the version before start, run and restart on the newer schema.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn it_starts_on_a_newer_schema_and_not_on_an_older_one(pool: PgPool) {
    let chain = Chain::start().await;
    let mut setup = Setup::new(&pool, &chain);
    let newer = "insert into _sqlx_migrations
        (version, description, success, checksum, execution_time) values (9999, 'newer', true, '', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    for no_migrate in [false, true] {
        setup.no_migrate = no_migrate;
        let (mut child, client) = setup.start().await;
        client.ready().await.unwrap();
        child.kill().await.unwrap();
        std::fs::remove_file(setup.path("ready")).unwrap();
    }
    // One of its own is missing.
    let undo = "alter table writer drop column seen_at";
    for undo in [undo, "delete from _sqlx_migrations where version = 20"] {
        sqlx::query(undo).execute(&pool).await.unwrap();
    }
    let words = setup.refusal();
    assert!(words.contains("lacks the migrations 20: run `nodesys-backend migrate`"), "{words}");
    let migrated = Command::new(env!("CARGO_BIN_EXE_nodesys-backend"))
        .args(["migrate", "--allow-unsafe-postgres"])
        .env("NODESYS_DATABASE_URL", &setup.database_url)
        // The environment of the backend itself does no harm.
        .env("NODESYS_RPC", &setup.rpc)
        .output()
        .unwrap();
    assert!(migrated.status.success(), "{migrated:?}");
    let (mut child, _) = setup.start().await;
    child.kill().await.unwrap();
}

/// A node that speaks to whichever process runs now.
struct Node {
    key: SigningKey,
    domain: Domain,
    seq: AtomicUsize,
}

impl Node {
    async fn authorised(client: &Client, domain: Domain, number: u8) -> Self {
        let node = Self { key: key(number), domain, seq: AtomicUsize::new(1) };
        let authorization = NodeAuthorization {
            operator: alice().address(),
            node_key: node.key.address(),
            not_after: Clock::system().now().secs() + 86_400,
            // Above that of another test of the same database.
            nonce: U256::from(Clock::system().now().millis()),
        };
        let digest = authorization.digest(&domain);
        let signed = SignedAuthorization {
            operator_signature: alice().sign(digest).into(),
            node_signature: node.key.sign(digest),
            authorization,
        };
        client.authorize_node(&signed).await.unwrap();
        node
    }

    async fn lease(&self, client: &Client, chain: &Chain) -> LeaseView {
        let node_key = self.key.address();
        let nonce = Clock::system().now().millis();
        let request = LeaseRequest { node_key, license: chain.a1().hash(), nonce };
        client.request_lease(&Signed::new(request, &self.domain, &self.key)).await.unwrap()
    }

    /// Sends one heartbeat, and checks a receipt as a node does.
    async fn beat(&self, client: &Client, leases: &[LeaseStatus]) -> Result<Receipt, Error> {
        let session = client.session(self.key.address()).await?;
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) as u64;
        let heartbeat = Heartbeat {
            node_key: self.key.address(),
            minute: nodesys_core::time::Timestamp::from_millis(session.server_time_millis).minute(),
            seq: Seq::checked_new(seq).unwrap(),
            challenge: session.challenge,
            leases: leases.to_vec(),
        };
        let hash = heartbeat.struct_hash();
        let signed = Signed::new(heartbeat, &self.domain, &self.key);
        let receipt = client.heartbeat(&signed).await?;
        receipt.verify(&self.domain, receipt_key().address(), hash).unwrap();
        Ok(receipt)
    }
}

fn healthy(lease: &LeaseView) -> LeaseStatus {
    LeaseStatus {
        license: lease.license_hash,
        fence: lease.fence,
        status: Status::Healthy,
        release: 1,
    }
}

/// Until `enough` receipts are there: every node sends, one heartbeat after the other. Gives back
/// the receipts, and how each node's sending ended.
async fn load(
    nodes: &[Node],
    client: &Client,
    counted: &AtomicUsize,
) -> Vec<(Vec<Receipt>, Option<Error>)> {
    join_all(nodes.iter().map(|node| async move {
        let mut receipts = Vec::new();
        for _ in 0..12 {
            match node.beat(client, &[]).await {
                Ok(receipt) => receipts.push(receipt),
                Err(error) => return (receipts, Some(error)),
            }
            counted.fetch_add(1, Ordering::Relaxed);
        }
        (receipts, None)
    }))
    .await
}

/// Waits for the first tick of the mirror, which has the licenses.
async fn followed(client: &Client, chain: &Chain) {
    let mut sleeper = Clock::system().sleeper();
    while client.license(chain.alpha, U256::from(1)).await.is_err() {
        sleeper.sleep(Duration::from_millis(5)).await;
    }
}

/// Tells it to stop, and waits until it has.
async fn stop(process: &mut Child) -> ExitStatus {
    let pid = process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    process.wait().await.unwrap()
}

async fn all_stored(pool: &PgPool, receipts: impl Iterator<Item = &Receipt>) {
    let roots: Vec<Vec<u8>> = sqlx::query_scalar("select root::bytea from heartbeat_batch")
        .fetch_all(pool)
        .await
        .unwrap();
    for receipt in receipts {
        let root = receipt.batch.message.root.to_vec();
        assert!(roots.contains(&root), "a heartbeat was acknowledged and is not stored");
    }
}

async fn nodes(client: &Client, domain: Domain, count: u8) -> Vec<Node> {
    join_all((1..=count).map(|number| Node::authorised(client, domain, number))).await
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn killed_in_the_middle_it_has_lost_nothing_it_acknowledged(pool: PgPool) {
    let chain = Chain::start().await;
    let setup = Setup::new(&pool, &chain);
    let domain = Domain::new(CHAIN_ID, chain.registry);
    let (mut process, client) = setup.start().await;
    let nodes = nodes(&client, domain, 24).await;
    let mut sleeper = Clock::system().sleeper();
    followed(&client, &chain).await;
    let lease = nodes[0].lease(&client, &chain).await;
    let credited = nodes[0].beat(&client, &[healthy(&lease)]).await.unwrap();
    assert_eq!(credited.accepted.credited, 1);

    let counted = Arc::new(AtomicUsize::new(0));
    let killing = async {
        while counted.load(Ordering::Relaxed) < 100 {
            sleeper.sleep(Duration::from_millis(1)).await;
        }
        process.start_kill().unwrap();
        process.wait().await.unwrap()
    };
    let (sent, status) = tokio::join!(load(&nodes, &client, &counted), killing);
    assert_eq!(status.code(), None, "it ended by a signal");
    let cut = sent.iter().filter(|(_, error)| error.is_some()).count();
    assert!(cut > 0, "it was killed after everything was sent");
    for error in sent.iter().filter_map(|(_, error)| error.as_ref()) {
        assert!(matches!(error, Error::Transport { .. }), "{error}");
    }
    all_stored(&pool, sent.iter().flat_map(|(receipts, _)| receipts).chain([&credited])).await;

    // A new process on the same database knows the day, the lease and the nodes.
    let (_process, client) = setup.start().await;
    let minute = credited.batch.message.minute;
    let day = client.license_day(chain.alpha, U256::from(1), minute.day()).await.unwrap();
    assert!(day.bitmap.contains(minute.of_day()));
    let again = nodes[0].beat(&client, &[healthy(&lease)]).await.unwrap();
    assert_eq!(again.accepted.credited, 1);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn told_to_stop_it_answers_what_it_has_taken(pool: PgPool) {
    let chain = Chain::start().await;
    let setup = Setup::new(&pool, &chain);
    let domain = Domain::new(CHAIN_ID, chain.registry);
    let (mut process, client) = setup.start().await;
    let nodes = nodes(&client, domain, 24).await;
    let counted = Arc::new(AtomicUsize::new(0));
    let mut sleeper = Clock::system().sleeper();
    let stopping = async {
        while counted.load(Ordering::Relaxed) < 100 {
            sleeper.sleep(Duration::from_millis(1)).await;
        }
        stop(&mut process).await
    };
    let (sent, status) = tokio::join!(load(&nodes, &client, &counted), stopping);
    assert_eq!(status.code(), Some(0), "it did not end in order");
    for error in sent.iter().filter_map(|(_, error)| error.as_ref()) {
        assert!(matches!(error, Error::Transport { .. }), "{error}");
    }
    all_stored(&pool, sent.iter().flat_map(|(receipts, _)| receipts)).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn no_line_of_its_log_tells_the_rpcs_secret(pool: PgPool) {
    let chain = Chain::start().await;
    let setup = Setup::new(&pool, &chain);
    assert!(setup.rpc.contains("SECRET"));
    for filter in FILTERS {
        let log = std::fs::File::create(setup.path("log")).unwrap();
        let mut command = setup.command();
        command.env("NODESYS_LOG", filter).stderr(log);
        let (mut process, client) = setup.start_by(command).await;
        followed(&client, &chain).await;
        let ended = stop(&mut process).await;
        let log = std::fs::read_to_string(setup.path("log")).unwrap();
        let last = log.lines().next_back().unwrap_or_default();
        assert_eq!(ended.code(), Some(0), "NODESYS_LOG={filter}: {last}");
        hide_the_secret(filter, &log, &chain.anvil.addr.to_string());
    }
}
