//! A repository made like a publisher's, and a node that checks it.

use std::path::{Path, PathBuf};

use nodesys_core::B256;
use nodesys_core::time::Timestamp;
use nodesys_core::update::{Platform, Program, ReleaseTerms, Verified};
use nodesys_update::author::publish::{Days, publish};
use nodesys_update::author::targets::{Files, List};
use nodesys_update::author::{Folder, root};
use nodesys_update::keys::{SigningKey, create, read_public};
use nodesys_update::{Place, Problem, VerifyRequest, verify};
use tough::schema::{Root, Signed};

/// 2026-01-02.
pub const NOW: Timestamp = Timestamp::from_secs(1_767_312_000);
pub const DAY_SECS: u64 = 86_400;

pub fn days_later(days: u64) -> Timestamp {
    Timestamp::from_secs(NOW.secs() + days * DAY_SECS)
}

/// The repository, all its keys, and the node's trusted metadata.
pub struct Site {
    dir: tempfile::TempDir,
    pub root: Signed<Root>,
}

/// The holders of the keys.
#[derive(Clone, Copy)]
pub struct Holders<'a> {
    pub root: [&'a str; 3],
    pub targets: &'a str,
    pub online: &'a str,
}

pub const FIRST: Holders<'static> =
    Holders { root: ["anna", "bob", "carl"], targets: "targets", online: "online" };

impl Site {
    /// With a root that anna and bob have signed, and nothing listed.
    pub async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let mut site = Self { dir, root: placeholder() };
        let root = site.make_root(FIRST, None, &["anna", "bob"]).await;
        root::publish(&site.folder(), &root).unwrap();
        site.root = root;
        site
    }

    /// With a root and release 0.2.0, published.
    pub async fn with_release() -> Self {
        let site = Self::new().await;
        site.list("0.2.0", "targets", NOW).await.unwrap();
        site.publish("online", NOW).await.unwrap();
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn folder(&self) -> Folder {
        Folder::new(self.path("updates"))
    }

    pub fn metadata(&self, name: &str) -> PathBuf {
        self.path("updates/metadata").join(name)
    }

    /// A key of that name, made at its first use.
    pub fn key(&self, name: &str) -> SigningKey {
        let path = self.path(&format!("{name}.key"));
        if !path.exists() {
            create(&path).unwrap();
        }
        SigningKey::read(&path).unwrap()
    }

    pub async fn make_root(
        &self,
        holders: Holders<'_>,
        previous: Option<&Signed<Root>>,
        signers: &[&str],
    ) -> Signed<Root> {
        let public = |name: &str| {
            self.key(name);
            read_public(&self.path(&format!("{name}.key.pub"))).unwrap()
        };
        let keys = root::Keys {
            root: holders.root.map(public).to_vec(),
            root_threshold: 2.try_into().unwrap(),
            targets: vec![public(holders.targets)],
            snapshot: vec![public(holders.online)],
            timestamp: vec![public(holders.online)],
        };
        let mut made = root::make(&keys, previous, NOW, 365).unwrap();
        for name in signers {
            root::sign(&mut made, &self.key(name)).await.unwrap();
        }
        made
    }

    /// Lists a release for x86_64-linux, signed by a key.
    pub async fn list(&self, version: &str, key: &str, now: Timestamp) -> Result<u64, Problem> {
        let folder = self.folder();
        let mut list = List::open(&folder, now, 90)?;
        let terms = ReleaseTerms {
            version: version.parse().unwrap(),
            seed: B256::repeat_byte(1),
            cursor_ppm: 500_000,
            required_stop: false,
            manager_image: None,
        };
        list.set_release(terms, None).await?;
        let program = |program: Program| {
            let path = self.path(&format!("{program}-{version}"));
            std::fs::write(&path, format!("{program} {version}")).unwrap();
            (program, path)
        };
        let files = Files {
            platform: Platform::of("x86_64", "linux"),
            programs: Program::ALL.map(program).to_vec(),
            manager_archive: None,
        };
        list.add_files(&version.parse().unwrap(), &files).await?;
        list.sign(&self.key(key)).await
    }

    pub async fn publish(&self, key: &str, now: Timestamp) -> Result<(), Problem> {
        let key = self.key(key);
        let days = Days { snapshot: 30, timestamp: 3 };
        publish(&self.folder(), (&key, &key), now, days).await.map(drop)
    }

    /// A node's check of the folder.
    pub async fn look(&self, now: Timestamp) -> Result<Verified, Problem> {
        self.look_at(&Place::Folder(self.path("updates")), now).await
    }

    pub async fn look_at(&self, place: &Place, now: Timestamp) -> Result<Verified, Problem> {
        let root = serde_json::to_string(&self.root).unwrap();
        let trusted = self.path("trusted.json");
        verify(&VerifyRequest { place, trusted: &trusted, root: Some(&root), now }).await
    }

    /// A copy of the repository as it is now.
    pub fn copy(&self, to: &str) -> PathBuf {
        let to = self.path(to);
        copy_all(&self.path("updates"), &to);
        to
    }

    /// Changes a metadata file's bytes.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.metadata(name);
        let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        std::fs::write(path, json.to_string()).unwrap();
    }
}

fn placeholder() -> Signed<Root> {
    let root = Root {
        spec_version: "1.0.0".to_owned(),
        consistent_snapshot: true,
        version: 1.try_into().unwrap(),
        expires: "2030-01-01T00:00:00Z".parse().unwrap(),
        keys: std::collections::HashMap::new(),
        roles: std::collections::HashMap::new(),
        _extra: std::collections::HashMap::new(),
    };
    Signed { signed: root, signatures: Vec::new() }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let goal = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &goal);
        } else {
            std::fs::copy(entry.path(), goal).unwrap();
        }
    }
}
