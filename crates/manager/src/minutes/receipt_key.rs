//! Which receipt keys count: those that the registry records, where the node has an RPC of its own.
//!
//! Replicas may sign with different keys while one replaces the other, so each receipt is checked by the key that
//! signed it. Without an RPC, and while none answers, only the pinned key counts or, without one, the backend's word.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use nodesys_chain::RpcUrl;
use nodesys_chain::project::KeyValidity;
use nodesys_core::Address;
use nodesys_core::api::Receipt;
use nodesys_core::message::{Domain, Message as _};
use nodesys_core::time::Timestamp;

use crate::cluster::chain::ChainReader;

/// For how long the record of a key is used: a stolen key is ended, and must not be believed for long.
const FRESH_MILLIS: u64 = 10 * 60_000;
/// Records that are remembered; the backend chooses who signs.
const MOST_KEYS: usize = 16;

/// The keys, and where they are looked up.
pub(super) struct ReceiptKeys {
    domain: Domain,
    chain: Option<ChainReader>,
    pinned: Option<Address>,
    /// What the backend says; asked for once, and again when a receipt does not hold.
    word: Option<Address>,
    records: BTreeMap<Address, (Timestamp, KeyValidity)>,
}

impl ReceiptKeys {
    /// `rpcs` may be empty.
    pub(super) fn new(domain: Domain, pinned: Option<Address>, rpcs: Vec<RpcUrl>) -> Self {
        let (chain_id, registry) = (domain.chain_id(), domain.verifying_contract());
        let chain = (!rpcs.is_empty()).then(|| ChainReader::new(rpcs, chain_id, registry));
        Self { domain, chain, pinned, word: None, records: BTreeMap::new() }
    }

    /// Whether the backend must be asked for its word.
    pub(super) const fn is_unknown(&self) -> bool {
        self.word.is_none()
    }

    /// Takes the backend's word. Returns the key that is shown.
    pub(super) fn heard(&mut self, word: Address) -> Address {
        match self.pinned {
            Some(pinned) if pinned != word && self.chain.is_none() => {
                tracing::warn!(%pinned, theirs = %word, "the backend names another receipt key than the pinned one; \
                    compare with ProjectRegistry");
            }
            None if self.chain.is_none() => {
                tracing::warn!(receipt_key = %word, "the receipt key is the backend's own word; pin receipt_key in the \
                    configuration after comparing it with ProjectRegistry");
            }
            _ => {}
        }
        self.word = Some(word);
        if self.chain.is_some() { word } else { self.pinned.unwrap_or(word) }
    }

    /// A receipt does not hold: the key may have been rotated, and the backend is asked again.
    pub(super) const fn doubt(&mut self) {
        if self.pinned.is_none() {
            self.word = None;
        }
    }

    /// The key that a receipt must be signed by: its signer, if that counts at the receipt's time for the network or
    /// for a project of this node.
    pub(super) async fn of(
        &mut self,
        receipt: &Receipt,
        projects: BTreeSet<Address>,
    ) -> anyhow::Result<Address> {
        let word = self.word.context("the backend's word is known before anything is sent")?;
        let batch = &receipt.batch;
        let at = Timestamp::from_millis(batch.message.server_time_millis);
        let signer =
            batch.signature.recover(batch.message.digest(&self.domain)).context("its signature")?;
        let Some(valid) = self.record(signer, projects, at).await else {
            return Ok(self.pinned.unwrap_or(word));
        };
        ensure!(
            valid.iter().any(|range| range.contains(&at.secs())),
            "it is signed by {signer}, which the registry does not record as a receipt key for {at}"
        );
        Ok(signer)
    }

    /// The registry's record of a key; none where it cannot be read. One that is older than it should be is better
    /// than none.
    async fn record(
        &mut self,
        key: Address,
        projects: BTreeSet<Address>,
        at: Timestamp,
    ) -> Option<KeyValidity> {
        let chain = self.chain.as_mut()?;
        let known = self.records.get(&key);
        if let Some((read, valid)) = known
            && at.millis_since(*read) < FRESH_MILLIS
        {
            return Some(valid.clone());
        }
        let mut valid = KeyValidity::new();
        for project in std::iter::once(None).chain(projects.into_iter().map(Some)) {
            match chain.receipt_key(project, key).await {
                Ok(ranges) => valid.extend(ranges),
                Err(error) => {
                    tracing::warn!(%error, "the registry's record of the receipt key cannot be read");
                    return known.map(|(_, valid)| valid.clone());
                }
            }
        }
        if self.records.len() >= MOST_KEYS {
            self.records.clear();
        }
        self.records.insert(key, (at, valid.clone()));
        Some(valid)
    }
}

#[cfg(test)]
mod tests;
