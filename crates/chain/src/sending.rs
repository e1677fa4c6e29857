//! Transactions of a command: each is sent once, however often the command is repeated.
//!
//! A connection with a record ([`Provider::recording`]) decides nothing while something of its account
//! waits. What an earlier run sent is sent again as it was, or with a higher fee under the same nonce
//! where prices have risen, and waited for. Only then does the command read the chain, and so it finds
//! done what the first try did. A transaction is recorded and its hash shown before it leaves the machine.
//!
//! # Examples
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use alloy::rpc::types::TransactionRequest;
//! use nodesys_chain::{ChainError, Provider};
//!
//! async fn example(wallet: Provider, request: TransactionRequest) -> Result<(), ChainError> {
//!     let tell = Arc::new(|words: &str| eprintln!("{words}"));
//!     // From here on nothing of the account waits: read, decide, send.
//!     let wallet = wallet.recording(Path::new("transactions"), tell).await?;
//!     let receipt = wallet.send("funding the project", request).await?;
//!     println!("in block {:?}", receipt.block_number);
//!     Ok(())
//! }
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy::eips::Encodable2718 as _;
use alloy::network::{NetworkTransactionBuilder as _, TransactionBuilder as _};
use alloy::primitives::{Address, B256, Bytes};
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::transports::{RpcError, TransportError};

use crate::error::ChainError;
use crate::gas::{Fees, limit_of};
use crate::provider::Provider;
use crate::sent::{Record, SentTransaction, Tell};
use crate::sources::reached;
use crate::wait::pause;

/// How often a receipt is asked for: of a node nearby, and of a provider that counts requests.
const POLL_NEARBY: Duration = Duration::from_millis(100);
const POLL_FAR: Duration = Duration::from_secs(1);
/// How long a try that waits is left alone before its fee is compared with the present ones.
const LEFT_ALONE: Duration = Duration::from_secs(30);
/// How long the receipt of a counted transaction is asked for: some nodes give it later than the block.
const RECEIPT_GRACE: Duration = Duration::from_secs(30);

impl Provider {
    /// Keeps a record of what is sent in a folder of the account's own, and waits until nothing of the
    /// account waits any more. `tell` hears what is sent and what is waited for. The account is this
    /// program's alone until the connection is dropped.
    ///
    /// # Errors
    ///
    /// [`ChainError::NoSigner`] without a key; [`ChainError::Record`] where the folder cannot be used;
    /// [`ChainError::StillWaits`] and [`ChainError::OthersWait`] where something waits for longer than two
    /// minutes; those of a read.
    pub async fn recording(self, folder: &Path, tell: Tell) -> Result<Self, ChainError> {
        let sender = self.sender().ok_or_else(|| ChainError::NoSigner("sending".to_owned()))?;
        let genesis = self.existing_block(0.into()).await?.hash;
        let record = Record::open(folder, genesis, sender, tell).await?;
        let recording = self.with_record(Arc::new(record));
        recording.settle().await?;
        Ok(recording)
    }

