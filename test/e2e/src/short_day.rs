//! A devnet whose day has ten minutes left: the whole path in some seconds.

use std::path::Path;

use nodesys_core::bitmap::DayBitmap;
use nodesys_core::files::{UptimeRow, parse_file};
use nodesys_core::license::LicenseId;
use nodesys_core::message::Domain;
use nodesys_core::points::Rule;
use nodesys_core::time::{Minute, Timestamp, UtcDay};
use nodesys_devnet::deploy::{TOKEN, mint, mint_batch};
use nodesys_devnet::{Devnet, LicenseRef, MasterOptions, Options, Plan};

use crate::RawNode;

/// The day of the tests: 2026-01-06.
pub const DAY: UtcDay = UtcDay(20_459);
/// Minutes of it that are left when a test begins.
pub const MINUTES: u64 = 10;

/// The one license of workload alpha, held by Alice.
pub const A1: LicenseRef = LicenseRef { workload: 0, token: 1 };
/// The one license of workload beta, held by Alice.
pub const B1: LicenseRef = LicenseRef { workload: 1, token: 1 };

/// A devnet near the end of a day, with Alice holding A1 and B1.
pub struct ShortDay {
    /// The network.
    pub net: Devnet,
    _folder: tempfile::TempDir,
}

impl ShortDay {
    /// Starts it. `replicas` backends share the database.
    pub async fn start(replicas: usize) -> Self {
        Self::start_with(replicas, |_| {}).await
    }

    /// As [`Self::start`], with the options changed first.
    pub async fn start_with(replicas: usize, change: impl FnOnce(&mut Options)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
        std::fs::create_dir_all(&parent).unwrap();
        let folder = tempfile::tempdir_in(parent).unwrap();
        let mut options = Options {
            root: folder.path().join("net"),
            start: Timestamp::from_secs(DAY.end().secs() - MINUTES * 60),
            plan: Plan {
                project: "acme",
                workloads: vec![("alpha", "A"), ("beta", "B")],
                funds: 100_000 * TOKEN,
                daily_quota: 1_100 * TOKEN,
                delay_secs: 600,
            },
            replicas,
            slots_in_epoch: 1,
            host: nodesys_devnet::LOOPBACK,
            real_time: false,
        };
        change(&mut options);
        let net = Devnet::start(&options, async |chain, people, deployed| {
            for workload in 0..deployed.workloads.len() {
                mint(chain, people, deployed, workload, people.alice.address()).await?;
                mint(chain, people, deployed, workload, people.bob.address()).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
        Self { net, _folder: folder }
    }

    /// The domain of off-chain messages.
    pub fn domain(&self) -> Domain {
        Domain::new(31_337, self.net.network.deployed.registry)
    }

    /// A license's id.
    pub fn license(&self, license: LicenseRef) -> LicenseId {
        self.net.network.deployed.license(license)
    }

    /// A node of Alice's that holds A1 and B1.
    pub async fn node(&self) -> RawNode {
        let client = self.net.client(0).unwrap();
        let key = &self.net.people.alice.key;
        let mut node = RawNode::new(&client, self.domain(), key, self.net.now().await).await;
        for license in [A1, B1] {
            node.ask(&client, self.license(license)).await.unwrap();
        }
        assert_eq!(node.leases.len(), 2);
        node
    }

    /// Mints licenses of a workload for Alice, and waits until the backend knows them.
    pub async fn mint_for_alice(&self, workload: usize, count: u64) -> Vec<LicenseRef> {
        let net = &self.net;
        let (deployed, alice) = (&net.network.deployed, net.people.alice.address());
        let first = mint_batch(&net.chain, &net.people, deployed, workload, alice, count).await;
        net.chain.make_final().await.unwrap();
        self.pass_minutes(1).await;
        (first.unwrap()..)
            .take(usize::try_from(count).unwrap())
            .map(|token| LicenseRef { workload, token })
            .collect()
    }

    /// The clock's minute.
    pub async fn minute(&self) -> Minute {
        self.net.now().await.minute()
    }

    /// Lets some minutes pass.
    pub async fn pass_minutes(&self, minutes: u64) {
        let now = self.net.now().await;
        self.net.run_until(Timestamp::from_millis(now.millis() + minutes * 60_000)).await.unwrap();
    }

    /// Runs until the day is closed: 7 minutes past midnight, with a heartbeat after midnight.
    pub async fn close(&self, node: &mut RawNode) {
        let client = self.net.client(0).unwrap();
        while self.net.now().await < DAY.end().plus_millis(60_000) {
            self.pass_minutes(1).await;
        }
        node.beat(&client, self.minute().await).await.unwrap();
        self.net.run_until(DAY.end().plus_millis(7 * 60_000)).await.unwrap();
        assert!(client.day(DAY).await.unwrap().closed.is_some(), "the day is closed");
    }

    /// A license's bitmap in the closed day's file.
    pub async fn closed_bitmap(&self, license: &LicenseId) -> DayBitmap {
        let client = self.net.client(0).unwrap();
        let project = self.net.network.deployed.distributor;
        let rows: Vec<UptimeRow> = parse_file(&client.uptime(project, DAY).await.unwrap()).unwrap();
        let row = rows
            .iter()
            .find(|row| row.collection == license.collection && row.token_id == license.token_id);
        row.map_or(DayBitmap::EMPTY, |row| row.bitmap)
    }

    /// Checks the closed day against the receipts: it has every credited minute.
    pub async fn assert_receipts_kept(&self, nodes: &[&RawNode]) {
        for license in [A1, B1].map(|license| self.license(license)) {
            let bitmap = self.closed_bitmap(&license).await;
            for minute in nodes.iter().flat_map(|node| node.credited(&license)) {
                if minute.day() == DAY {
                    assert!(bitmap.contains(minute.of_day()), "minute {} of {license}", minute.0);
                }
            }
        }
    }

    /// The master, which commits days by itself as they close.
    pub async fn start_master(&mut self) {
        let (day_reward, rule) = (1_000 * TOKEN, Rule::default());
        let options = MasterOptions { day_reward, rule, review_minutes: 0 };
        self.net.start_master(&options).await.unwrap();
    }

    /// Files of the day's bundle by name, as the master published them.
    pub fn published(&self, day: UtcDay) -> std::collections::BTreeMap<String, Vec<u8>> {
        let project = format!("{:#x}", self.net.network.deployed.distributor);
        read_folder(&self.net.bundles().join(project).join(day.to_string()))
    }
}

fn read_folder(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return std::collections::BTreeMap::new() };
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}
