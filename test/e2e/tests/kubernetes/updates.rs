//! The node updates itself on a real cluster: programs and manager together, kept by real receipts;
//! a manager that does not run is rolled back by itself, and a waiting one on the operator's
//! command.

use std::path::Path;
use std::process::Command;

use nodesys_devnet::{Output, run};
use serde_json::{Value, json};

use crate::world::{World, now, told};
use nodesys_testing::updates::{CURRENT, FIRST, World as Programs};

/// An image built by `scripts/image`, with another label, loaded into the node.
fn image(world: &World, name: &str, program: &str, label: &str) -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let built = project.join("target/x86_64-unknown-linux-gnu/image").join(program);
    assert!(built.exists(), "not run: {} is not there: scripts/image", built.display());
    let tar = world.home.join(format!("{name}.tar"));
    let mut pack = Command::new(project.join("scripts/oci-pack"));
    pack.arg(&tar).arg(format!("localhost/{name}:test"));
    pack.args(["--entrypoint", &format!("/{program}"), "--user", "65532:65532"]);
    pack.args(["--label", label]);
    pack.arg(format!("{}:/{program}", built.display()));
    let roots = project.join("target/images/ca-certificates.crt");
    pack.arg(format!("{}:/etc/ssl/certs/ca-certificates.crt", roots.display()));
    assert!(pack.output().unwrap().status.success(), "{pack:?}");
    let mut load = Command::new(project.join("test/kubernetes/load-image"));
    let output = load.arg(&world.cluster).arg(&tar).output().unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let by_digest = names.lines().find(|name| name.contains("@sha256:"));
    by_digest.unwrap_or_else(|| panic!("{errors}")).to_owned()
}

/// A release of the programs and this manager, published.
fn publish(programs: &Programs, version: &str, image: &str) {
    programs.real_release(version, &format!("--manager-image {image}"));
    programs.publish();
}

async fn update(world: &World, programs: &Programs, line: &str) -> Output {
    let command = programs.command_of(&world.home, line);
    let mut command = tokio::process::Command::from(command);
    // The cluster's programs are found by it.
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    run(command).await.unwrap()
}

#[track_caller]
fn ended(said: &Output, code: i32) -> Value {
    assert_eq!(said.code, Some(code), "{}\n{}", said.stdout, said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

async fn running_image(world: &World) -> String {
    let get = ["--namespace", "nodesys", "get", "deployment", "nodesys-manager"];
    let deployment = world.kubectl_json(&get).await;
    let image = deployment.pointer("/spec/template/spec/containers/0/image");
    image.and_then(Value::as_str).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test kube"]
async fn a_node_on_a_real_cluster_updates_itself() {
    let began = now();
    let world = World::new().await;
    let programs = Programs::without_release();
    let first = world.manager_image.clone();
    let good = image(&world, "nodesys-manager-good", "nodesys-manager", "release=0.2.0");
    let dead = image(&world, "nodesys-manager-dead", "nodesys-sample-workload", "release=0.3.0");
    world.release(&world.document("alpha", 1), true).await;
    world.start().await;
    world.volume("unused").await;
    let url = ["--release-url", &world.releases_url, "--yes"];
    world.nodesys_json(&[&["workload", "add", "acme/alpha"], &url[..]].concat()).await;
    world.shows(150, "alpha", "/last_result", "credited").await;
    told(began, "a node runs, and has receipts");

    publish(&programs, "0.2.0", &good);
    let said = update(&world, &programs, FIRST).await;
    assert_eq!(ended(&said, 0)["state"], "updated", "{}", said.stderr);
    programs.is_at("0.2.0");
    assert_eq!(running_image(&world).await, good);
    told(began, "0.2.0 is in place with its manager, after three receipts");
    assert_eq!(ended(&update(&world, &programs, "update").await, 0)["state"], "current");

    publish(&programs, "0.3.0", &dead);
    let said = update(&world, &programs, "update").await;
    let report = ended(&said, 5);
    assert_eq!((&report["state"], &report["version"]), (&json!("rolled_back"), &json!("0.3.0")));
    programs.is_at("0.2.0");
    assert_eq!(running_image(&world).await, good);
    told(began, "0.3.0, whose manager does not run, went back by itself");
    assert_eq!(ended(&update(&world, &programs, "update").await, 0)["state"], "quarantined");

    // The restored manager must have a receipt before another update begins.
    world.shows(150, "alpha", "/last_result", "credited").await;
    // The operator ends one that waits for its health: the manager goes back as well.
    publish(&programs, "0.4.0", &first);
    let command = programs.command_of(&world.home, "update");
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    crate::world::within(120, "it watches", async || {
        let journal = std::fs::read(world.home.join("update/journal.json")).ok()?;
        let journal: Value = serde_json::from_slice(&journal).ok()?;
        (journal["step"] == "watching").then_some(())
    })
    .await;
    child.kill().await.unwrap();
    programs.is_at("0.4.0");
    assert_eq!(running_image(&world).await, first);
    let report = ended(&update(&world, &programs, "update --roll-back").await, 5);
    assert_eq!(report["why"], "rolled back by the operator");
    programs.is_at("0.2.0");
    assert_eq!(running_image(&world).await, good);
    assert_ne!(CURRENT, "0.2.0");
    told(began, "0.4.0 was killed while it waited, and taken back with its manager");
    world.net.stop().await.unwrap();
}