    /// What to say to somebody who stops the program now.
    pub fn words_when_stopped(&self) -> &'static str {
        match self.record().is_some_and(Record::is_waiting) {
            true => {
                "stopped; the transaction above may still come in. Run the same command again: it goes \
                 on with that transaction and sends no second one"
            }
            false => "stopped",
        }
    }

    /// Sends one transaction and waits until it is in a block. `what` begins every error.
    ///
    /// The whole call is tried at its gas limit and price first: some contracts answer an estimate
    /// otherwise than a transaction.
    ///
    /// # Errors
    ///
    /// [`ChainError::NoSigner`] without a key; [`ChainError::NotEnough`] where the account cannot pay the gas;
    /// [`ChainError::Reverted`] where the contract refuses, before it is sent or in the block;
    /// [`ChainError::NotMined`] after two minutes, with a transaction that may still come in, or
    /// [`ChainError::StillWaits`] where it is recorded; [`ChainError::Unreachable`] and [`ChainError::Rpc`] of
    /// the first RPC.
    pub async fn send(
        &self,
        what: &str,
        request: TransactionRequest,
    ) -> Result<TransactionReceipt, ChainError> {
        let sent = {
            // Until the node has it, and the next nonce counts it; not until it is mined.
            let _one_at_a_time = self.sending().lock().await;
            let filled = self.fill(what, request).await?;
            let sent = self.signed(what, filled, Vec::new()).await?;
            if let Some(record) = self.record() {
                record.put(sent.clone())?;
                // From here on it may come in, whatever becomes of this program.
                record.set_waiting(true);
                record.tell(&format!(
                    "transaction {}: {what}; waiting for its block. If you stop here, the same \
                     command goes on with it",
                    sent.hash()
                ));
            }
            self.broadcast(&sent, Try::First).await?;
            sent
        };
        let receipt = self.within(self.mined_timeout(), &sent).await?;
        if let Some(record) = self.record() {
            record.set_told(sent.nonce)?;
        }
        if !receipt.status() {
            return Err(self.why_it_failed(what, sent.request, &receipt).await);
        }
        let transaction = receipt.transaction_hash;
        tracing::debug!(what, %transaction, gas = receipt.gas_used, "transaction is in a block");
        self.catch_up(what, &receipt).await?;
        Ok(receipt)
    }

    /// The receipt of the newest transaction of an earlier run, if it is this very call and that run did
    /// not see its end: then it is what the present command was to do. For calls that may rightly be made
    /// twice, as a purchase; where the chain itself tells what is done, read that.
    ///
    /// # Errors
    ///
    /// [`ChainError::Record`]; [`ChainError::Rpc`] where the chain has counted past it and no RPC has its
    /// receipt.
    pub async fn unseen(
        &self,
        to: Address,
        input: &Bytes,
    ) -> Result<Option<TransactionReceipt>, ChainError> {
        let Some(record) = self.record() else { return Ok(None) };
        let all = record.read()?;
        let same = |sent: &&SentTransaction| {
            let request = &sent.request;
            request.to == Some(to.into()) && request.input.input() == Some(input)
        };
        let Some(sent) = all.last().filter(same).filter(|sent| !sent.told) else { return Ok(None) };
        let receipt = self.within(self.mined_timeout(), sent).await?;
        record.set_told(sent.nonce)?;
        if !receipt.status() {
            return Ok(None);
        }
        let transaction = receipt.transaction_hash;
        record.tell(&format!("transaction {transaction} of an earlier run has done this already"));
        Ok(Some(receipt))
    }

    /// Waits until nothing of the account waits.
    async fn settle(&self) -> Result<(), ChainError> {
        let Some(record) = self.record() else { return Ok(()) };
        let mut next = self.nonce_in_blocks().await?;
        for sent in record.read()? {
            if sent.nonce >= next {
                self.finish(record, sent).await?;
                next = self.nonce_in_blocks().await?;
            }
        }
        record.prune(next)?;
        self.wait_for_others(record).await
    }

    /// Brings a transaction of an earlier run to its end.
    async fn finish(&self, record: &Record, mut sent: SentTransaction) -> Result<(), ChainError> {
        record.tell(&format!(
            "transaction {} of an earlier run waits ({}): it is finished before anything else is sent",
            sent.hash(),
            sent.what
        ));
        let mut waited = Duration::ZERO;
        loop {
            if let Some(dearer) = self.fees().await?.in_place_of(&sent.request) {
                sent = self.signed(&sent.what, dearer, sent.hashes).await?;
                record.put(sent.clone())?;
                record.tell(&format!("gas costs more by now: replaced by {}", sent.hash()));
            }
            match self.broadcast(&sent, Try::Again).await {
                Ok(()) => {}
                Err(error @ ChainError::Record { .. }) => return Err(error),
                // Forgotten: should it come in after all, it takes the nonce of what is sent instead.
                Err(error) => {
                    record.tell(&format!("the RPC does not take it any more: {error}"));
                    return Ok(());
                }
            }
            match self.within(LEFT_ALONE.min(self.mined_timeout()), &sent).await {
                Err(ChainError::StillWaits { .. })
                    if waited + LEFT_ALONE < self.mined_timeout() =>
                {
                    waited += LEFT_ALONE;
                }
                ended => {
                    let receipt = ended?;
                    return self.catch_up(&sent.what, &receipt).await;
                }
            }
        }
    }

    /// Waits for transactions of the account that were not sent from here.
    async fn wait_for_others(&self, record: &Record) -> Result<(), ChainError> {
        let Some(sender) = self.sender() else { return Ok(()) };
        // A node that keeps no waiting transactions knows of none.
        let pending =
            async || self.rpc().get_transaction_count(sender).pending().await.unwrap_or(0);
        let waiting = pending().await.saturating_sub(self.nonce_in_blocks().await?);
        if waiting == 0 {
            return Ok(());
        }
        record.tell(&format!(
            "{waiting} transactions of {sender} wait that were not sent from here: waiting for their \
             blocks first"
        ));
        let none_left = async {
            while pending().await > self.nonce_in_blocks().await? {
                pause(self.poll_interval()).await;
            }
            Ok(())
        };
        match tokio::time::timeout(self.mined_timeout(), none_left).await {
            Ok(ended) => ended,
            Err(_) => Err(ChainError::OthersWait { account: sender, waiting }),
        }
    }

    /// How often to ask.
    pub(crate) fn poll_interval(&self) -> Duration {
        if self.rpc().client().is_local() { POLL_NEARBY } else { POLL_FAR }
    }

    /// The next nonce by blocks: what a majority of the RPCs counts.
    async fn nonce_in_blocks(&self) -> Result<u64, ChainError> {
        let what = "reading the account's nonce";
        let sender = self.sender().ok_or_else(|| ChainError::NoSigner(what.to_owned()))?;
        reached(self.all(), |source| async move {
            let nonce = source.rpc.get_transaction_count(sender).latest().await;
            nonce.map_err(|error| ChainError::from_transport(&source.url, what, error))
        })
        .await
    }

    /// Nonce, gas and fees of a transaction that the account can pay and the contract takes.
    async fn fill(
        &self,
        what: &str,
        request: TransactionRequest,
    ) -> Result<TransactionRequest, ChainError> {
        let failed = |error| self.error(what, error);
        let sender = self.sender().ok_or_else(|| ChainError::NoSigner(what.to_owned()))?;
        let mut request = request.with_from(sender);
        let nonce = self.rpc().get_transaction_count(sender).pending();
        let (estimate, balance, fees, nonce) = tokio::join!(
            self.rpc().estimate_gas(request.clone()).into_future(),
            self.rpc().get_balance(sender).into_future(),
            self.fees(),
            nonce.into_future(),
        );
        let (estimate, balance, fees) =
            (estimate.map_err(failed)?, balance.map_err(failed)?, fees?);
        let nonce = match nonce {
            Ok(nonce) => nonce,
            Err(_) => self.nonce_in_blocks().await?,
        };
        request.set_nonce(nonce);
        request.set_chain_id(self.chain_id());
        // An account may check signatures by the gas it is given: twice and four times as much tells.
        let mut refused = None;
        for times in [1, 2, 4] {
            let limit = limit_of(estimate).saturating_mul(times);
            let value = request.value.unwrap_or_default();
            let fees = fees.within(balance.saturating_sub(value), limit).ok_or_else(|| {
                let needed = fees.least(limit).saturating_add(value);
                ChainError::NotEnough { what: what.to_owned(), account: sender, balance, needed }
            });
            // The refusal of a smaller limit says more than a lack of money for a greater one.
            let fees = match (fees, refused.take()) {
                (Ok(fees), _) => fees,
                (Err(_), Some(refused)) => return Err(refused),
                (Err(error), None) => return Err(error),
            };
            let tried = fees.set(request.clone().with_gas_limit(limit));
            match self.rpc().call(tried.clone()).await.map_err(failed) {
                Err(error @ ChainError::Reverted { .. }) => refused = Some(error),
                // An RPC that cannot try it says nothing of the contract; the estimate did.
                _ => return Ok(tried),
            }
        }
        Err(refused.unwrap_or_else(|| ChainError::NoSigner(what.to_owned())))
    }

    /// Signs a complete transaction; `before` are the hashes of its earlier tries.
    async fn signed(
        &self,
        what: &str,
        request: TransactionRequest,
        before: Vec<B256>,
    ) -> Result<SentTransaction, ChainError> {
        let wallet = self.wallet().ok_or_else(|| ChainError::NoSigner(what.to_owned()))?;
        let failed = |problem: String| ChainError::Rpc { what: what.to_owned(), problem };
        let envelope = request.clone().build(wallet).await;
        let envelope = envelope.map_err(|error| failed(error.to_string()))?;
        let (raw, mut hashes) = (Bytes::from(envelope.encoded_2718()), before);
        hashes.push(*envelope.tx_hash());
        let nonce = request.nonce.unwrap_or_default();
        let what = what.to_owned();
        Ok(SentTransaction { what, nonce, request, raw, hashes, told: false })
    }

    /// Hands a transaction to the first RPC. One that it refuses is forgotten. Where no answer comes,
    /// the RPC may have it, so it is waited for.
    async fn broadcast(&self, sent: &SentTransaction, which: Try) -> Result<(), ChainError> {
        let Err(error) = self.rpc().send_raw_transaction(&sent.raw).await else { return Ok(()) };
        let refused = matches!(error, RpcError::ErrorResp(_));
        if refused && has_it(&error, which) {
            return Ok(());
        }
        let error = self.error(&sent.what, error);
        let Some(record) = self.record() else { return Err(error) };
        if refused {
            record.remove(sent.nonce)?;
            return Err(error);
        }
        record.tell(&format!("it is not known whether the RPC has it: {error}"));
        Ok(())
    }

    /// The receipt of any try, unless it takes too long.
    async fn within(
        &self,
        timeout: Duration,
        sent: &SentTransaction,
    ) -> Result<TransactionReceipt, ChainError> {
        if let Some(record) = self.record() {
            record.set_waiting(true);
        }
        let ended = tokio::time::timeout(timeout, self.in_a_block(sent)).await;
        if let Some(record) = self.record() {
            record.set_waiting(false);
        }
        let (what, transaction, waited_secs) =
            (sent.what.clone(), sent.hash(), self.mined_timeout().as_secs());
        match (ended, self.record()) {
            (Ok(ended), _) => ended,
            (Err(_), None) => Err(ChainError::NotMined { what, transaction, waited_secs }),
            (Err(_), Some(_)) => {
                let nonce = sent.nonce;
                Err(ChainError::StillWaits { what, transaction, nonce, waited_secs })
            }
        }
    }

    /// Waits, without end, for the receipt of any try.
    async fn in_a_block(&self, sent: &SentTransaction) -> Result<TransactionReceipt, ChainError> {
        let mut counted = Duration::ZERO;
        loop {
            if let Some(receipt) = self.receipt_of(&sent.hashes).await {
                return Ok(receipt);
            }
            // An RPC that fails for a moment says nothing of the transaction.
            if self.nonce_in_blocks().await.is_ok_and(|next| next > sent.nonce) {
                counted += self.poll_interval();
            }
            if counted >= RECEIPT_GRACE {
                return Err(ChainError::Rpc {
                    what: sent.what.clone(),
                    problem: format!(
                        "a transaction of nonce {} is in a block, and no receipt of {} is to be had: \
                         another wallet may have used the nonce; run the command again, which looks \
                         what is done",
                        sent.nonce,
                        sent.hash()
                    ),
                });
            }
            pause(self.poll_interval()).await;
        }
    }

    /// The receipt of any of these transactions, by any RPC; the newest one is asked for first.
    pub(crate) async fn receipt_of(&self, hashes: &[B256]) -> Option<TransactionReceipt> {
        for hash in hashes.iter().rev() {
            for source in self.all() {
                let receipt = source.rpc.get_transaction_receipt(*hash).await;
                // A block has a number; what waits may have a receipt without one.
                if let Ok(Some(receipt)) = receipt
                    && receipt.block_number.is_some()
                {
                    return Some(receipt);
                }
            }
        }
        None
    }

    /// Waits until what is read next is not older than the transaction: a majority of the RPCs has its
    /// block, and counts its nonce.
    async fn catch_up(&self, what: &str, receipt: &TransactionReceipt) -> Result<(), ChainError> {
        let block = receipt.block_number.unwrap_or_default();
        let caught_up = async {
            // An RPC that fails for a moment is asked again.
            while !self.latest_block().await.is_ok_and(|newest| newest.number >= block) {
                pause(self.poll_interval()).await;
            }
        };
        tokio::time::timeout(self.mined_timeout(), caught_up).await.map_err(|_| ChainError::Rpc {
            what: what.to_owned(),
            problem: format!(
                "transaction {} is in block {block}, which the RPC {} has not reached yet: it is \
                 behind; run the command again later",
                receipt.transaction_hash,
                self.place()
            ),
        })
    }
}

impl Fees {
    /// The transaction with fees that surpass its own, where its own are too low by now.
    fn in_place_of(&self, sent: &TransactionRequest) -> Option<TransactionRequest> {
        let old = sent.max_fee_per_gas.or(sent.gas_price)?;
        if old >= self.base.saturating_add(self.tip.min(1)) {
            return None;
        }
        // Nodes ask for a tenth more of both.
        let more = |fee: u128| fee.saturating_add(fee / 4).saturating_add(1);
        let tip = self.tip.max(more(sent.max_priority_fee_per_gas.unwrap_or_default()));
        let max_fee = self.max_fee.max(more(old)).max(tip);
        Some(Self { max_fee, tip, ..*self }.set(sent.clone()))
    }
}

/// Whether a transaction is handed over for the first time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Try {
    First,
    Again,
}

/// Whether a refusal says that the transaction is there already, waiting or in a block.
fn has_it(error: &TransportError, which: Try) -> bool {
    let Some(payload) = error.as_error_resp() else { return false };
    let words = payload.message.to_lowercase();
    let said = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    said(&["already known", "already imported", "known transaction", "alreadyknown"])
        || (which == Try::Again && said(&["nonce too low", "nonce is too low"]))
}
