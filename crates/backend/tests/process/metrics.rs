//! What `/metrics` says from the first minute on; `deploy/observability` is checked against it.

use std::collections::BTreeSet;
use std::io::BufRead as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nodesys_clock::Clock;
use nodesys_testing::chain::Chain;
use sqlx::PgPool;
use tempfile::TempDir;

use super::{Setup, key, write_key};

/// The metrics as a file that `promtool check metrics` reads: every value 0.
const COMMITTED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/observability/backend.metrics.txt");

/// A day that was closed before this process began.
const CLOSED_DAY: &str = "insert into day (day, closed_at, excused, uptime_hash, evidence_root, \
    receipt_key, signature) values (extract(epoch from now())::integer / 86400 - 1, 1, decode(repeat('00', 180), 'hex'), \
    decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), decode(repeat('00', 20), 'hex'), \
    decode(repeat('00', 65), 'hex')) returning day";

async fn get(url: &str) -> (u16, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn metrics_are_whole_from_the_start_on_a_listener_of_their_own(pool: PgPool) {
    let yesterday: i32 = sqlx::query_scalar(CLOSED_DAY).fetch_one(&pool).await.unwrap();
    let chain = Chain::start().await;
    let mut setup = Setup::new(&pool, &chain);
    let secrets = Secrets::of(&setup);
    setup.secrets = Some(secrets.flags());
    write_key(&setup.path("poster.key"), &key(98).to_hex(), 0o400);
    let mut command = setup.command();
    command
        .args(["--admin-listen", "127.0.0.1:0"])
        .arg("--poster-key-file")
        .arg(setup.path("poster.key"))
        .stderr(Stdio::piped());
    let (mut process, client) = setup.start_by(command).await;
    client.ready().await.unwrap();
    // The log names the second address before the program is ready.
    let words = process.stderr.take().unwrap().into_owned_fd().unwrap();
    let mut lines = std::io::BufReader::new(std::fs::File::from(words)).lines();
    let line = lines.find(|line| line.as_ref().unwrap().contains("metrics and probes"));
    let line = line.unwrap().unwrap();
    let admin = line.split("addr").nth(1).unwrap();
    let admin: String = admin.chars().filter(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    let admin = format!("http://{admin}");
    assert_eq!(get(&format!("{admin}/readyz")).await, (200, "ready\n".to_owned()));
    assert_eq!(get(&format!("{admin}/healthz")).await, (200, "ok\n".to_owned()));
    assert_eq!(get(&format!("{admin}/v1/network")).await.0, 404);
    let public = std::fs::read_to_string(setup.path("ready")).unwrap();
    let public: nodesys_service::ready::Ready = serde_json::from_str(&public).unwrap();
    assert_eq!(get(&format!("http://{}/metrics", public.addr)).await.0, 404);

    // What the jobs' first runs measure.
    let mut sleeper = Clock::system().sleeper();
    let scraped = loop {
        let (status, text) = get(&format!("{admin}/metrics")).await;
        assert_eq!(status, 200);
        // The last that each job sets.
        let last = [
            "nodesys_poster_posts_left",
            "nodesys_mirror_block",
            "nodesys_rights_overdue_leases",
            "nodesys_rights_unread_collections",
        ];
        if last.iter().all(|name| text.contains(&format!("\n{name} "))) {
            break text;
        }
        sleeper.sleep(Duration::from_millis(20)).await;
    };
    assert!(scraped.contains(&format!("\nnodesys_day_closed {yesterday}\n")), "{scraped}");
    let found = committed_form(&scraped);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(COMMITTED, &found).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert_eq!(found, committed, "other metrics: run this test with UPDATE_SNAPSHOTS=1");
    process.kill().await.unwrap();
}

/// Sorted by metric, with help and type first, values 0 and the version left out.
fn committed_form(scraped: &str) -> String {
    let mut families: Vec<(String, BTreeSet<String>, Vec<String>)> = Vec::new();
    let mut helps = std::collections::BTreeMap::new();
    for line in scraped.lines().filter(|line| !line.is_empty()) {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name)) => {
                helps.insert(name.to_owned(), line.to_owned());
            }
            (Some("#"), Some("TYPE"), Some(name)) => {
                let head = [helps.remove(name), Some(line.to_owned())];
                let head: Vec<String> = head.into_iter().flatten().collect();
                assert_eq!(head.len(), 2, "{name} has no help");
                families.push((name.to_owned(), BTreeSet::new(), head));
            }
            _ => {
                let sample = line.rsplit_once(' ').unwrap().0;
                let sample = sample.replace(env!("CARGO_PKG_VERSION"), "VERSION");
                families.last_mut().unwrap().1.insert(sample);
            }
        }
    }
    families.sort();
    let mut text = String::new();
    for (name, samples, head) in families {
        assert!(name.starts_with("nodesys_"), "{name}");
        for line in head {
            text.push_str(&line);
            text.push('\n');
        }
        // Routes come with their first request: one stands for all, in the order of its buckets.
        let of_ready =
            |sample: &&String| !sample.contains("route=") || sample.contains("\"/readyz\"");
        let mut samples: Vec<&String> = samples.iter().filter(of_ready).collect();
        samples.sort_by(|a, b| bound(a).total_cmp(&bound(b)).then(a.cmp(b)));
        for sample in samples {
            text.push_str(&format!("{sample} 0\n"));
        }
    }
    text
}

fn bound(sample: &str) -> f64 {
    let Some((_, after)) = sample.split_once("le=\"") else { return f64::INFINITY };
    after.split('"').next().unwrap().parse().unwrap_or(f64::MAX)
}

/// The URLs as files, as Kubernetes and systemd give them.
struct Secrets(TempDir);

impl Secrets {
    fn of(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_key(&folder.path().join("database.url"), &setup.database_url, 0o400);
        write_key(&folder.path().join("rpc"), &format!("{}\n", setup.rpc), 0o400);
        Self(folder)
    }

    fn flags(&self) -> Vec<String> {
        let path = |name: &str| Path::join(self.0.path(), name).display().to_string();
        vec!["--database-url-file".into(), path("database.url"), "--rpc-file".into(), path("rpc")]
    }
}
