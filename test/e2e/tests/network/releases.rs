//! A project owner's releases by the real program: announced on chain, handed to the backend and to a
//! folder, shown, taken down; every command twice.

use std::path::Path;

use nodesys_core::release::Release;
use nodesys_devnet::deploy::set_release_key;
use nodesys_devnet::{Person, run};
use nodesys_e2e::ShortDay;
use serde_json::{Value, json};

fn document(version: u64) -> Value {
    let amounts = json!({"cpu_millis": 50, "memory_mib": 32, "storage_mib": 16});
    json!({
        "format": "nodesys.release.v1",
        "name": "Alpha",
        "workload": "alpha",
        "version": version.to_string(),
        "containers": [{
            "name": "main",
            "image": format!("registry.example.org/acme/alpha@sha256:{}", "0a".repeat(32)),
            "resources": {"requests": amounts, "limits": amounts},
        }],
        "health": {"by": "token"},
        "update": {"strategy": "surge"},
    })
}

struct Owner {
    day: ShortDay,
}

impl Owner {
    fn write(&self, version: u64, change: impl FnOnce(&mut Value)) -> String {
        let path = self.day.net.path(format!("alpha-{version}.json"));
        let mut value = document(version);
        change(&mut value);
        std::fs::write(&path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn said(&self, sender: Option<&Person>, arguments: &[&str]) -> nodesys_devnet::Output {
        let mut command = self.day.net.master_command(&[&["release"], arguments].concat());
        if let Some(person) = sender {
            command.arg("--sender-keystore").arg(&person.keystore);
            command.arg("--sender-password-file").arg(&person.password_file);
        }
        run(command).await.unwrap()
    }

    async fn json(&self, sender: Option<&Person>, arguments: &[&str]) -> Value {
        self.said(sender, &[arguments, &["-o", "json"]].concat()).await.json().unwrap()
    }

    async fn refused(&self, sender: Option<&Person>, arguments: &[&str]) -> String {
        let said = self.said(sender, arguments).await;
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        said.stderr
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_announced_published_shown_and_taken_down() {
    let mut day = ShortDay::start(1).await;
    day.start_master().await;
    let net = &day.net;
    let (client, project) = (net.client(0).unwrap(), net.network.deployed.distributor);
    let before = run(net.master_command(&["release", "show", "alpha"])).await.unwrap();
    assert!(before.ok().unwrap().contains("release key   none"));
    set_release_key(&net.chain, &net.people, &net.network.deployed, 60).await.unwrap();
    let this = Owner { day };
    let releaser = Some(&this.day.net.people.releaser);
    let owner_key = Some(&this.day.net.people.owner);

    // A dry run sends nothing.
    let file = this.write(1, |_| ());
    let checked = this.json(None, &["validate", &file]).await;
    let release = Release::parse(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(checked["release_hash"], release.hash().to_string());
    let canonical = this.said(None, &["validate", &file, "--canonical"]).await.ok().unwrap();
    assert_eq!(canonical.as_bytes(), release.canonical());
    let calldata = this.json(None, &["announce", &file, "--calldata"]).await;
    let prepared = calldata["transactions"].as_array().unwrap();
    assert_eq!(prepared.len(), 1, "{calldata}");
    assert_eq!(prepared[0]["to"], json!(this.day.net.network.deployed.registry));

    // A folder may have it before the chain does, the backend not.
    let folder = this.day.net.path("releases");
    let folder = folder.to_str().unwrap();
    let to_folder = ["publish", &file, "--to", folder, "--no-backend"];
    let published = this.json(None, &to_folder).await;
    assert_eq!(published["files"][0]["already"], false);
    let served = Path::new(folder).join(format!("{}.json", release.hash()));
    assert_eq!(std::fs::read(served).unwrap(), release.canonical());
    let words = this.refused(None, &["publish", &file]).await;
    assert!(words.contains("was not announced"), "{words}");

    // Only the release key announces; again it finds its announcement.
    let words = this.refused(owner_key, &["announce", &file]).await;
    assert!(words.contains("the project's release key is"), "{words}");
    let announced = this.json(releaser, &["announce", &file]).await;
    assert!(announced["transaction"].is_string(), "{announced}");
    let again = this.json(releaser, &["announce", &file]).await;
    assert_eq!(
        (&again["transaction"], &again["effective_at"]),
        (&Value::Null, &announced["effective_at"])
    );
    for _ in 0..2 {
        let published = this.json(None, &["publish", &file, "--to", folder]).await;
        assert_eq!(published["files"][0]["already"], true);
    }
    assert_eq!(client.release(release.hash()).await.unwrap(), release);
    let shown = this.json(None, &["show", "alpha"]).await;
    assert_eq!(shown["announced"]["release_hash"], release.hash().to_string());
    assert_eq!(shown["announced"]["backend"], "serves it");
    assert_eq!((&shown["runnable"], &shown["newest"]), (&Value::Null, &json!("1")));

    // One version has one meaning.
    let other = this.write(1, |it| it["name"] = "Other".into());
    let words = this.refused(releaser, &["announce", &other]).await;
    assert!(words.contains("take a version above 1"), "{words}");
    let words = this.refused(releaser, &["tombstone", "alpha", "--version", "1"]).await;
    assert!(words.contains("was announced as a release"), "{words}");
    let third = this.write(3, |_| ());
    this.json(releaser, &["announce", &third]).await;
    let second = this.write(2, |_| ());
    let words = this.refused(releaser, &["announce", &second]).await;
    assert!(words.contains("version 2 of alpha is not above 3"), "{words}");
    let unlisted = this.write(4, |it| it["workload"] = "gamma".into());
    let words = this.refused(releaser, &["announce", &unlisted]).await;
    assert!(words.contains("lists no collection for the workload gamma"), "{words}");

    // Taken down.
    let tombstone = ["tombstone", "alpha", "--version", "4", "--removes-volumes"];
    let first = this.json(releaser, &tombstone).await;
    assert_eq!(first["removes_volumes"], true);
    assert!(first["transaction"].is_string());
    assert!(this.json(releaser, &tombstone).await["transaction"].is_null());
    let words = this.refused(releaser, &tombstone[..4]).await;
    assert!(words.contains("a tombstone that removes volumes"), "{words}");
    this.day.pass_minutes(2).await;
    let shown = this.said(None, &["show", "alpha"]).await.ok().unwrap();
    assert!(shown.contains("tombstone     up to version 4, volumes too"), "{shown}");
    assert!(shown.contains("runnable      none"), "{shown}");
    assert_eq!(client.put_release(project, &release).await.unwrap().version, 1);
    this.day.net.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_without_a_release_key_and_a_backend_away_are_told() {
    let mut day = ShortDay::start(1).await;
    day.start_master().await;
    let mut this = Owner { day };
    let file = this.write(1, |_| ());
    let releaser = Some(&this.day.net.people.releaser);
    let words = this.refused(releaser, &["announce", &file]).await;
    assert!(words.contains("the project has no release key"), "{words}");
    this.day.net.kill_backend(0).await.unwrap();
    let words = this.refused(None, &["publish", &file]).await;
    assert!(words.contains("check that it runs"), "{words}");
    this.day.net.stop().await.unwrap();
}
