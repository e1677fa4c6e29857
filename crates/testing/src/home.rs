//! A node's home folder, and the program on it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nodesys_core::message::{Domain, Message as _, NodeAuthorization, SignedAuthorization};
use nodesys_core::signature::WalletSignature;
use nodesys_core::{Address, U256};
use serde_json::{Value, json};

use crate::anvil::CHAIN_ID;
use crate::key;
use crate::program::{Run, must, project};

const REGISTRY: Address = Address::repeat_byte(0xaa);
/// Pods reach this machine's 127.0.0.1 here; nobody listens.
const NOBODY: &str = "http://10.77.0.2:9";

/// How the program is reached.
pub trait Way {
    /// A command of it, without arguments.
    fn program(&self) -> Command;
}

/// The manager's image as `scripts/image` made it, built where it is missing.
pub fn image_archive() -> PathBuf {
    let archive = project().join("target/images/nodesys-manager.tar");
    if !archive.exists() {
        must(Command::new(project().join("scripts/image")).arg("manager"));
    }
    archive
}

/// A node's home folder.
pub struct Home(tempfile::TempDir);

impl Home {
    /// Of a node that is configured and has no key.
    pub fn empty() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let config = json!({
            "chain_id": CHAIN_ID, "registry": REGISTRY, "backend": NOBODY,
            "rpc": format!("{NOBODY}/SECRET"),
        });
        home.write_private("config.json", &config.to_string());
        home
    }

    /// Of a paired node.
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

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write_private(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(self.path(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    /// A file of JSON.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// The program, as it is reached.
    pub fn command(&self, way: &impl Way, line: &str) -> Command {
        let mut command = way.program();
        command.args(line.split_whitespace()).env("NODESYS_HOME", self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, way: &impl Way, line: &str) -> Run {
        Run::of(self.command(way, line).output().unwrap())
    }
}

/// Waits for something to become so, and says what it waited for if it does not.
#[expect(clippy::disallowed_methods, reason = "the cluster lives in real time")]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(600), "not within 600 s: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
