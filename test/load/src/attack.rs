//! The attacks, each by a process of its own, as fast as its core allows and from several networks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use nodesys_clock::{Clock, DEVELOPMENT_CHAIN_ID};
use nodesys_core::api::{Session, SessionRequest};
use nodesys_core::ids::{Fence, Seq};
use nodesys_core::message::{
    Domain, Heartbeat, LeaseRequest, LeaseStatus, MAX_LEASES, Message as _, NodeRevocation, Signed,
    SignedRevocation, Status,
};
use nodesys_core::notify::{NotifyAction, NotifyRequest};
use nodesys_core::{Address, B256, U256};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::honest::clients;
use crate::seed::{free_node, license_of};

/// Networks of the attacker.
const NETWORKS: u8 = 16;
/// Large uploads at once.
const UPLOADS: usize = 12;
/// Requests at once.
const AT_ONCE: usize = 64;
/// Connections that are kept open, where there are descriptors for as many.
const CONNECTIONS: usize = 10_000;
/// Nodes without a license.
pub(crate) const FREE_NODES: u32 = 4_000;
/// Between two bytes of who is slow.
const SLOW: Duration = Duration::from_secs(2);

/// What is done to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Attack {
    /// Nothing is sent; the core is burnt.
    Control,
    /// Anonymous uploads of 64 MiB for a project that does not exist.
    Uploads,
    /// Requests that cost reads of the chain, signed by strangers, and reads of everything.
    Garbage,
    /// Heads of requests that never end.
    Heads,
    /// Webhooks of nodes without a license, under names that lead nowhere.
    Webhooks,
    /// Bodies that come byte by byte.
    Bodies,
    /// Heartbeats of nodes without a license, with as many lines as may be.
    Nodes,
}

impl Attack {
    /// All but the control.
    pub(crate) const ALL: [Self; 6] =
        [Self::Uploads, Self::Garbage, Self::Heads, Self::Webhooks, Self::Bodies, Self::Nodes];
}

/// Attacks until it is killed.
pub(crate) async fn run(attack: Attack, base: &str, registry: Address) -> anyhow::Result<()> {
    let addr = base.trim_start_matches("http://").parse().context("the backend's address")?;
    let stranger = Arc::new(Stranger {
        addr,
        base: base.to_owned(),
        domain: Domain::new(DEVELOPMENT_CHAIN_ID, registry),
        clients: clients(2, NETWORKS)?,
        clock: Clock::system(),
        turn: AtomicU64::new(0),
    });
    let at_once = match attack {
        Attack::Control => loop {
            std::hint::spin_loop();
        },
        Attack::Uploads => UPLOADS,
        Attack::Heads | Attack::Bodies => {
            CONNECTIONS.min(nodesys_service::listener::connections_by_descriptors())
        }
        Attack::Garbage | Attack::Webhooks | Attack::Nodes => AT_ONCE,
    };
    let mut going = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let stranger = stranger.clone();
        going.spawn(async move {
            loop {
                // Whatever comes of it, it goes on.
                let _ = stranger.attack(attack).await;
                tokio::task::yield_now().await;
            }
        });
    }
    while going.join_next().await.is_some() {}
    Ok(())
}

struct Stranger {
    addr: SocketAddr,
    base: String,
    domain: Domain,
    clients: Vec<reqwest::Client>,
    clock: Clock,
    turn: AtomicU64,
}

