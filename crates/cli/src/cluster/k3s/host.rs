//! The look at this machine, before k3s is installed on it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use super::places::PROGRAM;
use crate::cluster::finding::{Finding, Fix};
use crate::node::cluster_file::{ClusterFile, Made};
use crate::system::{UNITS, command, nft};

const GIB: u64 = 1 << 30;

/// The API, its agent, the kubelet: what k3s listens on.
const PORTS: [u16; 3] = [6443, 6444, 10250];

const MASK: &str =
    "systemctl mask sleep.target suspend.target hibernate.target hybrid-sleep.target";

/// Looks at the machine itself. `running`: our own k3s is up already.
pub(crate) fn machine(file: &ClusterFile, running: bool) -> Vec<Finding> {
    let mut findings = vec![system(), root(), systemd(), cgroups(), memory(), disk()];
    if !running {
        findings.extend(PORTS.into_iter().filter_map(port));
        findings.push(room(file));
    }
    findings.push(firewall());
    findings.push(sleep());
    findings
}

fn system() -> Finding {
    match std::env::consts::OS {
        "linux" => Finding::good("system", format!("Linux on {}", std::env::consts::ARCH)),
        other => Finding::bad(
            "system",
            format!("this is {other}, and k3s runs on Linux"),
            "use --driver existing with a cluster that you have",
        ),
    }
}

fn root() -> Finding {
    if rustix::process::geteuid().is_root() {
        Finding::good("rights", "root")
    } else {
        Finding::bad(
            "rights",
            "not root",
            "run it with sudo: a service and its files are installed",
        )
    }
}

fn systemd() -> Finding {
    if Path::new("/run/systemd/system").is_dir() {
        Finding::good("systemd", "it runs this machine")
    } else {
        Finding::bad(
            "systemd",
            "this machine does not run systemd, which keeps k3s running",
            "install k3s in your own way, and use --driver existing --kubeconfig \
             /etc/rancher/k3s/k3s.yaml",
        )
    }
}

fn cgroups() -> Finding {
    let second = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers");
    let first = || std::fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let there: Vec<String> = match second {
        Ok(text) => text.split_whitespace().map(str::to_owned).collect(),
        // Version 1: name, hierarchy, number, enabled.
        Err(_) => first()
            .lines()
            .filter(|line| line.ends_with("\t1"))
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect(),
    };
    judge_cgroups(&there)
}

fn judge_cgroups(there: &[String]) -> Finding {
    let needed = ["cpu", "cpuset", "memory", "pids"];
    let missing: Vec<&str> =
        needed.into_iter().filter(|name| !there.iter().any(|it| it == name)).collect();
    if missing.is_empty() {
        return Finding::good("cgroups", "cpu, cpuset, memory, pids");
    }
    Finding::bad(
        "cgroups",
        format!("the kernel does not limit {}", missing.join(", ")),
        "add cgroup_enable=cpuset cgroup_enable=memory cgroup_memory=1 to the kernel's command line \
         (on a Raspberry Pi /boot/firmware/cmdline.txt) and reboot",
    )
}

fn memory() -> Finding {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    judge_memory(kib.unwrap_or(0) << 10)
}

fn judge_memory(bytes: u64) -> Finding {
    let found = format!("{} MiB", bytes >> 20);
    // A little less than the number on the box: the kernel keeps some.
    match bytes {
        0..950_000_000 => Finding::bad(
            "memory",
            format!("{found} is too little"),
            "k3s needs 1 GiB, 2 with a workload",
        ),
        950_000_000..1_900_000_000 => {
            Finding::warning("memory", found, "2 GiB leave room for a workload")
        }
        _ => Finding::good("memory", found),
    }
}

fn disk() -> Finding {
    let free =
        rustix::fs::statvfs("/var/lib").map_or(0, |it| it.f_bavail.saturating_mul(it.f_frsize));
    judge_disk(free)
}

fn judge_disk(free: u64) -> Finding {
    let found = format!("{} MiB free for /var/lib", free >> 20);
    if free < 2 * GIB {
        Finding::bad("disk", found, "free some: k3s and its images need 2 GiB, workloads more")
    } else if free < 10 * GIB {
        Finding::warning(
            "disk",
            found,
            "images and volumes of workloads need more; 10 GiB are usual",
        )
    } else {
        Finding::good("disk", found)
    }
}

