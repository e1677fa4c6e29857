//! A real Kubernetes with a real kubelet, and the manager's real image.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nodesys_testing::home::{Way, image_archive};
use nodesys_testing::program::{must, project};
use serde_json::{Value, json};

/// The cluster of a test: its own, or the one of `NODESYS_KUBERNETES_DIR`, left running.
pub struct Cluster {
    pub dir: PathBuf,
    pub kubeconfig: String,
    pub image: String,
    own: Option<tempfile::TempDir>,
    volumes: AtomicU32,
}

fn script(name: &str) -> PathBuf {
    project().join("test/kubernetes").join(name)
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
        let mut cluster =
            Self { dir, kubeconfig, image: String::new(), own, volumes: AtomicU32::new(0) };
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
        // A name of its own: a kubelet takes its time to forget a volume.
        let name = format!("state-{}", self.volumes.fetch_add(1, Ordering::Relaxed));
        let folder = format!("/var/lib/{name}");
        must(
            Command::new(script("enter"))
                .arg("--mounts")
                .arg(&self.dir)
                .args(["mkdir", "-p", &folder]),
        );
        let manifest = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
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

impl Way for Cluster {
    fn program(&self) -> Command {
        self.enter(env!("CARGO_BIN_EXE_nodesys"))
    }
}
