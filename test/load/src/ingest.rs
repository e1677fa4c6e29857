//! The closed loop: each node sends its next heartbeat when the last one's receipt arrives.

use anyhow::{Context, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use nodesys_clock::{Clock, DEVELOPMENT_CHAIN_ID};
use nodesys_core::ids::Seq;
use nodesys_core::message::{Domain, Heartbeat, Message as _, Signed};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use sqlx::PgPool;

use crate::processes::{Backend, Postgres, own_cpu_seconds};
use crate::seed::Node;

/// Signatures checked to measure the cost of one: about a second's worth.
const SIGNATURES: u32 = 20_000;

/// The running processes.
pub(crate) struct Load {
    pub(crate) pool: PgPool,
    pub(crate) backend: Backend,
    pub(crate) postgres: Postgres,
    pub(crate) registry: Address,
}

/// A node's position in its loop.
struct Sending {
    node: Node,
    seq: u64,
    challenge: B256,
}

/// The resources used up to a moment.
struct Used {
    server_secs: f64,
    postgres_secs: f64,
    wal_bytes: i64,
    batches: i64,
    at: Timestamp,
}

impl Load {
    pub(crate) async fn run(
        &self,
        nodes: Vec<Node>,
        rounds: u32,
        at_once: usize,
    ) -> anyhow::Result<()> {
        let count = u32::try_from(nodes.len())?;
        let domain = Domain::new(DEVELOPMENT_CHAIN_ID, self.registry);
        let signature = bare_signature(nodes.first().context("no node")?, &domain)?;
        let clock = Clock::system();
        // Each node's row is read once, at its first word; that is not measured.
        let ready: Vec<Sending> = stream::iter(nodes)
            .map(|node| self.first(node, &domain, &clock))
            .buffer_unordered(at_once)
            .try_collect()
            .await
            .context("a node's first heartbeat")?;

        let before = self.used(&clock).await?;
        stream::iter(ready)
            .map(|mut sending| {
                let (domain, clock) = (&domain, &clock);
                async move {
                    for _ in 0..rounds {
                        self.send(&mut sending, domain, clock).await?;
                    }
                    anyhow::Ok(())
                }
            })
            .buffer_unordered(at_once)
            .try_collect::<Vec<()>>()
            .await
            .context("a heartbeat was not answered by a receipt")?;
        let after = self.used(&clock).await?;

        let acknowledged = i64::from(count) * i64::from(rounds + 1);
        let stored: i64 = sqlx::query_scalar("select sum(n)::bigint from heartbeat_batch")
            .fetch_one(&self.pool)
            .await?;
        ensure!(stored == acknowledged, "{acknowledged} acknowledged, {stored} stored");
        report(&before, &after, f64::from(count) * f64::from(rounds), signature);
        Ok(())
    }

    async fn first(&self, node: Node, domain: &Domain, clock: &Clock) -> anyhow::Result<Sending> {
        let challenge = self.backend.client.session(node.key.address()).await?.challenge;
        let mut sending = Sending { node, seq: 0, challenge };
        self.send(&mut sending, domain, clock).await?;
        Ok(sending)
    }

    async fn send(
        &self,
        sending: &mut Sending,
        domain: &Domain,
        clock: &Clock,
    ) -> anyhow::Result<()> {
        let Sending { node, seq, challenge } = sending;
        *seq += 1;
        let heartbeat = Heartbeat {
            node_key: node.key.address(),
            minute: clock.now().minute(),
            seq: Seq::checked_new(*seq).context("a sequence number of 2^63")?,
            challenge: *challenge,
            leases: node.leases.clone(),
        };
        let hash = heartbeat.struct_hash();
        let signed = Signed::new(heartbeat, domain, &node.key);
        let receipt = self.backend.client.heartbeat(&signed).await?;
        receipt.verify(domain, self.backend.receipt_key, hash)?;
        let all = (1 << node.leases.len()) - 1;
        ensure!(receipt.accepted.credited == all, "not credited: {:?}", receipt.results);
        *challenge = receipt.accepted.next_challenge;
        Ok(())
    }

    async fn used(&self, clock: &Clock) -> anyhow::Result<Used> {
        let wal_bytes: i64 =
            sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0')::bigint")
                .fetch_one(&self.pool)
                .await?;
        let batches: i64 = sqlx::query_scalar("select count(*) from heartbeat_batch")
            .fetch_one(&self.pool)
            .await?;
        Ok(Used {
            server_secs: self.backend.cpu_seconds()?,
            postgres_secs: self.postgres.cpu_seconds()?,
            wal_bytes,
            batches,
            at: clock.now(),
        })
    }
}

/// CPU seconds of the least possible work for a verified heartbeat: its digest, and recovering the
/// signer. Measured on one thread of this machine, in this run.
fn bare_signature(node: &Node, domain: &Domain) -> anyhow::Result<f64> {
    let heartbeat = Heartbeat {
        node_key: node.key.address(),
        minute: Timestamp::default().minute(),
        seq: Seq::checked_new(1).context("a sequence number")?,
        challenge: B256::ZERO,
        leases: node.leases.clone(),
    };
    let signed = Signed::new(heartbeat, domain, &node.key);
    let before = own_cpu_seconds()?;
    for _ in 0..SIGNATURES {
        std::hint::black_box(&signed).verify(domain, node.key.address())?;
    }
    Ok((own_cpu_seconds()? - before) / f64::from(SIGNATURES))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people, far below 2^53")]
fn report(before: &Used, after: &Used, heartbeats: f64, signature: f64) {
    let server = after.server_secs - before.server_secs;
    let postgres = after.postgres_secs - before.postgres_secs;
    let wal = (after.wal_bytes - before.wal_bytes) as f64;
    let batches = (after.batches - before.batches) as f64;
    let wall = after.at.millis_since(before.at) as f64 / 1000.0;
    println!("ingest.heartbeats {heartbeats:.0} heartbeats");
    println!(
        "ingest.heartbeats_per_cpu_second {:.0} heartbeats/s",
        heartbeats / (server + postgres)
    );
    println!("ingest.server_us {:.1} us", server / heartbeats * 1e6);
    println!("ingest.pg_us {:.1} us", postgres / heartbeats * 1e6);
    println!("ingest.signature_us {:.1} us", signature * 1e6);
    let signatures = (server + postgres) / heartbeats / signature;
    println!("ingest.signatures_per_heartbeat {signatures:.2} signatures");
    println!("ingest.wal_bytes {:.0} B", wal / heartbeats);
    println!("ingest.batch {:.1} heartbeats", heartbeats / batches);
    println!("ingest.heartbeats_per_second {:.0} heartbeats/s", heartbeats / wall);
}