fn port(port: u16) -> Option<Finding> {
    let error = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).err()?;
    Some(Finding::bad(
        "ports",
        format!("port {port} is taken ({error})"),
        format!("find the program that listens: ss -ltnp 'sport = :{port}', and end it"),
    ))
}

/// Whether somebody else's k3s is there. What our own journal names is ours.
fn room(file: &ClusterFile) -> Finding {
    let ours = |path: &str| {
        file.made.iter().any(|made| match made {
            Made::File { path: made } | Made::Tree { path: made } => {
                made.as_path() == Path::new(path)
            }
            _ => false,
        })
    };
    let k3s_unit = format!("{UNITS}/k3s.service");
    let there: Vec<&str> = [PROGRAM, "/etc/rancher", "/var/lib/rancher", &k3s_unit]
        .into_iter()
        .filter(|path| Path::new(path).exists() && !ours(path))
        .collect();
    if there.is_empty() {
        return Finding::good("room", "no other k3s is here");
    }
    Finding::bad(
        "room",
        format!("another k3s was installed here: {}", there.join(", ")),
        "use it by --driver existing --kubeconfig /etc/rancher/k3s/k3s.yaml, or uninstall it first",
    )
}

fn firewall() -> Finding {
    match nft() {
        Some(path) => Finding::good("firewall", format!("{path} keeps pods off this machine")),
        None => Finding::bad(
            "firewall",
            "the program nft is missing, without which pods reach this machine's own addresses",
            "install nftables: apt-get install nftables (dnf, zypper, pacman have it too)",
        ),
    }
}

/// A node that sleeps earns nothing.
fn sleep() -> Finding {
    let can = std::fs::read_to_string("/sys/power/state").unwrap_or_default();
    let can = can.split_whitespace().any(|it| it == "mem" || it == "disk");
    let masked = std::fs::read_link(format!("{UNITS}/sleep.target"))
        .is_ok_and(|target| target == Path::new("/dev/null"));
    let battery =
        std::fs::read_dir("/sys/class/power_supply").into_iter().flatten().flatten().any(|it| {
            std::fs::read_to_string(it.path().join("type"))
                .is_ok_and(|kind| kind.trim() == "Battery")
        });
    match (can && !masked, battery) {
        (false, _) => Finding::good("sleep", "this machine does not go to sleep"),
        (true, battery) => {
            let found =
                if battery { "with a battery, it may go to sleep" } else { "it may go to sleep" };
            Finding::warning("sleep", found, MASK).with(Fix::run(MASK))
        }
    }
}

/// The opinion of systemd on a unit file; a complaint is shown, and stops nothing.
pub(crate) fn verify_unit(path: &str) -> Finding {
    match command("systemd-analyze", &["verify", path]) {
        Ok(_) => Finding::good("unit", format!("{path} is well formed")),
        Err(error) => Finding::warning(
            "unit",
            format!("systemd-analyze does not confirm {path}: {error:#}"),
            "ignore it if systemctl accepts the unit",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::finding::Verdict;

    #[test]
    fn what_is_found_is_judged() {
        let all: Vec<String> =
            ["cpu", "cpuset", "io", "memory", "pids"].map(str::to_owned).to_vec();
        assert_eq!(judge_cgroups(&all).verdict, Verdict::Good);
        let pi = judge_cgroups(&all[..3]);
        assert_eq!(pi.verdict, Verdict::Bad);
        assert!(pi.found.contains("memory, pids") && pi.fix.unwrap().contains("cgroup_memory=1"));
        let verdicts = |of: fn(u64) -> Finding, values: [u64; 3]| values.map(|it| of(it).verdict);
        let three = [Verdict::Bad, Verdict::Warning, Verdict::Good];
        assert_eq!(verdicts(judge_memory, [900 << 20, 1 << 30, 2 << 30]), three);
        assert_eq!(verdicts(judge_disk, [GIB, 5 * GIB, 50 * GIB]), three);
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let number = taken.local_addr().unwrap().port();
        let finding = port(number).unwrap();
        assert!(
            finding.found.contains(&number.to_string())
                && finding.fix.unwrap().contains("ss -ltnp")
        );
        drop(taken);
        assert_eq!(port(number), None);
    }
}
