//! A node on a real Kubernetes with a real kubelet, from `start` to a tombstone, through every
//! fault that a node must survive. One story in one cluster, in real time, which pods, probes and
//! back-offs need.
//!
//! Ignored by an ordinary run, since it needs root, cgroups and a Kubernetes built once per machine:
//! `scripts/test kube` runs it inside a cluster's network. Elsewhere it fails with `not run`.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the cluster lives in real time")]

mod updates;
mod world;

use std::time::{Duration, Instant};

use nodesys_clock::Clock;
use nodesys_core::time::UtcDay;
use nodesys_devnet::rpc_proxy::{Fault, RpcProxy};
use serde_json::{Value, json};
use world::{ALPHA, BETA, World, now, told, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test kube"]
async fn a_node_on_a_real_cluster() {
    let began = now();
    let mut world = World::new().await;
    told(began, "chain, database, backend and master run in the cluster's network");
    comes_up(&world, began).await;
    counts_minutes(&world, began).await;
    pauses(&world, began).await;

    // From here on for five minutes there is no backend; nothing may stop for that.
    let away = now();
    world.net.kill_backend(0).await.unwrap();
    told(began, "the backend is killed");
    restores(&world, began).await;
    updates(&world, began).await;
    goes_back(&world, began).await;
    keeps_to_its_quota(&world, began).await;
    one_manager_acts(&world, began).await;
    survives_restarts(&world, began).await;
    fails_static(&world, began).await;
    comes_back(&mut world, began, away).await;
    is_taken_down(&world, began).await;
    world.net.stop().await.unwrap();
}

/// `start`, two workloads, both running and healthy.
async fn comes_up(world: &World, began: Instant) {
    let before = world.net.chain.reader.latest_block().await.unwrap().number;
    let alpha = world.release(&world.document("alpha", 1), true).await;
    world.release(&world.document("beta", 1), true).await;
    let started = world.start().await;
    assert!(!started["changes"].as_array().unwrap().is_empty());
    told(began, "nodesys start: the manager is ready");
    assert_eq!(world.start().await["changes"], json!([]));
    told(began, "nodesys start again changes nothing");

    refuses_what_rpcs_do_not_agree_on(world, began, before).await;
    world.volume("beta").await;
    let url = ["--release-url", &world.releases_url, "--yes"];
    let added = world.nodesys_json(&[&["workload", "add", "acme/alpha"], &url[..]].concat()).await;
    assert_eq!(added["release"]["release_hash"], alpha.hash().to_string());
    assert_eq!((&added["already"], &added["right"]), (&json!(false), &json!("holder")));
    let beta = ["workload", "add", "acme/beta", "--license", "1"];
    world.nodesys_json(&[&beta[..], &url].concat()).await;
    let again = world.nodesys_json(&beta).await;
    assert_eq!((&again["already"], &again["changes"]), (&json!(true), &json!([])));
    told(began, "two workloads are added; added again nothing changes");
    let stranger = ["workload", "add", "acme/alpha", "--license", "2", "--yes"];
    assert_eq!(world.nodesys(&stranger).await.code, Some(6));

    for workload in ["alpha", "beta"] {
        world.shows(90, workload, "/status", "healthy").await;
        let namespace = world.namespace(workload).await;
        assert_eq!(world.ready_pods(&namespace).await.len(), 1);
    }
    told(began, "both workloads' pods run, and say that they are healthy");
}

/// One of two RPCs has not seen the announcement, or hides it: nothing is added.
async fn refuses_what_rpcs_do_not_agree_on(world: &World, began: Instant, before: u64) {
    let behind = RpcProxy::start(&world.net.backend_rpc).await.unwrap();
    let (first, second) = (world.reached(&world.net.backend_rpc), world.reached(&behind.url()));
    let rpcs = ["--rpc", &first, "--rpc", &second];
    let add = [&["workload", "add", "acme/alpha", "--license", "1", "--yes"], &rpcs[..]].concat();
    for (fault, code, words) in [
        (Fault::StandsAt(before), 3, "has no current release"),
        (Fault::OtherChain(1), 2, "is on chain 1, expected chain 31337"),
        (Fault::Down, 7, "502"),
    ] {
        behind.set(fault);
        let refused = world.nodesys(&add).await;
        assert_eq!(refused.code, Some(code), "{fault:?}: {refused:?}");
        assert!(refused.stderr.contains(words), "{fault:?}: {refused:?}");
    }
    assert_eq!(world.nodesys_json(&["workload", "list"]).await, json!([]));
    let there = world.kubectl(&["get", "namespaces", "--output", "name"]).await;
    assert!(!there.contains("alpha"), "{there}");
    told(began, "a workload on which two RPCs do not agree is not added");
}

/// Heartbeats are accepted, receipts kept, minutes counted.
async fn counts_minutes(world: &World, began: Instant) {
    for workload in ["alpha", "beta"] {
        world.shows(150, workload, "/last_result", "credited").await;
    }
    assert!(world.receipts() >= 1);
    let day = Clock::system().now().day();
    for license in [ALPHA, BETA] {
        // Over midnight the count begins anew.
        let mut minutes = 0;
        for day in [day.0 - 1, day.0].map(UtcDay) {
            minutes += world.minutes(&world.license(license), day).await.unwrap_or(0);
        }
        assert!(minutes >= 1);
    }
    told(began, "heartbeats are accepted, receipts stored, minutes counted by the backend");
    let listed = world.nodesys_json(&["workload", "list"]).await;
    for line in listed.as_array().unwrap() {
        assert_eq!((&line["lease"]["state"], &line["problems"]), (&json!("held"), &json!([])));
    }
    let status = world.nodesys(&["workload", "status", "alpha"]).await.ok().unwrap();
    assert!(status.contains("health       healthy"), "{status}");
    let logs = world.nodesys(&["workload", "logs", "alpha", "--lines", "50"]).await.ok().unwrap();
    assert!(logs.contains("sample workload runs"), "{logs}");
    told(began, "workload list, status and logs tell it");
}

/// A paused workload has no pods and no heartbeats; the other one continues.
async fn pauses(world: &World, began: Instant) {
    let (alpha, beta) = (world.namespace("alpha").await, world.namespace("beta").await);
    let other = world.ready_pods(&alpha).await;
    let pods =
        async || world.kubectl(&["--namespace", &beta, "get", "pods", "--output", "name"]).await;
    for _ in 0..2 {
        let said = world.nodesys(&["workload", "pause", "beta"]).await.ok().unwrap();
        assert!(said.contains("earns nothing until"), "{said}");
    }
    within(120, "the paused workload's pods have ended", async || {
        pods().await.is_empty().then_some(())
    })
    .await;
    let listed = world.nodesys_json(&["workload", "list"]).await;
    let paused = |name: &str| {
        let all = listed.as_array().unwrap();
        let label = format!("acme/{name}");
        all.iter().find(|line| line["workload"] == *label).unwrap()["paused"].clone()
    };
    assert_eq!((paused("alpha"), paused("beta")), (json!(false), json!(true)), "{listed}");
    let refused = world.nodesys(&["workload", "restart", "beta"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("is paused"), "{refused:?}");
    // What `start` mends is not what the operator has paused.
    world.start().await;
    world.shows(120, "alpha", "/status", "healthy").await;
    assert_eq!(pods().await, "");
    assert!(world.shown("beta").await.is_none());
    told(began, "a paused workload's pods end, and stay away when nodesys start runs again");
    for _ in 0..2 {
        world.nodesys(&["workload", "resume", "beta"]).await.ok().unwrap();
    }
    world.shows(120, "beta", "/status", "healthy").await;
    world.shows(120, "alpha", "/status", "healthy").await;
    assert_eq!(world.ready_pods(&alpha).await, other);
    told(began, "resumed, it is healthy again; the other workload's pod ran on");
}

/// Somebody edits the deployment; a pod is killed.
async fn restores(world: &World, began: Instant) {
    let namespace = world.namespace("alpha").await;
    let deployment = ["--namespace", &namespace, "get", "deployment", "workload"];
    let spec = async || world.kubectl_json(&deployment).await["spec"].clone();
    let before = spec().await;
    let patch = json!({ "spec": { "template": { "spec": { "hostNetwork": true, "containers": [
        { "name": "main", "env": [{ "name": "EXTRA", "value": "1" }] },
    ] } } } });
    let edit = ["--namespace", &namespace, "patch", "deployment", "workload", "--patch"];
    world.kubectl(&[&edit[..], &[&patch.to_string()]].concat()).await;
    within(60, "the edited deployment is restored", async || {
        (spec().await == before).then_some(())
    })
    .await;
    told(began, "an edited deployment is restored");

    let pods = world.ready_pods(&namespace).await;
    world.signal("nodesys-sample-workload", Some("alpha"), "-KILL");
    within(60, "the container is started again", async || {
        let pods = world.kubectl_json(&["--namespace", &namespace, "get", "pods"]).await;
        let restarts =
            pods.pointer("/items/0/status/containerStatuses/0/restartCount")?.as_u64()?;
        (restarts >= 1 && world.ready_pods(&namespace).await.len() == 1).then_some(())
    })
    .await;
    world.nodesys(&["workload", "restart", "alpha"]).await.ok().unwrap();
    within(60, "another pod runs", async || {
        let ready = world.ready_pods(&namespace).await;
        // Until it has ended the old one counts for the quota, in which an update has room for two.
        let all = world.kubectl_json(&["--namespace", &namespace, "get", "pods"]).await;
        let alone = all["items"].as_array().is_some_and(|all| all.len() == 1);
        (alone && ready.len() == 1 && !pods.contains(&ready[0])).then_some(())
    })
    .await;
    world.shows(60, "alpha", "/status", "healthy").await;
    told(began, "a killed process and a deleted pod are replaced");
}

/// Version 2 is rolled out once its delay has passed.
async fn updates(world: &World, began: Instant) {
    let mut second = world.document("alpha", 2);
    second["containers"][0]["env"] = json!({ "COLOUR": "green" });
    let published = now();
    world.release(&second, false).await;
    world.look_at_once();
    world.shows(60, "alpha", "/release/rollout", "2").await;
    world.shows(60, "alpha", "/release/current", "2").await;
    world.shows(30, "alpha", "/release/rollout", "null").await;
    let secs = published.elapsed().as_secs();
    told(began, &format!("version 2 runs, and is found good, {secs} s after it was announced"));
    world.shows(30, "alpha", "/status", "healthy").await;
}

/// An image that is missing, and a version that wants too much memory: back to version 2.
async fn goes_back(world: &World, began: Instant) {
    for (version, document, why) in
        [(3, world.without_image(3), "Image"), (4, world.hungry(4), "OOMKilled")]
    {
        world.release(&document, false).await;
        world.look_at_once();
        world.shows(60, "alpha", "/release/rollout", &version.to_string()).await;
        let pointer = format!("/release/quarantined/{version}");
        let shown = world.shows(150, "alpha", &pointer, why).await;
        assert_eq!(shown["release"]["current"], "2");
        let running = world.shows(60, "alpha", "/status", "healthy").await;
        assert_eq!(running["release"]["rollout"], Value::Null);
        let words = shown.pointer(&pointer).unwrap();
        told(began, &format!("version {version} is rolled back and in quarantine: {words}"));
    }
}

/// A pod beyond the namespace's grant is not created.
async fn keeps_to_its_quota(world: &World, began: Instant) {
    let namespace = world.namespace("alpha").await;
    let scale = ["--namespace", &namespace, "run", "extra", "--image", "nodesys.test/probe:1"];
    let mut refused = String::new();
    for number in 0..3 {
        let name = format!("extra-{number}");
        let mut arguments = scale.to_vec();
        arguments[3] = &name;
        let said = world.try_kubectl(&arguments).await;
        if said.code != Some(0) {
            refused = said.stderr;
            break;
        }
    }
    assert!(refused.contains("exceeded quota: workload"), "{refused}");
    let clear = ["--namespace", &namespace, "delete", "pod", "--selector", "run", "--wait=false"];
    world.kubectl(&clear).await;
    told(began, "a pod beyond the quota is refused");
}

/// Of two managers one acts; when it stops, the other takes over.
async fn one_manager_acts(world: &World, began: Instant) {
    let holder = async || {
        let lease = ["--namespace", "nodesys", "get", "lease", "nodesys-manager"];
        let found = world.kubectl_json(&lease).await;
        found["spec"]["holderIdentity"].as_str().map(str::to_owned)
    };
    let first = holder().await.unwrap();
    let scale = ["--namespace", "nodesys", "scale", "deployment", "nodesys-manager", "--replicas"];
    world.kubectl(&[&scale[..], &["2"]].concat()).await;
    within(60, "a second manager runs", async || {
        (world.processes("nodesys-manager", None).len() == 2).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(holder().await.as_ref(), Some(&first));
    let (pod, _) = first.rsplit_once('-').unwrap();
    let kill = ["--namespace", "nodesys", "delete", "pod", pod, "--grace-period=0", "--force"];
    world.kubectl(&kill).await;
    within(60, "the other manager acts", async || {
        holder().await.filter(|now| !now.is_empty() && *now != first)
    })
    .await;
    told(began, "of two managers one acts; killed, the other takes over");
    world.kubectl(&[&scale[..], &["1"]].concat()).await;
    within(90, "one manager is left, and acts", async || {
        let pods = world.ready_pods("nodesys").await;
        let acts = holder().await?;
        (pods.len() == 1 && acts.starts_with(&pods[0])).then_some(())
    })
    .await;
}

/// The kubelet is restarted; then the whole node.
async fn survives_restarts(world: &World, began: Instant) {
    let namespaces = [world.namespace("alpha").await, world.namespace("beta").await];
    let pods = async || {
        let mut all = Vec::new();
        for namespace in &namespaces {
            all.extend(world.ready_pods(namespace).await);
        }
        all
    };
    let before = pods().await;
    let process = world.processes("nodesys-sample-workload", None);
    world.restart(&[]).await;
    assert_eq!(world.processes("nodesys-sample-workload", None), process);
    told(began, "a restarted kubelet leaves the pods running");
    world.restart(&["--reboot"]).await;
    for workload in ["alpha", "beta"] {
        world.shows(150, workload, "/status", "healthy").await;
    }
    assert_eq!(pods().await.len(), before.len());
    told(began, "a rebooted node runs manager and workloads again");
}

/// The backend is still down, and everything runs; the status names the problem.
async fn fails_static(world: &World, began: Instant) {
    for workload in ["alpha", "beta"] {
        world.shows(30, workload, "/status", "healthy").await;
    }
    let status = within(90, "the status says that the backend does not answer", async || {
        world.status().await.filter(|status| status["last_error"]["message"].is_string())
    })
    .await;
    let words = status["last_error"]["message"].as_str().unwrap().to_owned();
    let line = world.nodesys(&["workload", "status", "beta"]).await;
    assert_eq!(line.code, Some(5), "{line:?}");
    assert!(line.stdout.contains("the lease is not known"), "{line:?}");
    told(began, &format!("without a backend all goes on, and the status says: {words}"));
}

/// The backend is back after five minutes; meanwhile beta has stopped posting.
async fn comes_back(world: &mut World, began: Instant, away: Instant) {
    let silent_for = Duration::from_secs(300 - 45);
    tokio::time::sleep(silent_for.saturating_sub(away.elapsed())).await;
    world.signal("nodesys-sample-workload", Some("beta"), "-STOP");
    let stopped = now();
    world.shows(40, "beta", "/status", "down").await;
    let secs = stopped.elapsed().as_secs();
    assert!(secs <= 40, "down only {secs} s after it stopped posting");
    told(began, &format!("a workload that stops posting is down {secs} s later"));

    tokio::time::sleep(Duration::from_secs(300).saturating_sub(away.elapsed())).await;
    let day = Clock::system().now().day();
    let before = world.receipts();
    world.net.start_backend(0).await.unwrap();
    let secs = away.elapsed().as_secs();
    told(began, &format!("the backend is back after {secs} s"));
    let minutes = async |license| world.minutes(&world.license(license), day).await.unwrap_or(0);
    let (alpha, beta) = (minutes(ALPHA).await, minutes(BETA).await);
    within(150, "minutes are counted again", async || {
        let today = Clock::system().now().day();
        // Over midnight the count begins anew.
        (world.receipts() > before && (minutes(ALPHA).await > alpha || today != day)).then_some(())
    })
    .await;
    let shown = world.shown("beta").await.unwrap();
    assert_eq!((&shown["status"], &shown["last_result"]), (&json!("down"), &json!("not_healthy")));
    assert_eq!(minutes(BETA).await, beta, "a minute of a silent workload was counted");
    told(began, "heartbeats are accepted again; the silent workload's minute is not counted");
    world.signal("nodesys-sample-workload", Some("beta"), "-CONT");
    world.shows(30, "beta", "/status", "healthy").await;
    told(began, "it posts again, and is healthy");
}

/// A tombstone removes beta and keeps its volume; the operator removes alpha.
async fn is_taken_down(world: &World, began: Instant) {
    let namespace = world.namespace("beta").await;
    world.owner(&["tombstone", "beta", "--version", "2"], true).await;
    world.look_at_once();
    let names = async |kind: &str| {
        world.kubectl(&["--namespace", &namespace, "get", kind, "--output", "name"]).await
    };
    within(90, "beta is gone", async || {
        (names("deployment").await.is_empty() && names("pods").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(names("persistentvolumeclaim").await.trim(), "persistentvolumeclaim/volume-data");
    told(began, "a tombstone removes the workload, and leaves its volume");

    let namespace = world.namespace("alpha").await;
    world.nodesys(&["workload", "remove", "alpha", "--yes"]).await.ok().unwrap();
    let said = world.try_kubectl(&["get", "namespace", &namespace]).await;
    assert!(said.stderr.contains("NotFound"), "{said:?}");
    let listed = world.nodesys_json(&["workload", "list"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    told(began, "workload remove takes its namespace away");
    world.nodesys(&["uninstall", "--yes"]).await.ok().unwrap();
    let left = world.kubectl(&["get", "namespaces", "--output", "name"]).await;
    assert!(!left.contains("nodesys"), "{left}");
    told(began, "uninstall leaves nothing in the cluster");
}

/// A node's cost and speed: lines of `name value unit`, for `scripts/bench node`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark: scripts/bench node"]
async fn figures() {
    let world = World::new().await;
    let figure = |name: &str, value: f64, unit: &str| println!("figure {name} {value:.1} {unit}");
    world.release(&world.document("alpha", 1), true).await;
    let began = now();
    world.start().await;
    figure("start-to-manager-ready", began.elapsed().as_secs_f64(), "s");
    let added = now();
    let add = ["workload", "add", "acme/alpha", "--yes", "--release-url", &world.releases_url];
    world.nodesys_json(&add).await;
    world.shows(90, "alpha", "/status", "healthy").await;
    figure("workload-add-to-healthy", added.elapsed().as_secs_f64(), "s");
    // At most a minute of it is the wait for the node's own second of the minute.
    within(150, "the first heartbeat is accepted", async || {
        world.status().await.filter(|status| !status["last_receipt"].is_null())
    })
    .await;
    figure("start-to-first-accepted-heartbeat", began.elapsed().as_secs_f64(), "s");

    let mut second = world.document("alpha", 2);
    second["containers"][0]["env"] = json!({ "COLOUR": "green" });
    let published = now();
    world.release(&second, false).await;
    world.look_at_once();
    let namespace = world.namespace("alpha").await;
    within(90, "a pod of version 2 runs", async || {
        let select = ["--selector", "nodesys.dev/release=2", "get", "pods"];
        let pods = [&["--namespace", &namespace], &select[..]].concat();
        let pods = world.kubectl_json(&pods).await;
        pods.pointer("/items/0/status/containerStatuses/0/ready").filter(|it| **it == true).cloned()
    })
    .await;
    // The release delay of this chain is part of it.
    let secs = published.elapsed().as_secs_f64();
    figure("release-announced-to-running", secs, "s");
    figure("release-delay-within-that", u32::try_from(world::DELAY_SECS).unwrap().into(), "s");
    world.shows(60, "alpha", "/release/rollout", "null").await;

    tokio::time::sleep(Duration::from_secs(30)).await;
    let [manager] = world.processes("nodesys-manager", None)[..] else { panic!("one manager") };
    let (before, rest) = (World::cpu_millis(manager), Duration::from_secs(120));
    tokio::time::sleep(rest).await;
    let used = World::cpu_millis(manager) - before;
    figure("manager-cpu-at-rest", used as f64 / rest.as_secs_f64(), "ms/s");
    figure("manager-rss", World::rss_kib(manager, "VmRSS") / 1024.0, "MiB");
    figure("manager-rss-peak", World::rss_kib(manager, "VmHWM") / 1024.0, "MiB");
    world.net.stop().await.unwrap();
}
