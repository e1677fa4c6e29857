//! The controller against a real Kubernetes API and a real chain.
//!
//! Ignored by an ordinary run, since it needs root and a Kubernetes built once per machine:
//! `scripts/test kube` runs it. Where it cannot run it fails with `not run`, never green.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the cluster lives in real time")]

mod world;

use axum::http::StatusCode;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, ResourceQuota, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, ListParams, Patch, PatchParams};
use nodesys_chain::bindings::ProjectRegistry;
use nodesys_chain::release::announce_tombstone_request;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE, WORKLOAD};
use serde_json::{Value, json};
use world::{Manager, World, release, wait_for};

/// The version that the deployment is labelled with.
async fn deployed(world: &World) -> Option<String> {
    let deployment = world.namespaced::<Deployment>().get_opt(WORKLOAD).await.unwrap()?;
    deployment.metadata.labels?.remove("nodesys.dev/release")
}

async fn wait_deployed(world: &World, version: &str) {
    wait_for(&format!("version {version} deployed"), async || {
        (deployed(world).await.as_deref() == Some(version)).then_some(())
    })
    .await;
}

async fn deployment(world: &World) -> Value {
    let found = world.namespaced::<Deployment>().get(WORKLOAD).await.unwrap();
    serde_json::to_value(found).unwrap()
}

