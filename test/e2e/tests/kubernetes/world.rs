//! A real cluster with a node, and inside its network a devnet in real time: Postgres, anvil, backend
//! and the owner's master; the operator's home, paired; a web server with the owner's releases.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nodesys_clock::Clock;
use nodesys_core::license::LicenseId;
use nodesys_core::points::Rule;
use nodesys_core::release::Release;
use nodesys_core::time::UtcDay;
use nodesys_devnet::deploy::{TOKEN, mint, set_release_key};
use nodesys_devnet::{Devnet, LicenseRef, MasterOptions, Options, Output, Plan, run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The pods' address for the loopback of the cluster's network.
const LOOPBACK: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Delay between an announcement and its effect.
pub const DELAY_SECS: u64 = 5;
pub const ALPHA: LicenseRef = LicenseRef { workload: 0, token: 1 };
pub const BETA: LicenseRef = LicenseRef { workload: 1, token: 1 };

/// The current moment, for measuring durations.
pub fn now() -> Instant {
    Instant::now()
}

/// Prints a fact and its time.
pub fn told(began: Instant, words: &str) {
    eprintln!("{:>4} s  ok: {words}", began.elapsed().as_secs());
}

/// Factor by which waits for an idle machine are extended on a busy one.
const BUSY: u64 = 4;

/// Waits for a condition, and names it if it does not come true.
pub async fn within<T>(secs: u64, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(secs * BUSY), "not within {waited:?}: {what}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

pub struct World {
    pub net: Devnet,
    /// The cluster's folder.
    pub cluster: PathBuf,
    pub home: PathBuf,
    folder: TempDir,
    pub releases_url: String,
    pub manager_image: String,
    workload_image: String,
    probe_image: String,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("not run: {name} is not set; scripts/test kube starts a cluster and runs this in it")
    })
}

