//! Genuine repositories and forged ones: genuine ones are reported, forged ones are refused and
//! change nothing.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod server;
mod site;

use std::collections::HashMap;
use std::path::Path;

use nodesys_core::update::{TargetMetadata, Verified};
use nodesys_update::author::{root, write};
use nodesys_update::keys::read_public;
use nodesys_update::{Place, Problem};
use server::{Way, serve};
use site::{FIRST, Holders, NOW, Site, days_later};
use tough::TargetName;
use tough::schema::{Signed, Target, Targets};

/// The versions that are listed.
fn versions(verified: &Verified) -> Vec<String> {
    let releases = verified.targets.iter().filter_map(|target| match &target.about {
        TargetMetadata::Release(terms) => Some(terms.version.to_string()),
        _ => None,
    });
    releases.collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, part: &str) {
    let problem = result.unwrap_err();
    assert!(matches!(problem, Problem::Refused(_)), "{problem}");
    assert!(problem.to_string().contains(part), "{problem}");
}

#[tokio::test]
async fn what_is_published_is_told_and_kept_for_its_owner_only() {
    let site = Site::with_release().await;
    let verified = site.look(NOW).await.unwrap();
    assert_eq!(versions(&verified), ["0.2.0"]);
    assert_eq!((verified.root_version, verified.targets_version), (1, 1));
    assert_eq!(verified.expires, days_later(3));
    let names: Vec<&str> = verified.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(
        names,
        ["nodesys-0.2.0-x86_64-linux", "nodesys-update-0.2.0-x86_64-linux", "release-0.2.0.md"]
    );
    let program = &verified.targets[0];
    let bytes = std::fs::read(site.path("updates/targets").join(&program.file)).unwrap();
    assert_eq!((bytes.len() as u64, bytes.as_slice()), (program.size, &b"nodesys 0.2.0"[..]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(site.path("trusted.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Again, and with the next release.
    assert_eq!(site.look(NOW).await.unwrap(), verified);
    site.list("0.3.0", "targets", NOW).await.unwrap();
    assert_eq!(site.look(NOW).await.unwrap(), verified, "not published yet");
    site.publish("online", NOW).await.unwrap();
    assert_eq!(versions(&site.look(NOW).await.unwrap()), ["0.2.0", "0.3.0"]);
}

#[tokio::test]
async fn a_repository_that_nobody_vouches_for_any_more_is_refused() {
    let site = Site::with_release().await;
    site.look(days_later(2)).await.unwrap();
    let before = std::fs::read(site.path("trusted.json")).unwrap();
    refused(site.look(days_later(3)).await, "timestamp metadata expired at");
    assert_eq!(std::fs::read(site.path("trusted.json")).unwrap(), before);

    // A clock that was set back does not help: the timestamp says when it was signed.
    site.publish("online", days_later(20)).await.unwrap();
    let judged = site.look(NOW).await.unwrap().judged_at;
    assert_eq!(judged, days_later(20));
    // Nor does an attacker who holds the rest back: the targets are judged by that time too.
    site.publish("online", days_later(89)).await.unwrap();
    site.look(NOW).await.unwrap();
    site.publish("online", days_later(91)).await.unwrap();
    refused(site.look(NOW).await, "targets metadata expired at");
}

#[tokio::test]
async fn nothing_older_is_taken_than_was_seen() {
    let site = Site::with_release().await;
    site.look(NOW).await.unwrap();
    let old = Place::Folder(site.copy("old"));
    site.list("0.3.0", "targets", NOW).await.unwrap();
    site.publish("online", NOW).await.unwrap();
    site.look(NOW).await.unwrap();
    refused(site.look_at(&old, NOW).await, "older than what was seen before");
    assert_eq!(versions(&site.look(NOW).await.unwrap()), ["0.2.0", "0.3.0"]);

    // The online key, stolen, vouches for an older list: its version gives it away.
    std::fs::remove_file(site.metadata("2.targets.json")).unwrap();
    site.publish("online", NOW).await.unwrap();
    refused(site.look(NOW).await, "older than what was seen before");
}

#[tokio::test]
async fn only_the_keys_of_the_root_speak() {
    let site = Site::with_release().await;
    // The tool itself refuses to write what nodes would refuse.
    refused(site.list("0.3.0", "online", NOW).await, "not signed by enough keys");
    refused(site.publish("targets", NOW).await, "not signed by enough keys");
    // Somebody who edits: each file's signature or hash gives it away.
    for (name, part) in [
        ("timestamp.json", "not enough of its keys"),
        ("1.snapshot.json", "not the one that is signed for"),
        ("1.targets.json", "not the one that is signed for"),
    ] {
        let whole = std::fs::read(site.metadata(name)).unwrap();
        site.tamper(name, |json| json["signed"]["expires"] = "2031-01-01T00:00:00Z".into());
        let result = site.look(NOW).await;
        let problem = result.unwrap_err();
        // A file that grew is found by its size.
        let told = problem.to_string();
        assert!(told.contains(part) || told.contains("longer than it may be"), "{name}: {told}");
        assert_eq!(problem.code(), 1);
        std::fs::write(site.metadata(name), whole).unwrap();
    }
    // A whole repository by other keys.
    let other = Site::with_release().await;
    let stranger = Place::Folder(other.path("updates"));
    refused(site.look_at(&stranger, NOW).await, "not enough of its keys");
    assert_eq!(versions(&site.look(NOW).await.unwrap()), ["0.2.0"]);
}

#[tokio::test]
async fn files_that_do_not_belong_together_are_refused() {
    let site = Site::with_release().await;
    let old = std::fs::read(site.metadata("1.targets.json")).unwrap();
    let snapshot = std::fs::read(site.metadata("1.snapshot.json")).unwrap();
    site.list("0.3.0", "targets", NOW).await.unwrap();
    site.publish("online", NOW).await.unwrap();
    // Each is signed by the right key, but is another file than expected.
    let whole = std::fs::read(site.metadata("2.targets.json")).unwrap();
    std::fs::write(site.metadata("2.targets.json"), old).unwrap();
    refused(site.look(NOW).await, "not the one that is signed for");
    std::fs::write(site.metadata("2.targets.json"), whole).unwrap();
    let whole = std::fs::read(site.metadata("2.snapshot.json")).unwrap();
    std::fs::write(site.metadata("2.snapshot.json"), snapshot).unwrap();
    refused(site.look(NOW).await, "is refused");
    std::fs::write(site.metadata("2.snapshot.json"), whole).unwrap();
    assert_eq!(versions(&site.look(NOW).await.unwrap()), ["0.2.0", "0.3.0"]);
}

#[tokio::test]
async fn keys_are_rotated_by_a_root_that_the_old_ones_sign() {
    let site = Site::with_release().await;
    site.look(NOW).await.unwrap();
    let old = Place::Folder(site.copy("old"));
    // Anna's key and both others are replaced; bob and carl stay, and one of them is new to it.
    let next = Holders { root: ["bob", "carl", "dora"], targets: "targets2", online: "online2" };
    let strangers = site.make_root(next, Some(&site.root), &["dora", "eve"]).await;
    refused(root::publish(&site.folder(), &strangers), "not signed by enough keys");
    let one = site.make_root(next, Some(&site.root), &["bob"]).await;
    refused(root::publish(&site.folder(), &one), "not signed by enough keys");
    let second = site.make_root(next, Some(&site.root), &["bob", "carl"]).await;
    root::publish(&site.folder(), &second).unwrap();

    // Until everything is signed by the new keys, nothing holds; the new root does.
    refused(site.look(NOW).await, "not enough of its keys");
    refused(site.look_at(&old, NOW).await, "not enough of its keys");
    refused(site.list("0.3.0", "targets", NOW).await, "not signed by enough keys");
    site.list("0.3.0", "targets2", NOW).await.unwrap();
    site.publish("online2", NOW).await.unwrap();
    let verified = site.look(NOW).await.unwrap();
    assert_eq!((verified.root_version, versions(&verified).len()), (2, 2));
    refused(site.look_at(&old, NOW).await, "not enough of its keys");

    // A root signed by the new keys alone is refused.
    let third = site.make_root(FIRST, Some(&second), &["anna", "eve"]).await;
    let forged = serde_json::to_string(&third).unwrap();
    std::fs::write(site.metadata("3.root.json"), forged).unwrap();
    refused(site.look(NOW).await, "not enough of its keys");
    // A root after a gap is ignored.
    std::fs::rename(site.metadata("3.root.json"), site.metadata("4.root.json")).unwrap();
    assert_eq!(site.look(NOW).await.unwrap().root_version, 2);
}

#[tokio::test]
async fn over_http_it_is_the_same_and_a_bad_server_ends() {
    let site = Site::with_release().await;
    let server = serve(site.path("updates"));
    let look = async |way: Way| {
        server.behave(way);
        site.look_at(&Place::parse(&server.url).unwrap(), NOW).await
    };
    assert_eq!(versions(&look(Way::Well).await.unwrap()), ["0.2.0"]);
    refused(look(Way::Endless).await, "longer than it may be");
    let truncated = look(Way::Truncated).await.unwrap_err();
    assert_eq!(truncated.code(), 7, "{truncated}");
    for way in [Way::Busy, Way::Nothing] {
        let problem = look(way).await.unwrap_err();
        assert!(problem.code() == 7 && problem.to_string().contains("cannot be read"), "{problem}");
    }
    drop(server);
    let nobody = Place::parse("http://127.0.0.1:1").unwrap();
    assert_eq!(site.look_at(&nobody, NOW).await.unwrap_err().code(), 7);
    assert_eq!(versions(&site.look(NOW).await.unwrap()), ["0.2.0"]);
}

#[tokio::test]
async fn what_this_machine_has_of_it_must_hold() {
    let site = Site::with_release().await;
    site.look(NOW).await.unwrap();
    std::fs::write(site.path("trusted.json"), "{}").unwrap();
    let problem = site.look(NOW).await.unwrap_err();
    assert!(problem.to_string().contains("put back a backup"), "{problem}");
    std::fs::remove_file(site.path("trusted.json")).unwrap();
    let place = Place::Folder(site.path("updates"));
    let trusted = site.path("trusted.json");
    for (root, part) in [(None, "give --root FILE"), (Some("{}"), "the trusted root does not hold")]
    {
        let wanted =
            nodesys_update::VerifyRequest { place: &place, trusted: &trusted, root, now: NOW };
        let problem = nodesys_update::verify(&wanted).await.unwrap_err();
        assert!(problem.code() == 2 && problem.to_string().contains(part), "{problem}");
    }
}

#[tokio::test]
async fn what_is_no_release_leaves_the_releases_readable() {
    let site = Site::with_release().await;
    // By the targets' key itself, with another program: a file that says nothing of its kind.
    let path = site.metadata("1.targets.json");
    let mut list: Signed<Targets> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let (_, any) = list.signed.targets.iter().next().unwrap();
    let plain = Target { custom: HashMap::new(), ..any.clone() };
    list.signed.targets.insert(TargetName::new("README.txt").unwrap(), plain);
    list.signed.version = 2.try_into().unwrap();
    site.key("targets").sign(&mut list).await.unwrap();
    write(&site.metadata("2.targets.json"), &list).unwrap();
    site.publish("online", NOW).await.unwrap();
    let verified = site.look(NOW).await.unwrap();
    assert_eq!((verified.targets_version, versions(&verified)), (2, vec!["0.2.0".to_owned()]));
    assert_eq!(verified.targets.len(), 3, "the file of no kind is no part of a release");
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_published_can_be_served_to_everybody() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::with_release().await;
    for folder in ["updates/targets", "updates/metadata"] {
        for file in std::fs::read_dir(site.path(folder)).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o444, 0o444, "{:?} has mode {mode:o}", file.file_name());
        }
    }
}

#[tokio::test]
async fn a_signature_that_does_not_count_is_not_made() {
    let site = Site::new().await;
    let mut first = site.make_root(FIRST, None, &["anna"]).await;
    let problem = root::sign(&mut first, &site.key("eve")).await.unwrap_err();
    assert!(problem.to_string().contains("none of the root's own keys"), "{problem}");
    assert_eq!(root::count(&first), (1, 2, 0));
    // A later root needs keys of the one before as well.
    let next = Holders { root: ["bob", "carl", "dora"], targets: "targets", online: "online" };
    let second = site.make_root(next, Some(&site.root), &["anna", "bob", "dora"]).await;
    assert_eq!(root::count(&second), (2, 2, 1));
}

#[tokio::test]
async fn a_public_key_whose_pem_ends_in_a_newline_is_the_same_key() {
    let site = Site::new().await;
    site.key("anna");
    let path = site.path("anna.key.pub");
    let plain = read_public(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let value = json.pointer_mut("/keyval/public").unwrap();
    // Hex here; a PEM is text in the same place.
    *value = format!("{}\n", value.as_str().unwrap()).into();
    std::fs::write(&path, json.to_string()).unwrap();
    assert_eq!(read_public(&path).unwrap().key_id().unwrap(), plain.key_id().unwrap());
}

#[tokio::test]
async fn the_trusted_file_may_be_a_bare_name() {
    let site = Site::with_release().await;
    let root = serde_json::to_string(&site.root).unwrap();
    let place = Place::Folder(site.path("updates"));
    // Of the present folder, which is this crate's.
    let name = Path::new("trusted-by-a-test.json");
    let wanted =
        nodesys_update::VerifyRequest { place: &place, trusted: name, root: Some(&root), now: NOW };
    let verified = nodesys_update::verify(&wanted).await;
    std::fs::remove_file(name).unwrap();
    assert_eq!(versions(&verified.unwrap()), ["0.2.0"]);
}
