//! `nodesys start --driver k3s` as it is run: in a namespace with its own /etc, /usr/local, /var and
//! network, with a server of releases of our own and a stand-in for k3s that starts the test Kubernetes
//! with a real kubelet (test/kubernetes/install).
//!
//! Ignored by an ordinary run: `scripts/test kube` runs it. Where it cannot run it fails with `not run`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod disk;
mod server;
mod timer;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nodesys_testing::home::{Home, Way, image_archive};
use nodesys_testing::key;
use nodesys_testing::program::{must, project};
use serde_json::{Value, json};
use server::{Server, serve};
use sha2::{Digest as _, Sha256};

/// Runs the named test again inside the sandbox; `true` inside it.
fn inside(test: &str) -> bool {
    if std::env::var_os("NODESYS_INSTALL_WORK").is_some() {
        return true;
    }
    let sandbox = project().join("test/kubernetes/install/sandbox");
    let status = Command::new(sandbox)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", test])
        .status()
        .unwrap();
    assert_ne!(status.code(), Some(77), "not run: the reason stands above");
    assert!(status.success(), "{test} failed inside the sandbox");
    false
}

struct Here;

impl Way for Here {
    fn program(&self) -> Command {
        Command::new(env!("CARGO_BIN_EXE_nodesys"))
    }
}

/// The stand-in for k3s, images for it, and a server of both.
struct Release {
    server: Server,
    k3s: Vec<u8>,
    arm: Vec<u8>,
    folder: tempfile::TempDir,
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Release {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = project().join("test/kubernetes/install");
        let program = folder.path().join("k3s");
        must(
            Command::new("rustc")
                .env("STAND_IN", &source)
                .arg("-o")
                .arg(&program)
                .arg(source.join("k3s.rs")),
        );
        let k3s = std::fs::read(&program).unwrap();
        let mut arm = k3s.clone();
        arm[18] = 183;
        let built = must(&mut Command::new(project().join("test/kubernetes/build")));
        let images = std::fs::read(Path::new(built.trim()).join("images/pause.tar")).unwrap();
        let files =
            vec![("k3s", k3s.clone()), ("k3s-arm", arm.clone()), ("k3s-images.tar", images)];
        Self { server: serve(files), k3s, arm, folder }
    }

    /// A pin file of the program at these places, with some of it otherwise.
    fn pin(&self, ways: &[&str], change: impl FnOnce(&mut Value)) -> String {
        let urls = |name: &str| -> Vec<String> {
            ways.iter().map(|way| format!("{}/{way}/{name}", self.server.url)).collect()
        };
        let mut pin = json!({
            "format": "nodesys-k3s-pin-1", "version": "v1.20.2+stand-in",
            "k3s": [{
                "arch": "x86_64", "sha256": sha256(&self.k3s), "size": self.k3s.len(),
                "urls": urls("k3s"),
            }],
        });
        change(&mut pin);
        let path = self.folder.path().join("pin.json");
        std::fs::write(&path, pin.to_string()).unwrap();
        path.display().to_string()
    }
}

/// All that is in the folders that `start` writes to.
fn machine() -> Vec<String> {
    let list = "find /etc /usr/local /var/lib /var/cache -mindepth 1 | sort";
    let links = "ip -o link show | sed 's/^[0-9]*: //; s/:.*//'";
    let rules = "nft list table inet nodesys 2>/dev/null || true";
    let all = [list, links, rules].map(|line| must(Command::new("bash").args(["-c", line])));
    all.concat().lines().map(str::to_owned).collect()
}

