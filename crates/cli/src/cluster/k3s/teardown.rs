//! Taking k3s back: its units, its pods, its mounts and interfaces, its files. Right also after a run
//! that ended anywhere.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::places::{self, FIREWALL_UNIT, UNIT};
use crate::node::cluster_file::Made;
use crate::progress::Progress;
use crate::system::{UNITS, command};

/// The folders in which pods and containers mount.
const MOUNTS: [&str; 4] =
    ["/run/k3s", "/var/lib/rancher/k3s", "/var/lib/kubelet", "/run/netns/cni-"];

/// Interfaces that k3s makes.
const INTERFACES: [&str; 4] = ["cni0", "flannel.1", "flannel-v6.1", "kube-bridge"];

/// Programs of k3s, each release in a folder of its own.
const PROGRAMS: &str = "/var/lib/rancher/k3s/data/";

/// Takes back one thing that was made; whether it was there.
pub(crate) fn take_back(made: &Made, progress: &Progress) -> anyhow::Result<bool> {
    match made {
        Made::Namespace { .. } | Made::Container => Ok(false),
        Made::Unit { name } => {
            if name != UNIT && name != FIREWALL_UNIT {
                bail!("{name} is no unit of ours: cluster.json was changed by somebody");
            }
            let there = Path::new(UNITS).join(name).exists();
            if there {
                command("systemctl", &["disable", "--now", name])?;
            }
            if name == UNIT {
                end_pods(progress)?;
            }
            Ok(there)
        }
        Made::File { path } => {
            ours(path)?;
            let removed = std::fs::remove_file(path);
            let there =
                gone(removed).with_context(|| format!("cannot remove {}", path.display()))?;
            if there && path.starts_with(UNITS) {
                command("systemctl", &["daemon-reload"])?;
            }
            Ok(there)
        }
        Made::Tree { path } | Made::Cache { path } => {
            ours(path)?;
            if let Some(mount) = mounts()?.iter().find(|mount| Path::new(mount).starts_with(path)) {
                bail!("{mount} is still mounted, so {} is left: unmount it", path.display());
            }
            gone(std::fs::remove_dir_all(path))
                .with_context(|| format!("cannot remove {}", path.display()))
        }
    }
}

/// A file that can be edited names what is removed as root: only what we make is.
fn ours(path: &Path) -> anyhow::Result<()> {
    let units = [UNIT, FIREWALL_UNIT].map(|unit| format!("{UNITS}/{unit}"));
    let files = [places::PROGRAM, places::CONFIG, places::RULES, places::CACHE];
    let known = files.into_iter().any(|it| Path::new(it) == path)
        || units.iter().any(|it| Path::new(it) == path)
        || places::trees().iter().any(|it| matches!(it, Made::Tree { path: tree } if tree == path));
    if !known {
        bail!("{} is nothing of ours: cluster.json was changed by somebody", path.display());
    }
    Ok(())
}

fn gone(removed: std::io::Result<()>) -> std::io::Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends what outlives the service: pods, their mounts, their network.
pub(crate) fn end_pods(progress: &Progress) -> anyhow::Result<()> {
    progress.doing("ending pods");
    for pid in of_pods()? {
        if let Some(pid) = Pid::from_raw(pid) {
            // One that has ended meanwhile is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let mut mounted: Vec<String> =
        mounts()?.into_iter().filter(|it| MOUNTS.iter().any(|of| it.starts_with(of))).collect();
    // What lies deeper goes first.
    mounted.sort_unstable_by(|a, b| b.cmp(a));
    for mount in mounted {
        command("umount", &["--lazy", "--", &mount])?;
    }
    for name in INTERFACES {
        if Path::new("/sys/class/net").join(name).exists() {
            command("ip", &["link", "delete", name])?;
        }
    }
    for family in ["iptables", "ip6tables"] {
        // Where there is no such program there are no such rules.
        let Ok(saved) = command(&format!("{family}-save"), &[]) else { continue };
        let kept = without_pods(&saved);
        if kept != saved {
            restore(&format!("{family}-restore"), &kept)?;
        }
    }
    Ok(())
}

/// Rules but those of pods and services.
fn without_pods(saved: &str) -> String {
    let of_pods = ["KUBE-", "CNI-", "cni-", "FLANNEL", "flannel"];
    let kept = saved.lines().filter(|line| !of_pods.iter().any(|word| line.contains(word)));
    kept.collect::<Vec<&str>>().join("\n")
}

fn restore(program: &str, rules: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child =
        Command::new(program).stdin(Stdio::piped()).spawn().context(program.to_owned())?;
    let mut stdin = child.stdin.take().context("its input")?;
    writeln!(stdin, "{rules}").context(program.to_owned())?;
    drop(stdin);
    let status = child.wait().context(program.to_owned())?;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(())
}

/// The mounts of this machine.
fn mounts() -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    let paths = text.lines().filter_map(|line| line.split(' ').nth(1));
    Ok(paths.map(|path| path.replace("\\040", " ")).collect())
}

/// Processes of k3s' own programs, and everything below them.
fn of_pods() -> anyhow::Result<Vec<i32>> {
    let mut parents = HashMap::new();
    let mut found = HashSet::new();
    for entry in std::fs::read_dir("/proc").context("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.starts_with(PROGRAMS)) {
            found.insert(pid);
        }
        // One that ends meanwhile has no parent to tell.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent_of(&stat) {
            parents.insert(pid, parent);
        }
    }
    Ok(below(&parents, found))
}

/// The fourth field; the second is a name in parentheses, which may hold anything.
fn parent_of(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn below(parents: &HashMap<i32, i32>, mut found: HashSet<i32>) -> Vec<i32> {
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            let mut all: Vec<i32> = found.into_iter().collect();
            all.sort_unstable();
            return all;
        }
        found.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_make_is_removed() {
        for good in ["/usr/local/bin/k3s", "/etc/rancher", "/var/cache/nodesys", "/etc/nodesys"] {
            ours(Path::new(good)).unwrap();
        }
        for bad in ["/", "/etc", "/var/lib", "/etc/rancher/..", "/usr/local/bin/docker"] {
            ours(Path::new(bad)).unwrap_err();
        }
    }

    #[test]
    fn everything_below_a_shim_is_found() {
        let parents = HashMap::from([(10, 1), (11, 10), (12, 11), (20, 1), (21, 20)]);
        assert_eq!(below(&parents, HashSet::from([10])), [10, 11, 12]);
        assert_eq!(parent_of("12 (a) b) S 11 12 12"), Some(11));
        assert_eq!(parent_of(""), None);
    }

    #[test]
    fn rules_of_pods_go_and_others_stay() {
        let saved = "*filter\n:INPUT ACCEPT [0:0]\n:KUBE-FIREWALL - [0:0]\n-A INPUT -j KUBE-FIREWALL\n\
                     -A INPUT -p tcp --dport 22 -j ACCEPT\n-A FORWARD -m comment --comment \"flanneld \
                     forward\" -j FLANNEL-FWD\nCOMMIT";
        let kept = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT";
        assert_eq!(without_pods(saved), kept);
    }
}
