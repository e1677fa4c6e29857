//! What a start depends on: refused here with a reason, instead of found out by operators.

use anyhow::{Context as _, bail, ensure};
use nodesys_chain::Provider;
use nodesys_chain::project::{projects_of_receipt_key, receipt_key_validity};
use nodesys_core::message::Domain;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, U256};
use sqlx::PgPool;

use crate::db;
use crate::db::network::NetworkRow;
use crate::key_record::KeyRecord;

/// Posts that the poster must be able to pay for, or the log says so. One takes some 81,000 gas.
const POSTS_AHEAD: u64 = 30;
const GAS_OF_A_POST: u64 = 90_000;

/// The registry's record of the receipt key, if the registry is one and names it for now: for the network, or else for
/// some project of its own.
pub(crate) async fn receipt_key(
    chain: &Provider,
    domain: &Domain,
    key: Address,
    first_block: u64,
    now: Timestamp,
) -> anyhow::Result<KeyRecord> {
    let registry = domain.verifying_contract();
    chain.require_code(registry, "ProjectRegistry").await?;
    // A key that was recorded a moment ago is valid from its block on, whose time may be ahead of ours.
    let now = now.secs().max(chain.latest_block().await?.secs);
    let valid = match receipt_key_validity(chain, registry, None, key).await {
        // An RPC that fails says nothing of the registry.
        Err(error) if !error.is_temporary() => Err(error).with_context(|| {
            format!("{registry} does not answer as a ProjectRegistry: check --registry")
        })?,
        answer => answer?,
    };
    if valid.iter().any(|range| range.contains(&now)) {
        return Ok(KeyRecord::new(None, valid));
    }
    for project in projects_of_receipt_key(chain, registry, key, first_block).await? {
        let own = receipt_key_validity(chain, registry, Some(project), key).await?;
        if own.iter().any(|range| range.contains(&now)) {
            tracing::warn!(%project, "the receipt key is a project's own: no other project's owner, \
                and no auditor, accepts days that it signs");
            return Ok(KeyRecord::new(Some(project), own));
        }
    }
    let record = format!("nodesys-master registry receipt-key --key {key}");
    // The network's key: one range, or none.
    let Some(range) = valid.first() else {
        bail!(
            "the registry {registry} does not know the receipt key {key}, so nobody could check its \
             receipts: the network's operator records it with `{record}`"
        );
    };
    bail!(
        "the receipt key {key} is not valid now: the registry has it from {} until before {}; start with \
         the key that is valid, or have the network's operator record another one",
        Timestamp::from_secs(range.start),
        Timestamp::from_secs(range.end)
    );
}

/// The database's row of the network, if it holds this network's facts, and no other's.
pub(crate) async fn database(pool: &PgPool, domain: &Domain) -> anyhow::Result<NetworkRow> {
    let (chain_id, registry) = (domain.chain_id(), domain.verifying_contract());
    let mut conn = pool.acquire().await?;
    let row = db::network::belong(&mut conn, chain_id, registry).await?;
    let (its_chain, its_registry) = (row.chain_id, row.registry);
    ensure!(
        (its_chain, its_registry) == (chain_id, registry),
        "the database is of the registry {its_registry} on chain {its_chain}, not of {registry} on chain \
         {chain_id}: use another database, or check --registry and --chain-id"
    );
    Ok(row)
}

/// Says in the log, and in metrics, when the poster cannot pay for long. Heartbeats are counted all the
/// same.
pub(crate) async fn poster(chain: &Provider, poster: Address) {
    match chain.price_and_balance("reading the poster's balance", poster).await {
        Ok((price, balance)) => {
            let of_a_post = U256::from(price) * U256::from(GAS_OF_A_POST);
            let needed = of_a_post * U256::from(POSTS_AHEAD);
            let left = balance.checked_div(of_a_post).unwrap_or(U256::MAX);
            metrics::gauge!("nodesys_poster_balance_wei").set(f64::from(balance));
            metrics::gauge!("nodesys_poster_posts_left").set(f64::from(left));
            if balance < needed {
                tracing::error!(
                    %poster, balance_wei = %balance, needed_wei = %needed,
                    "the poster cannot pay for {POSTS_AHEAD} posts at today's price: send it gas"
                );
            }
        }
        Err(error) => tracing::warn!(%error, %poster, "the poster's balance is not known"),
    }
}
