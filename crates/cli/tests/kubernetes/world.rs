//! A real Kubernetes with a real kubelet, the manager's real image, and the program between them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nodesys_core::message::{Domain, Message as _, NodeAuthorization, SignedAuthorization};
use nodesys_core::signature::{SigningKey, WalletSignature};
use nodesys_core::{Address, U256};
use serde_json::{Value, json};

pub const REGISTRY: Address = Address::repeat_byte(0xaa);
pub const CHAIN_ID: u64 = 31_337;
/// Pods reach this machine's 127.0.0.1 here; nobody listens.
const NOBODY: &str = "http://10.77.0.2:9";

/// The cluster of a test: its own, or the one of `NODESYS_KUBERNETES_DIR`, left running.
pub struct Cluster {
    pub dir: PathBuf,
    pub kubeconfig: String,
    pub image: String,
    own: Option<tempfile::TempDir>,
}

/// What a run of the program said.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn script(name: &str) -> PathBuf {
    project().join("test/kubernetes").join(name)
}

/// Runs to success, or says why there is no test.
fn must(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output();
    let Output { status, stdout, .. } = output.unwrap_or_else(|error| panic!("not run: {error}"));
    assert!(status.success(), "not run: {command:?} ended with {status}");
    String::from_utf8(stdout).unwrap()
}

impl Cluster {
    pub fn up() -> Self {
        let shared = std::env::var_os("NODESYS_KUBERNETES_DIR").map(PathBuf::from);
        let own = shared.is_none().then(|| tempfile::tempdir().unwrap());
        let dir = shared.unwrap_or_else(|| own.as_ref().unwrap().path().join("cluster"));
        let mut up = Command::new(script("up"));
        if own.is_some() {
            up.arg("--until-exit").arg(std::process::id().to_string());
        }
        let told: Value = serde_json::from_str(&must(up.arg("node").arg(&dir))).unwrap();
        let kubeconfig = told["kubeconfig"].as_str().unwrap().to_owned();
        let mut cluster = Self { dir, kubeconfig, image: String::new(), own };
        let archive = image_archive();
        let names = must(Command::new(script("load-image")).arg(&cluster.dir).arg(archive));
        cluster.image = names.lines().find(|name| name.contains('@')).unwrap().to_owned();
        cluster
    }

    /// A command that sees the cluster's network.
    pub fn enter(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(script("enter"));
        command.arg(&self.dir).arg(program);
        command
    }

    pub fn kubectl(&self, line: &str) -> String {
        let output = self.enter("kubectl").args(line.split_whitespace()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        format!("{}{}", text(output.stdout), text(output.stderr))
    }

    /// Gives the cluster a volume, which a cluster without a storage class lacks.
    pub fn add_volume(&self) {
        let folder = "/var/lib/nodesys-manager-state";
        must(
            Command::new(script("enter"))
                .arg("--mounts")
                .arg(&self.dir)
                .args(["mkdir", "-p", folder]),
        );
        let manifest = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "state" },
            "spec": {
                "capacity": { "storage": "256Mi" }, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "local": { "path": folder },
                "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [{
                    "key": "kubernetes.io/hostname", "operator": "In", "values": ["node1"],
                }] }] } },
            },
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), manifest.to_string()).unwrap();
        self.kubectl("delete persistentvolume state --ignore-not-found");
        must(self.enter("kubectl").arg("apply").arg("--filename").arg(file.path()));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.own.is_some() {
            let down = Command::new(script("down")).arg(&self.dir).status();
            assert!(down.unwrap().success() || std::thread::panicking());
        }
    }
}

/// The manager's image as `scripts/image` made it, built where it is missing.
fn image_archive() -> PathBuf {
    let archive = project().join("target/images/nodesys-manager.tar");
    if !archive.exists() {
        must(Command::new(project().join("scripts/image")).arg("manager"));
    }
    archive
}

/// A paired node's home folder.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn empty() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let config = json!({
            "chain_id": CHAIN_ID, "registry": REGISTRY, "backend": NOBODY,
            "rpc": format!("{NOBODY}/SECRET"),
        });
        std::fs::write(home.path("config.json"), config.to_string()).unwrap();
        home
    }

    pub fn paired() -> Self {
        let home = Self::empty();
        let (node, wallet) = (key(8), key(7));
        let authorization = NodeAuthorization {
            operator: wallet.address(),
            node_key: node.address(),
            not_after: 4_102_444_800,
            nonce: U256::from(1),
        };
        let digest = authorization.digest(&Domain::new(CHAIN_ID, REGISTRY));
        let signed = SignedAuthorization {
            authorization,
            operator_signature: WalletSignature::from(wallet.sign(digest)),
            node_signature: node.sign(digest),
        };
        home.write_private("node.key", &node.to_hex());
        home.write_private("authorization.json", &serde_json::to_string(&signed).unwrap());
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write_private(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(self.path(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// The program, as it sees the cluster.
    pub fn command(&self, cluster: &Cluster, line: &str) -> Command {
        let mut command = cluster.enter(env!("CARGO_BIN_EXE_nodesys"));
        command.args(line.split_whitespace()).env("NODESYS_HOME", self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, cluster: &Cluster, line: &str) -> Run {
        Run::of(self.command(cluster, line).output().unwrap())
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The data, once the run is found to have ended so.
    #[track_caller]
    pub fn expect(self, code: i32) -> String {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "{stdout}\n{stderr}");
        assert!(!stdout.contains("SECRET") && !stderr.contains("SECRET"), "{stdout}\n{stderr}");
        stdout
    }

    #[track_caller]
    pub fn fails(self, code: i32, part: &str) {
        let said = format!("{}{}", self.stdout, self.stderr);
        self.expect(code);
        assert!(said.contains(part), "{said}");
    }
}

pub fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

/// Waits for something to become so, and says what it waited for if it does not.
#[expect(clippy::disallowed_methods, reason = "the cluster lives in real time")]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(180), "not within 180 s: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
