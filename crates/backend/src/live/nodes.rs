//! Nodes: a cache of their rows. No request is refused from memory alone.

use std::collections::HashMap;
use std::sync::RwLock;

use nodesys_core::Address;
use nodesys_core::time::Timestamp;
use sqlx::PgPool;

use super::lock::{read, write};
use crate::db::node::{self, NodeEntry};
use crate::error::{ApiError, ApiResult};

/// Nodes by their keys.
pub(crate) struct Nodes {
    pool: PgPool,
    known: RwLock<HashMap<Address, NodeEntry>>,
}

impl Nodes {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, known: RwLock::default() }
    }

    /// The node, from memory or its row. `before_reading` may refuse what the row costs.
    pub(crate) async fn get(
        &self,
        node_key: Address,
        before_reading: impl FnOnce() -> ApiResult<()>,
    ) -> ApiResult<NodeEntry> {
        if let Some(entry) = read(&self.known).get(&node_key) {
            return Ok(*entry);
        }
        before_reading()?;
        self.read(node_key).await
    }

    async fn read(&self, node_key: Address) -> ApiResult<NodeEntry> {
        let mut conn = self.pool.acquire().await?;
        let entry = node::entry(&mut conn, node_key).await?.ok_or_else(|| {
            ApiError::unknown_node(format!(
                "no authorisation is stored for node {node_key}: run `nodesys pair` first"
            ))
        })?;
        write(&self.known).insert(node_key, entry);
        Ok(entry)
    }

    /// The node, while its authorisation is valid. If memory says it has ended the row is read:
    /// another replica may have stored a new one.
    pub(crate) async fn authorised(
        &self,
        node_key: Address,
        now: Timestamp,
        before_reading: impl Fn() -> ApiResult<()>,
    ) -> ApiResult<NodeEntry> {
        let known = self.get(node_key, &before_reading).await?;
        if check_authorised(&known, now).is_ok() {
            return Ok(known);
        }
        before_reading()?;
        let stored = self.read(node_key).await?;
        check_authorised(&stored, now)?;
        Ok(stored)
    }

    /// Drops all nodes.
    pub(crate) fn forget_all(&self) {
        write(&self.known).clear();
    }

    /// Drops a node that may have changed, so that the next request reads its row.
    pub(crate) fn forget(&self, node_key: Address) {
        write(&self.known).remove(&node_key);
    }
}

/// For how long a right to a license is known to go on: a standby asks each minute.
const RIGHT_MILLIS: u64 = 2 * DAY_MILLIS;
const DAY_MILLIS: u64 = 86_400_000;

impl NodeEntry {
    /// Whether the chain allows it a license, as far as is known.
    pub(crate) fn is_entitled(&self, now: Timestamp) -> bool {
        self.entitled.is_some_and(|at| now.millis_since(at) < RIGHT_MILLIS)
    }

    /// Whether that was recorded within a day, and needs no new record.
    pub(crate) fn is_entitled_today(&self, now: Timestamp) -> bool {
        self.entitled.is_some_and(|at| now.millis_since(at) < DAY_MILLIS)
    }

    /// Whether nothing has changed but the time of the last known right.
    pub(crate) fn same_authorization(&self, other: &Self) -> bool {
        *self == Self { entitled: self.entitled, ..*other }
    }
}

/// Refuses an authorisation that has ended.
pub(crate) fn check_authorised(node: &NodeEntry, now: Timestamp) -> ApiResult<()> {
    if node.revoked {
        return Err(ApiError::authorization_revoked(
            "the operator revoked this node; authorise it again with `nodesys pair`",
        ));
    }
    if let Some(lapsed) = node.lapsed {
        return Err(ApiError::authorization_expired(format!(
            "it lapsed at {lapsed}: for 30 days the node ran no license and was allowed none. See \
             that its operator holds, rents or is lent one, then authorise the node again with `nodesys pair`"
        )));
    }
    if now.secs() > node.not_after_secs {
        let until = Timestamp::from_secs(node.not_after_secs);
        return Err(ApiError::authorization_expired(format!(
            "the authorisation ended at {until}; renew it with `nodesys pair`"
        )));
    }
    Ok(())
}