impl Stranger {
    async fn attack(&self, attack: Attack) -> anyhow::Result<()> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match attack {
            Attack::Control => Ok(()),
            Attack::Uploads => self.upload(turn).await,
            Attack::Garbage => self.garbage(turn).await,
            Attack::Heads => {
                self.slowly(turn, "GET /v1/network HTTP/1.1\r\nhost: x\r\nx-slow: ").await
            }
            Attack::Webhooks => self.webhook(turn).await,
            Attack::Bodies => {
                let route = ["heartbeats", "leases", "nodes", "commits"][low(turn, 4)];
                let head = format!(
                    "POST /v1/{route} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                     content-length: 16000\r\n\r\n{{"
                );
                self.slowly(turn, &head).await
            }
            Attack::Nodes => self.node(turn).await,
        }
    }

    async fn connect(&self, turn: u64) -> anyhow::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        let network = u8::try_from(low(turn, usize::from(NETWORKS)))? + 1;
        socket.bind((IpAddr::from(Ipv4Addr::new(127, 0, 2, network)), 0).into())?;
        Ok(socket.connect(self.addr).await?)
    }

    async fn upload(&self, turn: u64) -> anyhow::Result<()> {
        let mut stream = self.connect(turn).await?;
        let (size, hash) = (64 * 1024 * 1024, B256::repeat_byte(1));
        let head = format!(
            "PUT /v1/points/{}/20000?terms=e30&points_hash={hash}&signature=0x{} HTTP/1.1\r\nhost: x\r\n\
             content-length: {size}\r\n\r\n",
            Address::repeat_byte(0xee),
            "11".repeat(65)
        );
        stream.write_all(head.as_bytes()).await?;
        let piece = vec![b'1'; 64 * 1024];
        for _ in 0..size / piece.len() {
            stream.write_all(&piece).await?;
        }
        // Whatever it answers, the upload was looked at.
        let _ = stream.read_u8().await;
        Ok(())
    }

    /// Says something, and then a letter from time to time, until the other side closes.
    async fn slowly(&self, turn: u64, words: &str) -> anyhow::Result<()> {
        let mut stream = self.connect(turn).await?;
        stream.write_all(words.as_bytes()).await?;
        let mut sleeper = self.clock.sleeper();
        loop {
            sleeper.sleep(SLOW).await;
            stream.write_all(b"a").await?;
        }
    }

    async fn garbage(&self, turn: u64) -> anyhow::Result<()> {
        let free = free_node(u32::try_from(turn % u64::from(FREE_NODES))?)?;
        let (node_key, now) = (free.address(), self.clock.now());
        let account = Address::left_padding_from(&turn.to_be_bytes());
        let day = now.day();
        match turn % 8 {
            0 => {
                let nonce = U256::from(turn);
                let revocation = NodeRevocation { operator: account, node_key, nonce };
                let operator_signature = free.sign(revocation.digest(&self.domain)).into();
                self.post(
                    turn,
                    "/v1/nodes/revocations",
                    &SignedRevocation { revocation, operator_signature },
                )
                .await
            }
            1 | 2 => {
                let license = license_of(u32::try_from(turn % 1000)?).hash();
                let request = LeaseRequest { node_key, license, nonce: now.millis() };
                let signed = Signed::new(request, &self.domain, &free);
                self.post(turn, "/v1/leases", &signed).await
            }
            3 => self.post(turn, "/v1/sessions", &SessionRequest { node_key: account }).await,
            4 => self.get(turn, &format!("/v1/points/load/{day}/rewards")).await,
            5 => self.get(turn, &format!("/v1/proofs/load/{account}")).await,
            6 => self.get(turn, &format!("/v1/rewards/{account}")).await,
            _ => self.get(turn, "/v1/roots/load").await,
        }
    }

    async fn webhook(&self, turn: u64) -> anyhow::Result<()> {
        let free = free_node(u32::try_from(turn % u64::from(FREE_NODES))?)?;
        let request = NotifyRequest {
            node_key: free.address(),
            action: NotifyAction::Add,
            url: format!("https://tarpit-{turn}.example.invalid/hook"),
            target: 0,
            nonce: self.clock.now().millis(),
        };
        self.post(turn, "/v1/notify", &Signed::new(request, &self.domain, &free)).await
    }

    async fn node(&self, turn: u64) -> anyhow::Result<()> {
        let free = free_node(u32::try_from(turn % u64::from(FREE_NODES))?)?;
        let node_key = free.address();
        // A node's requests come from one network.
        let client = &self.clients[low(turn % u64::from(FREE_NODES), self.clients.len())];
        let session = client.post(format!("{}/v1/sessions", self.base));
        let session = session.json(&SessionRequest { node_key }).send().await?;
        let session: Session = session.error_for_status()?.json().await?;
        let line = |number: usize| LeaseStatus {
            license: B256::left_padding_from(&(turn * 100 + number as u64).to_be_bytes()),
            fence: Fence::checked_new(1).unwrap_or(Fence::ZERO),
            status: Status::Healthy,
            release: u64::MAX,
        };
        let heartbeat = Heartbeat {
            node_key,
            minute: self.clock.now().minute(),
            seq: Seq::checked_new(turn + 1).context("a sequence number")?,
            challenge: session.challenge,
            leases: (0..MAX_LEASES).map(line).collect(),
        };
        let signed = Signed::new(heartbeat, &self.domain, &free);
        client.post(format!("{}/v1/heartbeats", self.base)).json(&signed).send().await?;
        Ok(())
    }

    async fn post(&self, turn: u64, route: &str, body: &impl Serialize) -> anyhow::Result<()> {
        let client = &self.clients[low(turn / 8, self.clients.len())];
        client.post(format!("{}{route}", self.base)).json(body).send().await?.bytes().await?;
        Ok(())
    }

    async fn get(&self, turn: u64, route: &str) -> anyhow::Result<()> {
        let client = &self.clients[low(turn / 8, self.clients.len())];
        client.get(format!("{}{route}", self.base)).send().await?.bytes().await?;
        Ok(())
    }
}

/// A place among so many.
fn low(turn: u64, places: usize) -> usize {
    usize::try_from(turn).unwrap_or_default() % places
}