/// The manager's image as it was built: its archive, and its name by digest.
fn manager() -> (String, String) {
    let told = std::fs::read(image_archive().with_extension("json")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    let image = format!("{}@{}", told["name"].as_str().unwrap(), told["digest"].as_str().unwrap());
    (image_archive().display().to_string(), image)
}

/// A bundle of the pin, signed by the wallet.
fn pack(home: &Home, pin: &str) -> String {
    let (archive, image) = manager();
    nodesys_chain::keystore::create(&home.path("wallet.json"), &key(7), "secret").unwrap();
    std::fs::write(home.path("password"), "secret\n").unwrap();
    let path = |name: &str| home.path(name).display().to_string();
    let (wallet, password, out) = (path("wallet.json"), path("password"), path("node.bundle"));
    home.run(
        &Here,
        &format!(
            "bundle create --k3s-pin {pin} --manager-image {image} --image-archive {archive} \
             --keystore {wallet} --password-file {password} --out {out}"
        ),
    )
    .expect(0);
    out
}

fn start(pin: &str) -> String {
    let archive = image_archive().display().to_string();
    let told = std::fs::read(image_archive().with_extension("json")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    let image = format!("{}@{}", told["name"].as_str().unwrap(), told["digest"].as_str().unwrap());
    format!("start --driver k3s --k3s-pin {pin} --manager-image {image} --image-archive {archive}")
}

const CACHE: &str = "/var/cache/nodesys";

fn cached(suffix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(CACHE).into_iter().flatten().flatten().map(|it| it.path());
    entries.filter(|path| path.to_string_lossy().ends_with(suffix)).collect()
}

#[test]
#[ignore = "needs root: scripts/test kube"]
fn what_is_not_the_pinned_k3s_is_not_installed() {
    if !inside("what_is_not_the_pinned_k3s_is_not_installed") {
        return;
    }
    let release = Release::new();
    let home = Home::paired();
    let before = machine();
    let unchanged = |but: &str| {
        let after: Vec<String> =
            machine().into_iter().filter(|line| !line.starts_with(CACHE)).collect();
        assert_eq!(after, before, "{but}");
        assert!(!Path::new("/usr/local/bin/k3s").exists());
    };
    let run = |pin: &str| home.run(&Here, &start(pin));

    // Flags that do not belong together, and files that are none.
    home.run(&Here, "start --driver k3s --manager-image x").fails(2, "--manager-image");
    let bare = start("none.json");
    home.run(&Here, &bare).fails(2, "the pin none.json cannot be read");
    home.run(&Here, &format!("{bare} --kubeconfig k"))
        .fails(2, "--kubeconfig is for the driver existing");
    run(&release.pin(&["good"], |pin| pin["k3s"][0]["arch"] = "aarch64".into()))
        .fails(2, "no k3s for x86_64");

    // A place that gives something else is passed over and named; none is left: nothing is installed.
    let refused = run(&release.pin(&["flip", "short", "gone", "busy"], |_| ()));
    for part in
        ["its SHA-256 is", "not the pinned", "bytes are expected", "404", "503", "removed again"]
    {
        let whole = format!("{}{}", refused.stdout, refused.stderr);
        let part = if part == "bytes are expected" { "are expected" } else { part };
        assert!(whole.contains(part), "{part}: {whole}");
    }
    refused.fails(7, "cannot be downloaded from any place");
    assert_eq!((cached(".refused").len(), cached(".part").len()), (1, 0));
    unchanged("after a refused download");
    run(&release.pin(&["good"], |pin| pin["k3s"][0]["sha256"] = "ab".repeat(32).into()))
        .fails(7, "not the pinned abab");
    run(&release.pin(&["good"], |pin| pin["k3s"][0]["size"] = 5.into())).fails(7, "are expected");
    let arm = sha256(&release.arm);
    let arm = release.pin(&["good"], |pin| {
        pin["k3s"][0]["sha256"] = arm.into();
        pin["k3s"][0]["urls"] = json!([format!("{}/good/k3s-arm", release.server.url)]);
    });
    run(&arm).fails(1, "it is for aarch64, and this machine is x86_64");
    unchanged("after a program for another machine");

    // A full disk.
    home.run(&Here, "uninstall --keep-keys --yes").expect(0);
    assert!(!Path::new(CACHE).exists());
    std::fs::create_dir_all(CACHE).unwrap();
    must(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", CACHE]));
    run(&release.pin(&["good"], |_| ())).fails(1, "MiB are needed: free some");
    must(Command::new("umount").arg(CACHE));
    std::fs::remove_dir(CACHE).unwrap();
    let _ = std::fs::remove_file(home.path("cluster.json"));

    // Not root: the rest is not looked at, and nothing is changed.
    let copy = tempfile::tempdir_in("/usr/local").unwrap();
    let program = copy.path().join("nodesys");
    std::fs::copy(env!("CARGO_BIN_EXE_nodesys"), &program).unwrap();
    must(Command::new("chmod").args(["-R", "go+rX"]).arg(copy.path()));
    let pin = release.pin(&["good"], |_| ());
    must(Command::new("chmod").args(["-R", "a+rwX"]).arg(release.folder.path()));
    must(Command::new("chown").args(["-R", "65534:65534"]).arg(home.path("")));
    let nobody = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(start(&pin).split_whitespace())
        .env("NODESYS_HOME", home.path(""))
        .output()
        .unwrap();
    let words = String::from_utf8(nobody.stderr).unwrap();
    assert_eq!(nobody.status.code(), Some(1), "{words}");
    assert!(words.contains("rights: not root") && words.contains("sudo"), "{words}");
    must(Command::new("chown").args(["-R", "0:0"]).arg(home.path("")));
    drop(copy);
    unchanged("after a start without rights");

    // A busy port, somebody else's k3s, no systemd: each with its fix, all at once.
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 6443)).unwrap();
    std::fs::create_dir_all("/etc/rancher/k3s").unwrap();
    std::fs::remove_dir("/run/systemd/system").unwrap();
    let blocked = run(&release.pin(&["good"], |_| ()));
    let words = blocked.stderr.clone();
    for part in [
        "port 6443 is taken",
        "another k3s was installed here: /etc/rancher",
        "does not run systemd",
    ] {
        assert!(words.contains(part) && words.contains("fix: "), "{part}: {words}");
    }
    blocked.fails(1, "nothing was changed");
    drop(taken);
    std::fs::create_dir("/run/systemd/system").unwrap();
    std::fs::remove_dir_all("/etc/rancher").unwrap();
    assert!(release.server.asked().iter().all(|line| !line.contains("k3s-images")));

    // An interrupted download goes on where it ended, over any number of ends.
    let cut = release.pin(&["cut"], |_| ());
    let killed = home
        .command(&Here, &start(&cut))
        .env("NODESYS_FAILPOINT", "k3s:downloaded")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None, "{}", String::from_utf8_lossy(&killed.stderr));
    let asked = release.server.asked();
    let gets: Vec<&String> = asked.iter().filter(|line| line.starts_with("GET")).collect();
    assert!(gets.len() >= 3 && gets[0].ends_with(" 0") && !gets[1].ends_with(" 0"), "{asked:?}");
    assert_eq!(sha256(&std::fs::read(&cached("-k3s")[0]).unwrap()), sha256(&release.k3s));
    home.run(&Here, "uninstall --keep-keys --yes").expect(0);
    assert_eq!(machine(), before);
}

