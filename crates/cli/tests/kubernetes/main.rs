//! `nodesys start` and its like on a real Kubernetes with a real kubelet.
//!
//! Ignored by an ordinary run, since it needs root, cgroups, a Kubernetes built once per machine and
//! the manager's image: `scripts/test kube` runs it. Where it cannot run it fails with `not run`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod world;

use nodesys_testing::home::{Home, wait_for};
use nodesys_testing::key;
use nodesys_testing::program::Run;
use serde_json::Value;
use world::Cluster;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The whole life of a node on a cluster that is there.
#[test]
#[ignore = "needs a cluster: scripts/test kube"]
fn a_node_starts_changes_stops_and_goes_on_a_cluster_that_is_there() {
    let cluster = Cluster::up();
    let image = cluster.image.clone();
    let start = format!(
        "start --driver existing --kubeconfig {} --manager-image {image}",
        cluster.kubeconfig
    );
    let namespace = || cluster.kubectl("get namespace nodesys --ignore-not-found");

    // What stands in the way is said before anything is changed.
    Home::empty().run(&cluster, &start).fails(4, "pair it first");
    let home = Home::paired();
    home.run(&cluster, "start").fails(2, "--driver is missing");
    home.run(&cluster, &format!("{start} --context none")).fails(2, "no context \"none\"; it has:");
    home.run(&cluster, &format!("{start} --rpc http://127.0.0.1:1")).fails(2, "the pod itself");
    home.run(&cluster, &start).fails(1, "no default storage class");
    for line in ["stop", "logs"] {
        home.run(&cluster, line).fails(3, "no cluster yet");
    }
    assert_eq!(namespace(), "");
    assert!(!home.path("cluster.json").exists());

    // A create that fails is taken back, unless it shall be looked at.
    cluster.add_volume();
    let missing = start.replace(&image, &format!("localhost/none@sha256:{}", "a".repeat(64)));
    let failed = home.run(&cluster, &missing);
    assert!(failed.stderr.contains("everything was removed again"), "{}", failed.stderr);
    failed.fails(5, "ImagePull");
    assert_eq!(namespace(), "");
    assert!(!home.path("cluster.json").exists());
    // The volume was used, and a volume that is kept is not used again by itself.
    cluster.add_volume();
    home.run(&cluster, &format!("{missing} --keep")).fails(5, "kept as it is");
    assert!(namespace().contains("Active"));
    home.run(&cluster, "status").fails(3, "start was interrupted");

    // From there it goes on.
    let started = json(&home.run(&cluster, &format!("{start} -o json")).expect(0));
    assert_eq!(started["manager_image"], image);
    assert_eq!(started["changes"][0]["object"], "Deployment nodesys-manager");
    let mode = cluster.kubectl("--namespace nodesys get pods --output wide");
    assert!(mode.contains("1/1"), "{mode}");

    // Again: nothing changes, in the cluster's own books either.
    let books = || {
        cluster.kubectl(
            "--namespace nodesys get secret,configmap,service,role,persistentvolumeclaim,deployment \
             --output custom-columns=K:.kind,N:.metadata.name,G:.metadata.generation,\
             C:.metadata.creationTimestamp",
        )
    };
    let before = books();
    let again = home.run(&cluster, "start");
    assert!(again.stderr.contains("all are as they should be"), "{}", again.stderr);
    assert!(again.expect(0).contains("changes     none"));
    assert_eq!(books(), before);
    home.run(&cluster, "start --driver existing --kubeconfig /other")
        .fails(2, "has the kubeconfig");

    // Its status is read through the cluster; nobody answers the manager here.
    let status = home.run(&cluster, "status -o json");
    let body = json(&status.expect(5));
    assert_eq!(body["cluster"]["manager"], "ready");
    assert_eq!(body["cluster"]["problems"], serde_json::json!([]));
    assert_eq!(body["manager"]["node_key"], serde_json::json!(key(8).address()));
    assert_eq!(body["manager"]["backend"], "http://10.77.0.2:9");
    let info = json(&home.run(&cluster, "info -o json").expect(0));
    assert_eq!(info["cluster"]["kubernetes"], "v1.20.2");
    assert_eq!(info["operator"], serde_json::json!(key(7).address()));
    let logs = home.run(&cluster, "logs --lines 50").expect(0);
    assert!(logs.contains("this manager acts"), "{logs}");

    // This cluster's network enforces no policies, which must be said; nothing of the probe is left.
    let isolation = json(&home.run(&cluster, "doctor --isolation -o json").expect(5));
    assert_eq!(isolation["enforced"], "no", "{isolation}");
    assert_eq!(isolation["control_reached"], true, "{isolation}");
    home.run(&cluster, "doctor --isolation").fails(5, "isolation: not enforced");
    assert!(!cluster.kubectl("get namespaces --output name").contains("isolation"));
    assert_eq!(home.json("cluster.json")["made"].as_array().unwrap().len(), 1);
    let doctor = home.run(&cluster, "doctor").expect(0);
    assert!(doctor.contains("nothing is wrong"), "{doctor}");

    // An edited deployment is put back.
    cluster.kubectl("--namespace nodesys set env deployment/nodesys-manager EVIL=1");
    cluster.kubectl("--namespace nodesys scale deployment/nodesys-manager --replicas 0");
    let mended = home.run(&cluster, "start").expect(0);
    assert!(mended.contains("Deployment nodesys-manager changed at /spec/replicas"), "{mended}");

    // A bad update is put back by itself, and the one that ran is ready again.
    let bad = missing.split_once("--manager-image").unwrap().1;
    let updated = home.run(&cluster, &format!("start --manager-image {bad}"));
    assert!(updated.stderr.contains("restored, and is ready"), "{}", updated.stderr);
    updated.fails(5, "ImagePull");
    assert_eq!(home.json("cluster.json")["manager_image"], image);
    let ready = json(&home.run(&cluster, "status -o json").expect(5));
    assert_eq!(ready["cluster"]["manager_image"], image);

    // Another node does not take the cluster over.
    let other = Home::paired();
    std::fs::write(other.path("node.key"), key(9).to_hex().as_str()).unwrap();
    other.run(&cluster, &start).fails(4, "is not paired");

    assert!(home.run(&cluster, "stop").expect(0).contains("stopped: the manager"));
    assert!(home.run(&cluster, "stop").expect(0).contains("nothing ran"));
    home.run(&cluster, "status").fails(3, "it is stopped");
    home.run(&cluster, "logs").fails(3, "does not run");
    home.run(&cluster, "start").expect(0);

    home.run(&cluster, "uninstall").fails(2, "give --yes");
    home.run(&cluster, "uninstall --keep-keys --yes").expect(0);
    assert_eq!(namespace(), "");
    assert!(home.path("node.key").exists() && !home.path("cluster.json").exists());
    home.run(&cluster, "uninstall --keep-keys --yes").fails(3, "nothing to uninstall");
    home.run(&cluster, "uninstall --yes").expect(0);
    assert!(!home.path("node.key").exists() && home.path("config.json").exists());
}

