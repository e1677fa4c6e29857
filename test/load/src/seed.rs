//! Nodes with three active leases each, and nodes without any, as rows.

use nodesys_core::ids::Fence;
use nodesys_core::license::LicenseId;
use nodesys_core::message::{LeaseStatus, Status};
use nodesys_core::signature::SigningKey;
use nodesys_core::{Address, U256, keccak256};
use sqlx::{PgConnection, PgPool};

/// One license of each of these workloads on each node.
const WORKLOADS: [(&str, Address); 3] = [
    ("alpha", Address::repeat_byte(0xa1)),
    ("beta", Address::repeat_byte(0xb1)),
    ("gamma", Address::repeat_byte(0xc1)),
];

/// Who runs all nodes; the project has the same address.
const OPERATOR: Address = Address::repeat_byte(0x01);

/// A node as it signs.
pub(crate) struct Node {
    pub(crate) key: SigningKey,
    pub(crate) leases: Vec<LeaseStatus>,
}

impl Node {
    fn new(number: u32) -> anyhow::Result<Self> {
        let secret = keccak256(format!("nodesys-load node {number}"));
        let line = |(_, collection): &(&str, Address)| LeaseStatus {
            license: license(*collection, number).hash(),
            fence: Fence::checked_new(1).unwrap_or(Fence::ZERO),
            status: Status::Healthy,
            release: 1,
        };
        Ok(Self {
            key: SigningKey::from_bytes(&secret.0)?,
            leases: WORKLOADS.iter().map(line).collect(),
        })
    }
}

/// The key of a node without a license.
pub(crate) fn free_node(number: u32) -> anyhow::Result<SigningKey> {
    Ok(SigningKey::from_bytes(&keccak256(format!("nodesys-load free node {number}")).0)?)
}

/// A license of an honest node.
pub(crate) fn license_of(number: u32) -> LicenseId {
    license(WORKLOADS[0].1, number)
}

fn license(collection: Address, token: u32) -> LicenseId {
    let chain_id = nodesys_clock::DEVELOPMENT_CHAIN_ID;
    LicenseId { chain_id, collection, token_id: U256::from(token) }
}

/// Puts the nodes, their licenses and leases into the database.
pub(crate) async fn seed(pool: &PgPool, count: u32) -> anyhow::Result<Vec<Node>> {
    let nodes: Vec<Node> = (0..count).map(Node::new).collect::<Result<_, _>>()?;
    let mut tx = pool.begin().await?;
    let project = OPERATOR.to_vec();
    sqlx::query(
        "insert into project (project, name, owner, token, first_day)
         values ($1, 'load', $1, $1, (extract(epoch from now()) / 86400)::integer)",
    )
    .bind(&project)
    .execute(&mut *tx)
    .await?;
    let keys: Vec<Vec<u8>> = nodes.iter().map(|node| node.key.address().to_vec()).collect();
    authorize(&mut tx, &keys).await?;
    for (workload, collection) in WORKLOADS {
        sqlx::query("insert into collection (collection, project, workload) values ($1, $2, $3)")
            .bind(collection.to_vec())
            .bind(&project)
            .bind(workload)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "insert into listing (collection, from_day, project, workload, listed_at, listed_block)
             select collection, extract(epoch from now())::bigint / 86400, project, workload,
                    extract(epoch from now())::bigint * 1000, 0
             from collection where collection = $1",
        )
        .bind(collection.to_vec())
        .execute(&mut *tx)
        .await?;
        let licenses: Vec<LicenseId> = (0..count).map(|token| license(collection, token)).collect();
        let tokens: Vec<Vec<u8>> =
            licenses.iter().map(|id| id.token_id.to_be_bytes::<32>().to_vec()).collect();
        let hashes: Vec<Vec<u8>> = licenses.iter().map(|id| id.hash().to_vec()).collect();
        sqlx::query(
            "with made as (
                insert into license (idx, collection, token_id, license_hash, first_leased)
                select (select coalesce(max(idx) + 1, 0) from license) + place - 1, $1, token, hash,
                       extract(epoch from now()) * 1000
                from unnest($2::bytea[], $3::bytea[]) with ordinality as l (token, hash, place)
                returning idx, license_hash
             )
             insert into lease (license_idx, fence, node_idx, operator, granted_at)
             select made.idx, 1, n.idx, $5, extract(epoch from now()) * 1000
             from unnest($3::bytea[], $4::bytea[]) as l (hash, key)
             join made on made.license_hash::bytea = l.hash join node n on n.node_key::bytea = l.key",
        )
        .bind(collection.to_vec())
        .bind(&tokens)
        .bind(&hashes)
        .bind(&keys)
        .bind(&project)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    sqlx::query("analyze").execute(pool).await?;
    Ok(nodes)
}

/// Puts nodes that have no license into the database.
pub(crate) async fn seed_free(pool: &PgPool, count: u32) -> anyhow::Result<()> {
    let key = |number| anyhow::Ok(free_node(number)?.address().to_vec());
    let keys: Vec<Vec<u8>> = (0..count).map(key).collect::<Result<_, _>>()?;
    authorize(&mut *pool.acquire().await?, &keys).await
}

async fn authorize(conn: &mut PgConnection, keys: &[Vec<u8>]) -> anyhow::Result<()> {
    sqlx::query(
        "insert into node (node_key, operator, nonce, not_after_secs, operator_signature,
                           node_signature, authorized_at)
         select key, $2, decode(repeat('00', 32), 'hex'), extract(epoch from now()) + 86400, '',
                decode(repeat('00', 65), 'hex'), extract(epoch from now()) * 1000
         from unnest($1::bytea[]) with ordinality as k (key, place) order by place",
    )
    .bind(keys)
    .bind(OPERATOR.to_vec())
    .execute(conn)
    .await?;
    Ok(())
}