/// A world in which version 1 runs.
async fn running(name: &str) -> (World, Manager) {
    let world = World::new(name).await;
    let first = release(1, |_| ());
    world.backend.publish(&first);
    world.chain.release(&first).await;
    let manager = world.manager().await;
    wait_deployed(&world, "1").await;
    (world, manager)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test kube"]
async fn a_release_runs_after_its_delay_and_not_before_nor_when_vetoed() {
    let world = World::new("delay").await;
    let (first, second) = (release(1, |_| ()), release(2, |_| ()));
    world.backend.publish(&first);
    world.backend.publish(&second);
    world.chain.announce(&first).await;
    world.chain.announce(&second).await;
    let registry = ProjectRegistry::new(world.chain.registry, world.chain.provider.rpc());
    let veto = registry.veto(world.chain.project, "render".to_owned(), 2);
    world.chain.send(veto.into_transaction_request()).await;

    let manager = world.manager().await;
    world.shows(&manager, "/release/waits", "version 1 may run from").await;
    assert_eq!(deployed(&world).await, None);

    world.chain.pass_delay().await;
    manager.wake();
    wait_deployed(&world, "1").await;
    // Version 2 is past its delay as well, but vetoed.
    let shown = world.shows(&manager, "/release/current", "1").await;
    assert_eq!(shown["release"]["problem"], Value::Null);
    assert!(world.events().await.contains(&"Installed".to_owned()));

    // What a pod needs is there, and its word is heard.
    let claims = world.namespaced::<PersistentVolumeClaim>();
    assert!(claims.get_opt("volume-data").await.unwrap().is_some());
    assert_eq!(world.post_healthy(&manager, 1).await, StatusCode::NO_CONTENT);
    assert_eq!(world.shown(&manager).await["status"], "healthy");
    let pods = world.namespaced::<Pod>();
    let pod = wait_for("a pod within the quota", async || {
        pods.list(&ListParams::default()).await.unwrap().items.pop()
    })
    .await;
    assert_eq!(pod.spec.unwrap().automount_service_account_token, Some(false));
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test kube"]
async fn an_edited_deployment_is_restored_and_an_edited_sandbox_is_told() {
    let (world, manager) = running("drift").await;
    let before = deployment(&world).await["spec"].clone();
    let deployments = world.namespaced::<Deployment>();
    let edit = PatchParams { field_manager: Some("kubectl-edit".into()), ..Default::default() };
    let edits = [
        json!({ "spec": { "replicas": 0 } }),
        json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "main", "image": "evil.example.org/x:latest" },
        ] } } } }),
        // Beyond what is rendered: only the server's books tell these.
        json!({ "spec": { "template": { "spec": {
            "volumes": [{ "name": "host", "hostPath": { "path": "/" } }],
            "containers": [{ "name": "main", "env": [{ "name": "EXTRA", "value": "1" }] }],
        } } } }),
        json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "second", "image": "evil.example.org/x:latest" },
        ] } } } }),
        json!({ "spec": { "template": { "spec": { "hostNetwork": true } } } }),
    ];
    for change in edits {
        let edited = deployments.patch(WORKLOAD, &edit, &Patch::Strategic(&change)).await.unwrap();
        assert_ne!(serde_json::to_value(edited.spec).unwrap(), before, "{change}");
        wait_for(&format!("restored after {change}"), async || {
            (deployment(&world).await["spec"] == before).then_some(())
        })
        .await;
    }
    assert!(world.events().await.contains(&"Restored".to_owned()));
    // Fields go again when a release no longer has them: nobody else owns any.
    let owners = deployment(&world).await["metadata"]["managedFields"].clone();
    let owners: Vec<&str> = owners
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["fieldsV1"].get("f:spec").is_some())
        .map(|entry| entry["operation"].as_str().unwrap())
        .collect();
    assert_eq!(owners, ["Apply"]);

    // The token's secret too.
    let secrets = world.namespaced::<Secret>();
    let secret = || async { secrets.get("health-token").await.unwrap().data.unwrap() };
    let token = secret().await;
    let changed = json!({ "stringData": { "release-1": "changed-0123456789" } });
    secrets.patch("health-token", &edit, &Patch::Merge(&changed)).await.unwrap();
    manager.wake();
    wait_for("the token put back", async || (secret().await == token).then_some(())).await;

    // The operator's objects are compared, told, and left alone; the manager could not change them.
    let policies = world.namespaced::<NetworkPolicy>();
    let open = json!({ "spec": { "egress": [{}] } });
    policies.patch(WORKLOAD, &edit, &Patch::Merge(&open)).await.unwrap();
    manager.wake();
    world.shows(&manager, "/release/changed", "NetworkPolicy workload differs at").await;
    assert!(world.events().await.contains(&"SandboxChanged".to_owned()));
    let spec = policies.get(WORKLOAD).await.unwrap().spec.unwrap();
    assert_eq!(spec.egress.unwrap().len(), 1, "left as it is");

    let weak = world.as_manager().await;
    let forbidden = |answer: Result<(), kube::Error>| match answer {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
        other => panic!("expected to be forbidden: {other:?}"),
    };
    let patch = PatchParams::default();
    let api: Api<NetworkPolicy> = Api::namespaced(weak.clone(), &world.namespace);
    forbidden(api.patch(WORKLOAD, &patch, &Patch::Merge(&open)).await.map(drop));
    let api: Api<ResourceQuota> = Api::namespaced(weak.clone(), &world.namespace);
    let more = json!({ "spec": { "hard": { "pods": "100" } } });
    forbidden(api.patch(WORKLOAD, &patch, &Patch::Merge(&more)).await.map(drop));
    let api: Api<Namespace> = Api::all(weak.clone());
    let labels = json!({ "metadata": { "labels": { "a": "b" } } });
    forbidden(api.patch(&world.namespace, &patch, &Patch::Merge(&labels)).await.map(drop));
    forbidden(api.list(&ListParams::default()).await.map(drop));
    let api: Api<Secret> = Api::namespaced(weak, MANAGER_NAMESPACE);
    forbidden(api.get(MANAGER).await.map(drop));
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test kube"]
async fn a_good_version_replaces_and_a_bad_one_is_rolled_back_and_quarantined() {
    let (world, manager) = running("rollback").await;
    let second = release(2, |it| {
        it["containers"][0]["env"] = json!({ "NEW": "1" });
        it["update"]["deadline_secs"] = json!(3600);
    });
    world.backend.publish(&second);
    world.chain.release(&second).await;
    manager.wake();
    wait_deployed(&world, "2").await;
    // The old version's posts do not pass the gate; ten seconds of the new one's do.
    assert_eq!(world.post_healthy(&manager, 1).await, StatusCode::NO_CONTENT);
    assert_eq!(world.shown(&manager).await["release"]["rollout"], "2");
    wait_for("version 2 through its gate", async || {
        assert_eq!(world.post_healthy(&manager, 2).await, StatusCode::NO_CONTENT);
        (world.shown(&manager).await["release"]["current"] == "2").then_some(())
    })
    .await;
    assert_eq!(world.post_healthy(&manager, 1).await, StatusCode::UNAUTHORIZED);
    let env = deployment(&world).await["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    assert!(env.to_string().contains("\"NEW\"") && !env.to_string().contains("RENDER_THREADS"));

    // Version 3 never speaks: after its 30 seconds the node goes back by itself.
    let third = release(3, |_| ());
    world.backend.publish(&third);
    world.chain.release(&third).await;
    manager.wake();
    wait_deployed(&world, "3").await;
    world.shows(&manager, "/release/quarantined/3", "not healthy within 30 s").await;
    wait_deployed(&world, "2").await;
    let shown = world.shown(&manager).await;
    assert_eq!(
        (&shown["release"]["current"], &shown["release"]["rollout"]),
        (&json!("2"), &Value::Null)
    );
    assert!(shown["release"]["problem"].as_str().unwrap().contains("version 3: not run again"));
    let events = world.events().await;
    for reason in ["Installed", "Updating", "Updated", "RolledBack", "HeldUp"] {
        assert!(events.contains(&reason.to_owned()), "{reason}: {events:?}");
    }

    // A manager that starts anew with an empty folder knows it, too.
    manager.stop().await;
    let again = world.manager_named("second", &[&world.chain.url]).await;
    world.shows(&again, "/release/problem", "version 3: not run again").await;
    assert_eq!(deployed(&world).await.as_deref(), Some("2"));

    // Version 4 crashes, which is plain at once.
    let fourth = release(4, |it| it["update"]["deadline_secs"] = json!(3600));
    world.backend.publish(&fourth);
    world.chain.release(&fourth).await;
    again.wake();
    wait_deployed(&world, "4").await;
    let pods = world.namespaced::<Pod>();
    let pod = wait_for("a pod of version 4", async || {
        let of = ListParams::default().labels("nodesys.dev/release=4");
        pods.list(&of).await.unwrap().items.pop()
    })
    .await;
    let crashed = json!({ "status": { "containerStatuses": [{
        "name": "main", "ready": false, "restartCount": 3, "image": "", "imageID": "",
        "state": { "waiting": { "reason": "CrashLoopBackOff" } },
        "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
    }] } });
    let name = pod.metadata.name.unwrap();
    let as_kubelet = PatchParams::default();
    pods.patch_status(&name, &as_kubelet, &Patch::Strategic(&crashed)).await.unwrap();
    world.shows(&again, "/release/quarantined/4", "OOMKilled (exit code 137)").await;
    wait_deployed(&world, "2").await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test kube"]