/// Ctrl-C, and an end without any warning, at many moments.
#[test]
#[ignore = "needs a cluster: scripts/test kube"]
fn a_start_that_is_stopped_at_any_moment_goes_on() {
    let cluster = Cluster::up();
    cluster.add_volume();
    let home = Home::paired();
    let start = format!(
        "start --driver existing --kubeconfig {} --manager-image {}",
        cluster.kubeconfig, cluster.image
    );
    for (signal, objects) in [("INT", 0), ("KILL", 1), ("TERM", 4), ("KILL", 8), ("INT", 10)] {
        let child = home.command(&cluster, &start).spawn().unwrap();
        wait_for(&format!("{objects} objects"), || {
            let list = "secrets,configmaps,services,roles,rolebindings,persistentvolumeclaims,\
                        deployments,networkpolicies,serviceaccounts";
            let there = cluster.kubectl(&format!("--namespace nodesys get {list} --output name"));
            let ours = there.lines().filter(|name| name.contains("nodesys-manager")).count();
            (ours >= objects.min(8)).then_some(())
        });
        let pid = child.id().to_string();
        std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        let run = Run::of(child.wait_with_output().unwrap());
        // The first comes as soon as the program runs, on a busy machine before it listens for signals.
        let unheard = objects == 0 && run.code.is_none();
        // It may have been faster.
        if signal != "KILL" && run.code != Some(0) && !unheard {
            run.fails(1, "resumes from here");
        }
    }
    home.run(&cluster, &start).expect(0);
    let phase = &home.json("cluster.json")["phase"];
    assert_eq!(phase, "running");
    // Two at once: one of them does it, the other does not wait and says so.
    let first = home.command(&cluster, "stop").spawn().unwrap();
    let second = home.run(&cluster, "stop");
    let both = [Run::of(first.wait_with_output().unwrap()), second];
    assert!(both.iter().any(|run| run.code == Some(0)));
    for run in both.into_iter().filter(|run| run.code != Some(0)) {
        run.fails(1, "another nodesys command");
    }
    home.run(&cluster, "uninstall --yes").expect(0);
    assert_eq!(cluster.kubectl("get namespace nodesys --ignore-not-found"), "");
}