impl World {
    /// Everything but the node's cluster.
    pub async fn new() -> Self {
        let cluster = PathBuf::from(variable("NODESYS_KUBERNETES_DIR"));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            root: folder.path().join("net"),
            start: Clock::system().now(),
            plan: Plan {
                project: "acme",
                workloads: vec![("alpha", "A"), ("beta", "B")],
                funds: 100_000 * TOKEN,
                daily_quota: 1_100 * TOKEN,
                delay_secs: 600,
            },
            replicas: 1,
            slots_in_epoch: 1,
            host: IpAddr::V4(LOOPBACK),
            real_time: true,
        };
        let mut net = Devnet::start(&options, async |chain, people, deployed| {
            for workload in 0..deployed.workloads.len() {
                mint(chain, people, deployed, workload, people.alice.address()).await?;
            }
            set_release_key(chain, people, deployed, DELAY_SECS).await
        })
        .await
        .unwrap();
        let day_reward = 1_000 * TOKEN;
        let master = MasterOptions { day_reward, rule: Rule::default(), review_minutes: 0 };
        net.start_master(&master).await.unwrap();
        let home = folder.path().join("home");
        net.network.pair(&home, &net.people.alice).await.unwrap();
        let releases = folder.path().join("releases");
        std::fs::create_dir(&releases).unwrap();
        let releases_url = serve(releases).await;
        let world = Self {
            net,
            cluster,
            home,
            folder,
            releases_url,
            manager_image: variable("NODESYS_MANAGER_IMAGE"),
            workload_image: variable("NODESYS_WORKLOAD_IMAGE"),
            probe_image: variable("NODESYS_PROBE_IMAGE"),
        };
        world.volume("manager").await;
        world
    }

    /// A volume for the next claim: the test cluster has no provisioner.
    pub async fn volume(&self, name: &str) {
        let path = self.volume_path(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let manifest = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
            "spec": {
                "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": { "path": path },
            },
        });
        let file = self.folder.path().join(format!("{name}.volume.json"));
        std::fs::write(&file, manifest.to_string()).unwrap();
        self.kubectl(&["apply", "--filename", file.to_str().unwrap()]).await;
    }

    /// The URL of a port on this network's loopback, for pods too.
    pub fn reached(&self, url: &str) -> String {
        url.replace("127.0.0.1", &LOOPBACK.to_string())
    }

    pub fn volume_path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("volume-{name}"))
    }

    /// Runs kubectl, which must succeed.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        let said = self.try_kubectl(arguments).await;
        said.ok().unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error:#}"))
    }

    pub async fn try_kubectl(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.cluster.join("admin.kubeconfig")).args(arguments);
        run(command).await.unwrap()
    }

    pub async fn kubectl_json(&self, arguments: &[&str]) -> Value {
        let text = self.kubectl(&[arguments, &["--output", "json"]].concat()).await;
        serde_json::from_str(&text).unwrap()
    }

    /// Runs one of the operator's commands.
    pub async fn nodesys(&self, arguments: &[&str]) -> Output {
        run(self.net.network.nodesys(&self.home, arguments)).await.unwrap()
    }

    /// Its JSON, of a command that succeeds.
    pub async fn nodesys_json(&self, arguments: &[&str]) -> Value {
        let said = self.nodesys(&[arguments, &["--output", "json"]].concat()).await;
        said.json().unwrap_or_else(|error| panic!("nodesys {arguments:?}: {error:#}"))
    }

    /// `nodesys start` on the existing cluster.
    pub async fn start(&self) -> Value {
        let kubeconfig = self.cluster.join("admin.kubeconfig");
        let arguments = ["start", "--driver", "existing", "--kubeconfig"];
        let image = ["--manager-image", &self.manager_image];
        let all = [&arguments[..], &[kubeconfig.to_str().unwrap()], &image].concat();
        self.nodesys_json(&all).await
    }

    /// The owner announces a release and publishes it; to the backend too, if it runs.
    pub async fn release(&self, document: &Value, to_backend: bool) -> Release {
        let release = Release::parse(document.to_string().as_bytes()).unwrap();
        let name = format!("{}-{}.json", release.workload(), release.version());
        let file = self.folder.path().join(name);
        std::fs::write(&file, document.to_string()).unwrap();
        let file = file.to_str().unwrap();
        self.owner(&["announce", file], true).await;
        let folder = self.folder.path().join("releases");
        let publish = ["publish", file, "--to", folder.to_str().unwrap(), "--no-backend"];
        self.owner(if to_backend { &publish[..4] } else { &publish }, false).await;
        release
    }

    /// A release command of the owner.
    pub async fn owner(&self, arguments: &[&str], signed: bool) -> String {
        let mut command = self.net.master_command(&[&["release"], arguments].concat());
        if signed {
            let releaser = &self.net.people.releaser;
            command.arg("--sender-keystore").arg(&releaser.keystore);
            command.arg("--sender-password-file").arg(&releaser.password_file);
        }
        let said = run(command).await.unwrap().ok();
        said.unwrap_or_else(|error| panic!("nodesys-master release {arguments:?}: {error:#}"))
    }

    /// The release of a sample workload; alpha is updated by surge, beta has a volume.
    pub fn document(&self, workload: &str, version: u64) -> Value {
        let amounts =
            |cpu, memory| json!({ "cpu_millis": cpu, "memory_mib": memory, "storage_mib": 16 });
        let mut document = json!({
            "format": "nodesys.release.v1",
            "name": "Sample",
            "workload": workload,
            "version": version.to_string(),
            "containers": [{
                "name": "main",
                "image": self.workload_image,
                "args": ["--interval-secs", "5"],
                "resources": { "requests": amounts(10, 16), "limits": amounts(500, 64) },
            }],
            "health": { "by": "token" },
            "update": { "strategy": "surge", "gate_secs": 10, "deadline_secs": 180 },
        });
        if workload == "beta" {
            document["volumes"] = json!([{ "name": "data", "kind": "persistent", "size_mib": 8 }]);
            document["containers"][0]["mounts"] = json!([{ "volume": "data", "path": "/data" }]);
            document["update"]["strategy"] = "recreate".into();
        }
        document
    }

    /// A version with a missing image.
    pub fn without_image(&self, version: u64) -> Value {
        let mut document = self.document("alpha", version);
        let missing = format!("localhost/nowhere@sha256:{}", "0d".repeat(32));
        document["containers"][0]["image"] = missing.into();
        document["update"]["deadline_secs"] = 40.into();
        document
    }

    /// A version that exceeds its memory limit.
    pub fn hungry(&self, version: u64) -> Value {
        let mut document = self.document("alpha", version);
        document["containers"][0]["image"] = self.probe_image.clone().into();
        document["containers"][0]["command"] = json!(["/bin/probe"]);
        document["containers"][0]["args"] = json!(["eat", "200"]);
        document["update"]["deadline_secs"] = 120.into();
        document
    }

    /// The manager's status.
    pub async fn status(&self) -> Option<Value> {
        let path = "/api/v1/namespaces/nodesys/services/nodesys-manager:health/proxy/v1/status";
        let said = self.try_kubectl(&["get", "--raw", path]).await;
        serde_json::from_str(&said.ok().ok()?).ok()
    }

    /// A workload's part of the manager's status.
    pub async fn shown(&self, workload: &str) -> Option<Value> {
        let status = self.status().await?;
        let all = status["workloads"].as_array()?;
        all.iter().find(|one| one["name"] == workload).cloned()
    }

    /// Waits until a workload's status contains this text.
    pub async fn shows(&self, secs: u64, workload: &str, pointer: &str, part: &str) -> Value {
        let began = Instant::now();
        loop {
            let shown = self.shown(workload).await;
            let value = shown.as_ref().and_then(|shown| shown.pointer(pointer));
            let text = value.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
            if let (Some(shown), true) = (&shown, text.is_some_and(|text| text.contains(part))) {
                return shown.clone();
            }
            if began.elapsed() >= Duration::from_secs(secs * BUSY) {
                let namespace = self.namespace(workload).await;
                let pods = ["--namespace", &namespace, "get", "pods,replicasets,events"];
                let all = self.kubectl(&pods).await;
                let secs = began.elapsed().as_secs();
                panic!("{workload} has no {part:?} at {pointer} after {secs} s: {shown:#?}\n{all}");
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// The namespace of a workload.
    pub async fn namespace(&self, workload: &str) -> String {
        let described = self.nodesys_json(&["workload", "describe", workload]).await;
        described["namespace"].as_str().unwrap().to_owned()
    }

    /// Names of a namespace's pods that run and are ready.
    pub async fn ready_pods(&self, namespace: &str) -> Vec<String> {
        let pods = self.kubectl_json(&["--namespace", namespace, "get", "pods"]).await;
        let ready = |pod: &&Value| {
            let all = pod["status"]["containerStatuses"].as_array();
            pod["metadata"]["deletionTimestamp"].is_null()
                && all.is_some_and(|all| all.iter().all(|one| one["ready"] == true))
        };
        let pods = pods["items"].as_array().unwrap().iter().filter(ready);
        pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Minutes of today that the backend has counted for a license.
    pub async fn minutes(&self, license: &LicenseId, day: UtcDay) -> Option<u16> {
        let client = self.net.client(0).unwrap();
        let seen = client.license_day(license.collection, license.token_id, day).await.ok()?;
        Some(seen.minutes)
    }

    pub fn license(&self, license: LicenseRef) -> LicenseId {
        self.net.network.deployed.license(license)
    }

    /// Processes of a program in the cluster's pods, of one workload if it is given.
    pub fn processes(&self, program: &str, workload: Option<&str>) -> Vec<i32> {
        // Other clusters may run on this machine.
        let id = std::fs::read_to_string(self.cluster.join("cluster")).unwrap();
        let cgroup = format!("/nodesys-test-{}/", id.split(' ').next().unwrap());
        let wanted = workload.map(|name| format!("NODESYS_WORKLOAD={name}"));
        let folders = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        folders
            .filter_map(|folder| {
                let pid = folder.file_name().to_str()?.parse().ok()?;
                let read = |name: &str| std::fs::read(folder.path().join(name)).ok();
                let line = read("cmdline")?;
                let environment = read("environ")?;
                let cgroups = std::fs::read_to_string(folder.path().join("cgroup")).ok()?;
                let of_pod = cgroups.contains(&cgroup);
                let named = wanted.as_ref().is_none_or(|wanted| {
                    environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes())
                });
                let first = line.split(|byte| *byte == 0).next()?;
                let is_it = first == format!("/{program}").as_bytes();
                (is_it && of_pod && named).then_some(pid)
            })
            .collect()
    }

    /// Sends a signal to all of them; there must be some.
    pub fn signal(&self, program: &str, workload: Option<&str>, signal: &str) {
        let all = self.processes(program, workload);
        assert!(!all.is_empty(), "no process of {program} {workload:?}");
        for pid in all {
            let _ = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
        }
    }

    /// User and system time of a process, in milliseconds.
    pub fn cpu_millis(pid: i32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // After the name, which may hold anything, in parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // A hundred a second on every Linux.
        ticks * 10
    }

    /// A line of a process's memory, in KiB.
    pub fn rss_kib(pid: i32, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        found.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Makes the manager read the chain at once, by SIGHUP.
    pub fn look_at_once(&self) {
        self.signal("nodesys-manager", None, "-HUP");
    }

    /// Restarts the kubelet, or with `--reboot` the node.
    pub async fn restart(&self, options: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kubernetes/restart-kubelet");
        let mut command = tokio::process::Command::new(script);
        command.args(options).arg(&self.cluster);
        run(command).await.unwrap().ok().unwrap();
    }

    /// Lines of today's and yesterday's receipts on the manager's volume.
    pub fn receipts(&self) -> usize {
        let folder = self.volume_path("manager").join("state/receipts");
        let Ok(files) = std::fs::read_dir(folder) else { return 0 };
        let texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
        texts.map(|text| text.lines().count()).sum()
    }
}

/// Serves the owner's releases like any web server.
async fn serve(folder: PathBuf) -> String {
    use axum::extract::Path as UrlPath;
    use axum::http::StatusCode;
    let file = axum::routing::get(async move |UrlPath(name): UrlPath<String>| {
        std::fs::read(folder.join(name)).map_err(|_| StatusCode::NOT_FOUND)
    });
    let routes = axum::Router::new().route("/{name}", file);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    format!("http://{LOOPBACK}:{port}")
}