async fn a_tombstone_removes_and_keeps_volumes_unless_it_says_otherwise() {
    let (world, manager) = running("tombstone").await;
    let claims = world.namespaced::<PersistentVolumeClaim>();
    let render = "render".parse().unwrap();
    let (registry, project) = (world.chain.registry, world.chain.project);
    let tombstone =
        |version, volumes| announce_tombstone_request(registry, project, &render, version, volumes);
    let gone = async || {
        wait_for("the deployment gone", async || deployed(&world).await.is_none().then_some(()))
            .await;
    };
    // Announced is not in effect.
    world.chain.send(tombstone(2, false)).await;
    manager.wake();
    world.shows(&manager, "/release/current", "1").await;
    assert_eq!(deployed(&world).await.as_deref(), Some("1"));
    world.chain.pass_delay().await;
    manager.wake();
    gone().await;
    world.shows(&manager, "/release/waits", "removed by tombstone 2").await;
    assert!(claims.get("volume-data").await.unwrap().metadata.deletion_timestamp.is_none());
    assert!(world.namespaced::<Secret>().get_opt("health-token").await.unwrap().is_none());
    assert!(world.events().await.contains(&"Removed".to_owned()));

    // A later release is a new beginning, on the volume that was kept.
    let third = release(3, |_| ());
    world.backend.publish(&third);
    world.chain.release(&third).await;
    manager.wake();
    wait_deployed(&world, "3").await;

    world.chain.send(tombstone(4, true)).await;
    world.chain.pass_delay().await;
    manager.wake();
    gone().await;
    wait_for("the volume gone", async || {
        claims.get_opt("volume-data").await.unwrap().is_none().then_some(())
    })
    .await;
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test kube"]
async fn nothing_is_taken_away_when_others_fail_or_lie() {
    let (mut world, manager) = running("static").await;
    let still = async |world: &World| {
        assert_eq!(deployed(world).await.as_deref(), Some("1"));
        let claims = world.namespaced::<PersistentVolumeClaim>();
        assert!(claims.get("volume-data").await.unwrap().metadata.deletion_timestamp.is_none());
    };
    // The backend has other bytes than those announced.
    let (second, evil) = (release(2, |_| ()), release(2, |it| it["name"] = json!("Evil")));
    let hash = second.hash().to_string();
    world.backend.bodies.lock().unwrap().insert(hash.clone(), evil.canonical());
    world.chain.release(&second).await;
    manager.wake();
    world.shows(&manager, "/release/problem", "these are other bytes").await;
    still(&world).await;
    // It has none, then it is gone.
    world.backend.bodies.lock().unwrap().remove(&hash);
    manager.wake();
    world.shows(&manager, "/release/problem", "it answered 404").await;
    world.backend.stop();
    manager.wake();
    world.shows(&manager, "/release/problem", "version 2: release 0x").await;
    still(&world).await;
    manager.stop().await;

    // An RPC whose chain is empty, alone and beside the true one.
    let empty = world::Chain::start("static").await;
    assert_eq!((empty.registry, empty.project), (world.chain.registry, world.chain.project));
    let lied_to = world.manager_named("lied-to", &[&empty.url]).await;
    world.shows(&lied_to, "/release/problem", "lists no release that may run").await;
    still(&world).await;
    lied_to.stop().await;
    let two = world.manager_named("two", &[&world.chain.url, &empty.url]).await;
    world.shows(&two, "/release/problem", "do not agree: one of them is behind, or wrong").await;
    still(&world).await;

    // The RPC is gone; drift is still put back.
    world.chain.stop();
    two.wake();
    world.shows(&two, "/release/problem", "does not answer").await;
    still(&world).await;
    let edit = PatchParams { field_manager: Some("kubectl-edit".into()), ..Default::default() };
    let deployments = world.namespaced::<Deployment>();
    let none = json!({ "spec": { "replicas": 0 } });
    deployments.patch(WORKLOAD, &edit, &Patch::Merge(&none)).await.unwrap();
    wait_for("replicas put back", async || {
        (deployment(&world).await["spec"]["replicas"] == 1).then_some(())
    })
    .await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test kube"]
async fn of_two_managers_one_acts() {
    let (world, first) = running("two").await;
    let second = world.manager_named("second", &[&world.chain.url]).await;
    let leases: Api<Lease> = Api::namespaced(world.cluster.client.clone(), MANAGER_NAMESPACE);
    let holder = || async { leases.get(MANAGER).await.unwrap().spec.unwrap().holder_identity };
    for _ in 0..10 {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(world.get(&first, "/readyz").await.0, StatusCode::OK);
        assert_eq!(world.get(&second, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(holder().await.as_deref(), Some("first"));
    }
    // One that stops in good order lets go, and the other need not wait the Lease out.
    first.stop().await;
    wait_for("the second acts", async || {
        (world.get(&second, "/readyz").await.0 == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(holder().await.as_deref(), Some("second"));

    // A manager whose Lease was taken ends: it must not act beside the other.
    let theirs = json!({ "spec": { "holderIdentity": "third", "leaseDurationSeconds": 60 } });
    leases.patch(MANAGER, &PatchParams::default(), &Patch::Merge(&theirs)).await.unwrap();
    let why = second.ended().await;
    assert!(format!("{why:#}").contains("the Lease is lost"), "{why:#}");
    assert_eq!(holder().await.as_deref(), Some("third"));
    leases.delete(MANAGER, &Default::default()).await.unwrap();
}
