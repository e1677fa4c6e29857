//! Releases: only announced bytes are stored, for good, and served unchanged.

use nodesys_chain::bindings::ProjectRegistry;
use nodesys_chain::release::announce_request;
use nodesys_core::B256;
use nodesys_core::ids::Name;
use nodesys_core::release::{MAX_BYTES, Release};
use nodesys_core::signature::SigningKey;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::support::wire::Line;
use super::support::{Answer, World, problem};
use nodesys_testing::chain::owner;

const HOUR: u64 = 3600;

/// The owner's own, who can pay for gas.
fn release_key() -> SigningKey {
    owner()
}

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

fn release(version: u64) -> Release {
    Release::parse(document(version).to_string().as_bytes()).unwrap()
}

impl World {
    async fn release_key(&self) {
        let registry = ProjectRegistry::new(self.chain.registry, self.chain.provider.rpc());
        let distributor = self.chain.distributor;
        let call = registry.setReleaseKey(distributor, release_key().address(), HOUR);
        self.chain.send(owner().address(), call.into_transaction_request()).await;
    }

    async fn announce(&self, release: &Release) {
        let (version, hash) = (release.version().get(), release.hash());
        let (registry, project) = (self.chain.registry, self.chain.distributor);
        let request = announce_request(registry, project, release.workload(), version, hash);
        self.chain.send(release_key().address(), request).await;
    }

    async fn put_document(&self, hash: B256, project: &str, body: impl Into<Vec<u8>>) -> Answer {
        let url = format!("{}/v1/releases/{hash}?project={project}", self.replica.base);
        let request = reqwest::Client::new().put(url).body(body.into());
        Answer::of(request.send().await.unwrap()).await
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_announced_release_is_kept_and_served(pool: PgPool) {
    let world = World::new(pool).await;
    world.release_key().await;
    let (release, project) = (release(3), world.chain.distributor);
    world.announce(&release).await;

    let stored = world.client().put_release(project, &release).await.unwrap();
    assert_eq!((stored.release_hash, stored.version), (release.hash(), 3));
    assert_eq!(stored.workload, "alpha".parse::<Name>().unwrap());
    let rows = world.rows().await;
    // Again, by anyone, under the project's name, and without the chain: it is not needed.
    world.wire.lay(Line::Cut);
    let again = world.put_document(release.hash(), "acme", release.canonical()).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(world.client().put_release(project, &release).await.unwrap(), stored);
    assert_eq!(world.rows().await, rows);

    // Like the manager's request.
    let served = world.get_raw(&format!("/v1/releases/{}", release.hash())).await;
    assert_eq!((served.status, served.content_type.as_str()), (200, "application/json"));
    assert_eq!(served.body.as_bytes(), release.canonical());
    assert_eq!(world.client().release(release.hash()).await.unwrap(), release);

    for statement in ["update release set version = 4", "delete from release"] {
        let error = sqlx::query(statement).execute(&world.pool).await.unwrap_err();
        assert!(error.to_string().contains("never changed"), "{error}");
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn what_the_chain_does_not_announce_is_not_kept(pool: PgPool) {
    let world = World::new(pool).await;
    world.release_key().await;
    let (client, project) = (world.client(), world.chain.distributor);
    let early = world.refused("not_announced", client.put_release(project, &release(1))).await;
    assert!(early.detail.contains("version 1 of acme/alpha was not announced"), "{early:?}");

    // The version was announced with other bytes.
    world.announce(&release(1)).await;
    let mut other = document(1);
    other["name"] = json!("Beta");
    let other = Release::parse(other.to_string().as_bytes()).unwrap();
    let refusal = world.refused("not_announced", client.put_release(project, &other)).await;
    assert!(refusal.detail.contains(&release(1).hash().to_string()), "{refusal:?}");

    world.announce(&release(2)).await;
    let registry = ProjectRegistry::new(world.chain.registry, world.chain.provider.rpc());
    let veto = registry.veto(project, "alpha".to_owned(), 2);
    world.chain.send(owner().address(), veto.into_transaction_request()).await;
    let refusal = world.refused("not_announced", client.put_release(project, &release(2))).await;
    assert!(refusal.detail.contains("was vetoed"), "{refusal:?}");

    let refusal = world.put_document(release(1).hash(), "nobody", release(1).canonical()).await;
    assert_eq!(refusal.problem().code, "unknown_project");

    world.wire.lay(Line::Cut);
    let refusal =
        world.refused("chain_unavailable", client.put_release(project, &release(1))).await;
    assert!(refusal.detail.contains("try again in a minute"), "{refusal:?}");
    let missing = problem(client.release(release(1).hash()).await);
    assert_eq!((missing.code.as_str(), missing.status), ("not_found", 404));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn what_is_not_the_release_of_the_hash_is_refused_without_a_look_at_the_chain(pool: PgPool) {
    let world = World::new(pool).await;
    let before = world.rows().await;
    world.wire.lay(Line::Cut);
    let release = release(1);
    let (hash, canonical) = (release.hash(), release.canonical());
    let pretty = serde_json::to_vec_pretty(&document(1)).unwrap();
    let code = async |hash: B256, body: Vec<u8>| {
        world.put_document(hash, "acme", body).await.problem().code
    };
    assert_eq!(code(B256::ZERO, canonical.clone()).await, "release_invalid");
    assert_eq!(code(hash, pretty.clone()).await, "release_invalid");
    // The right hash of another spelling, and of something that is no release.
    assert_eq!(code(nodesys_core::keccak256(&pretty), pretty).await, "release_invalid");
    for text in ["", "{}", "not json", "[1]"] {
        let hash = nodesys_core::keccak256(text.as_bytes());
        assert_eq!(code(hash, text.into()).await, "release_invalid", "{text}");
    }
    assert_eq!(code(hash, vec![b' '; MAX_BYTES + 1]).await, "too_large");
    let mut far = document(1);
    far["version"] = json!(u64::MAX.to_string());
    let far = Release::parse(far.to_string().as_bytes()).unwrap();
    assert_eq!(code(far.hash(), far.canonical()).await, "release_invalid");
    for (route, body) in [("0x12?project=acme", ""), (&*format!("{hash}"), "{}")] {
        let url = format!("{}/v1/releases/{route}", world.replica.base);
        let answer = reqwest::Client::new().put(url).body(body).send().await.unwrap();
        assert_eq!(Answer::of(answer).await.problem().code, "bad_request", "{route}");
    }
    assert_eq!(world.rows().await, before);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_table_refuses_what_is_no_release(pool: PgPool) {
    let world = World::new(pool).await;
    let row = "insert into release values ($1, (select project from project), 'alpha', $2, $3, 0)";
    let insert = async |hash: u8, version: i64, bytes: usize| {
        let row =
            sqlx::query(row).bind([hash; 32].as_slice()).bind(version).bind(vec![1_u8; bytes]);
        row.execute(&world.pool).await.map(drop).map_err(|error| {
            let constraint = error.as_database_error().and_then(|error| error.constraint());
            constraint.unwrap_or("none").to_owned()
        })
    };
    assert_eq!(insert(1, 0, 1).await.unwrap_err(), "release_version");
    assert_eq!(insert(1, 1, 0).await.unwrap_err(), "release_body");
    assert_eq!(insert(1, 1, MAX_BYTES + 1).await.unwrap_err(), "release_body");
    insert(1, 1, MAX_BYTES).await.unwrap();
    assert_eq!(insert(1, 2, 1).await.unwrap_err(), "release_pkey");
    assert_eq!(insert(2, 1, 1).await.unwrap_err(), "release_version_unique");
}
