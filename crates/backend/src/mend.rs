//! `nodesys-backend mirror`: mending what the database has of the chain.

use nodesys_chain::Provider;
use nodesys_core::message::Domain;
use sqlx::PgPool;

use crate::chain::mirror::{self, Place};
use crate::config::{MirrorCall, MirrorConfig};
use crate::{db, preflight};

/// Does what the call says.
pub(crate) async fn mend(call: MirrorCall) -> anyhow::Result<()> {
    match call {
        MirrorCall::Rescan { of, from, source } => {
            let (place, pool) = open(&of).await?;
            let told = |block| eprintln!("read up to block {block}");
            let found = mirror::rescan(&place, &pool, from, source, told).await?;
            println!("{} facts were missing and are there now", found.missing);
            if found.surplus > 0 {
                println!(
                    "{} license events of the mirror are not shown by the RPC: either it has lost old logs \
                     (try another one), or the chain has replaced blocks (docs/mirror.md)",
                    found.surplus
                );
            }
        }
        MirrorCall::Rewind { of, to } => {
            let (place, pool) = open(&of).await?;
            let done = mirror::rewind(&place, &pool, to).await?;
            let rewound = done.rewound;
            println!(
                "forgotten of blocks after {to}: {} license events, {} claims, {} posts",
                rewound.license_events, rewound.claims, rewound.posts
            );
            for (project, commit) in done.built_on_gone {
                println!("commit {commit} of project {project} was built on a block that is gone");
            }
            println!("start the backend: it reads these blocks again, and checks all leases");
        }
    }
    Ok(())
}

async fn open(of: &MirrorConfig) -> anyhow::Result<(Place, PgPool)> {
    let chain = Provider::connect_all(&of.rpc, Some(of.chain_id)).await?;
    let pool = db::connect::connect(&of.database_url, 2, of.allow_unsafe_postgres).await?;
    db::connect::require_schema(&pool).await?;
    preflight::database(&pool, &Domain::new(of.chain_id, of.registry)).await?;
    let (chain_id, registry, first_block) = (of.chain_id, of.registry, of.first_block);
    Ok((Place { chain, chain_id, registry, first_block }, pool))
}
