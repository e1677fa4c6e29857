//! Transactions of the commands: sent with a key, or prepared for another wallet.
//!
//! Every command that changes the chain does it through [`TxSender`]. With `--calldata` or
//! `--safe-batch` nothing is sent: what the command would send is collected, and printed in place of
//! its result. So a command knows of it only where it looks at the chain after a transaction.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use anyhow::{Context as _, bail};
use clap::Args;
use nodesys_chain::{ChainError, Provider};
use nodesys_clock::Clock;
use nodesys_core::address::address;
use nodesys_core::{Address, B256};
use serde::Serialize;

use super::prepared::{PreparedCall, PreparedView};
use crate::config::{Sender, Settings};
use crate::output::{Format, print};

/// Options of a command that sends transactions.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Print the transactions for a Safe or a hardware wallet; send nothing, and need no key.
    #[arg(long)]
    pub calldata: bool,
    /// Write the transactions to a file for Safe's Transaction Builder; send nothing, and need no key.
    #[arg(long, value_name = "FILE")]
    pub safe_batch: Option<PathBuf>,
    /// The account that sends them, as the Safe; needed where an address depends on it.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub sender: Option<Address>,
    /// The account that sends them, where its key is here.
    #[command(flatten)]
    pub keystore: Sender,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

impl SendArgs {
    const fn only_prepares(&self) -> bool {
        self.calldata || self.safe_batch.is_some()
    }
}

/// Runs a command that changes the chain. Prints its result, or what it has prepared for another
/// wallet.
///
/// # Errors
///
/// Those of the command; if the sender's key is needed and cannot be had.
pub(crate) async fn change<T: Serialize + fmt::Display>(
    settings: &Settings,
    args: &SendArgs,
    command: impl AsyncFnOnce(&TxSender) -> anyhow::Result<T>,
) -> anyhow::Result<()> {
    let tx = TxSender::connect(settings, args).await?;
    let result = command(&tx).await?;
    match tx.prepared(args)? {
        None => print(args.output, &result),
        Some(prepared) => print(args.output, &prepared),
    }
}

/// Sends transactions, or collects them for another wallet.
pub(crate) struct TxSender {
    pub(crate) provider: Provider,
    /// The sender, where it is known.
    account: Option<Address>,
    /// Transactions and notes for another wallet; `None` where a key is here.
    collected: Option<Mutex<(Vec<PreparedCall>, Vec<String>)>>,
}

impl TxSender {
    /// Connects to the chain; reads the sender's key only where it is needed.
    async fn connect(settings: &Settings, args: &SendArgs) -> anyhow::Result<Self> {
        if args.only_prepares() {
            let collected = Some(Mutex::default());
            return Ok(Self {
                provider: settings.provider().await?,
                account: args.sender,
                collected,
            });
        }
        let key = settings.sender_key(&args.keystore)?;
        let own = key.address();
        if let Some(other) = args.sender.filter(|sender| *sender != own) {
            bail!(
                "--sender is {other}, but the keystore's account is {own}: for another wallet give \
                 --calldata or --safe-batch too"
            );
        }
        let provider = settings.sending_provider(&key).await?;
        Ok(Self { provider, account: Some(own), collected: None })
    }

    /// The account that sends, if it is known.
    pub(crate) const fn account(&self) -> Option<Address> {
        self.account
    }

    /// The account that sends; `why` says what depends on it.
    ///
    /// # Errors
    ///
    /// If it is not known.
    pub(crate) fn need_account(&self, why: &str) -> anyhow::Result<Address> {
        self.account.with_context(|| {
            format!("--sender is missing: {why}; give the address of the Safe that sends it")
        })
    }

    /// Whether transactions are collected instead of sent, so that the chain stays as it is.
    pub(crate) const fn only_prepares(&self) -> bool {
        self.collected.is_some()
    }

    /// Reads from a contract at the newest block.
    pub(crate) async fn read<C: SolCall>(
        &self,
        contract: Address,
        call: C,
    ) -> Result<C::Return, ChainError> {
        self.provider.call(contract, &call, BlockId::latest()).await
    }

    /// Sends a transaction and waits for its block; `None` where it is collected instead. `action` says
    /// in words what it does, and `purpose` begins every error.
    ///
    /// # Errors
    ///
    /// Those of [`Provider::send`]. Of what is collected, the first transaction is tried where the sender
    /// is known; a later one may need an earlier one.
    pub(crate) async fn send(
        &self,
        action: &str,
        purpose: &str,
        request: TransactionRequest,
    ) -> anyhow::Result<Option<B256>> {
        let Some(collected) = &self.collected else {
            return Ok(Some(self.provider.send(purpose, request).await?.transaction_hash));
        };
        let call = PreparedCall::of(action.to_owned(), &request)?;
        let is_first = collected.lock().unwrap_or_else(PoisonError::into_inner).0.is_empty();
        if let Some(sender) = self.account.filter(|_| is_first) {
            self.provider.try_as(purpose, sender, request).await?;
        }
        collected.lock().unwrap_or_else(PoisonError::into_inner).0.push(call);
        Ok(None)
    }

    /// Says something about the transactions that are collected.
    pub(crate) fn note(&self, words: String) {
        if let Some(collected) = &self.collected {
            collected.lock().unwrap_or_else(PoisonError::into_inner).1.push(words);
        }
    }

    /// What was collected, written to the file of `--safe-batch`; `None` where nothing was.
    fn prepared(self, args: &SendArgs) -> anyhow::Result<Option<PreparedView>> {
        let collected =
            self.collected.map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
        let Some((transactions, notes)) = collected.filter(|(calls, _)| !calls.is_empty()) else {
            return Ok(None);
        };
        let view = PreparedView {
            chain_id: self.provider.chain_id(),
            sender: self.account,
            transactions,
            notes,
            safe_batch: args.safe_batch.clone(),
        };
        if let Some(path) = &args.safe_batch {
            view.write(path, Clock::system().now())?;
        }
        Ok(Some(view))
    }
}

/// A transaction without value that calls a contract.
pub(crate) fn call_request<C: SolCall>(contract: Address, call: &C) -> TransactionRequest {
    TransactionRequest::default().with_to(contract).with_input(call.abi_encode())
}

/// A change of the chain: made by a transaction, or before.
#[derive(Debug, Serialize)]
pub(crate) struct TxView {
    /// What the transaction does, in words.
    #[serde(rename = "what")]
    pub(crate) action: String,
    /// Hash of the transaction; `None` where the chain was in the wanted state already.
    pub(crate) transaction: Option<B256>,
}

impl TxView {
    /// Nothing to send: the chain is in the wanted state already.
    pub(crate) const fn not_needed(action: String) -> Self {
        Self { action, transaction: None }
    }

    /// The lines below the action.
    pub(crate) fn fmt_transaction(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transaction {
            Some(transaction) => write!(f, "\ntransaction  {transaction}"),
            None => f.write_str("\ntransaction  none: nothing to change"),
        }
    }
}

impl fmt::Display for TxView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "action       {}", self.action)?;
        self.fmt_transaction(f)
    }
}