#[test]
#[ignore = "needs root, cgroups and a Kubernetes: scripts/test kube"]
fn k3s_is_installed_through_any_number_of_ends_and_taken_back_whole() {
    if !inside("k3s_is_installed_through_any_number_of_ends_and_taken_back_whole") {
        return;
    }
    let release = Release::new();
    let home = Home::paired();
    let before = machine();
    let images = must(&mut Command::new(project().join("test/kubernetes/build")));
    let images = std::fs::read(Path::new(images.trim()).join("images/pause.tar")).unwrap();
    let pin = release.pin(&["norange"], |pin| {
        pin["images"] = json!([{
            "arch": "x86_64", "sha256": sha256(&images), "size": images.len(),
            "urls": [format!("{}/good/k3s-images.tar", release.server.url)],
        }]);
    });
    let line = format!("{} --wait-secs 600", start(&pin));
    // Ends as by kill -9 after each step; each run goes on from the one before.
    for moment in nodesys_failpoint::CLI {
        let run = home.command(&Here, &line).env("NODESYS_FAILPOINT", moment).output().unwrap();
        let words = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), None, "{moment}: {words}");
        assert_eq!(home.json("cluster.json")["phase"], "starting", "{moment}");
        eprintln!("ended at {moment}");
    }
    let done = home.run(&Here, &format!("{line} -o json"));
    eprintln!("{}", done.stderr);
    let done: Value = serde_json::from_str(&done.expect(0)).unwrap();
    assert_eq!(done["driver"], "k3s");
    assert_eq!(done["changes"], json!([]), "the run before had done all but say so");
    let files = machine();
    let again = home.run(&Here, "start");
    assert!(again.stderr.contains("all are as they should be"), "{}", again.stderr);
    again.expect(0);
    assert_eq!(machine(), files);
    release.server.asked();

    pods_do_not_reach_the_machine();

    // A program that was tampered with is put back, from what was fetched, and started anew.
    std::fs::write("/usr/local/bin/k3s", "#!/bin/false").unwrap();
    std::fs::remove_file("/etc/rancher/k3s/config.yaml").unwrap();
    home.run(&Here, "start --wait-secs 600").expect(0);
    assert_eq!(std::fs::read("/usr/local/bin/k3s").unwrap(), release.k3s);
    assert!(release.server.asked().iter().all(|line| line.starts_with("HEAD")));

    assert!(home.run(&Here, "stop").expect(0).contains("k3s"));
    assert!(home.run(&Here, "stop").expect(0).contains("nothing ran"));
    home.run(&Here, "start --wait-secs 600").expect(0);
    home.run(&Here, "uninstall --keep-keys --yes").expect(0);
    assert_eq!(machine(), before);

    // From a bundle, with nobody to fetch from.
    let bundle = pack(&home, &pin);
    release.server.asked();
    let signer = key(7).address();
    let strange = key(6).address();
    home.run(&Here, &format!("start --bundle {bundle}")).fails(2, "--bundle-signer is missing");
    home.run(&Here, &format!("start --bundle {bundle} --bundle-signer {strange}"))
        .fails(1, "is not by");
    assert_eq!(machine(), before);
    let start = format!("start --bundle {bundle} --bundle-signer {signer} --wait-secs 600");
    let started = home.run(&Here, &start);
    eprintln!("{}", started.stderr);
    started.expect(0);
    assert_eq!(release.server.asked(), [""; 0]);
    let again = home.run(&Here, &format!("bundle apply {bundle}"));
    assert!(again.expect(0).contains("changes     none"));
    // The rules are gone: the doctor sees it and puts them back.
    must(Command::new("nft").args(["delete", "table", "inet", "nodesys"]));
    home.run(&Here, "doctor").fails(5, "the rules are not loaded");
    let fixed = home.run(&Here, "doctor --fix").expect(0);
    assert!(fixed.contains("fixed    systemctl restart nodesys-firewall.service"), "{fixed}");
    home.run(&Here, "uninstall --yes").expect(0);
    assert_eq!(machine(), before);
    assert!(!home.path("cluster.json").exists() && !home.path("node.key").exists());
}

/// From an address of the pod range, over the real kernel's rules.
fn pods_do_not_reach_the_machine() {
    must(Command::new("ip").args(["address", "add", "10.42.0.9/32", "dev", "lo"]));
    let listener = TcpListener::bind("10.77.0.1:19999").unwrap();
    let from = |source: &str, port: u16| {
        let script = format!(
            "import socket; s = socket.socket(); s.settimeout(2); s.bind(('{source}', 0)); \
             s.connect(('10.77.0.1', {port}))"
        );
        Command::new("python3").args(["-c", &script]).output().unwrap().status.success()
    };
    assert!(from("10.77.0.2", 19_999), "the machine reaches itself");
    assert!(from("10.42.0.9", 6443), "pods reach the API");
    assert!(!from("10.42.0.9", 19_999), "pods reach nothing else of it");
    drop(listener);
    assert!(
        TcpStream::connect_timeout(&"10.77.0.1:6443".parse().unwrap(), Duration::from_secs(2))
            .is_ok()
    );
    must(Command::new("ip").args(["address", "delete", "10.42.0.9/32", "dev", "lo"]));
}
