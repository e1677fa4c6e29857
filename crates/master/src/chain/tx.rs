//! Transactions of the commands: sent with a key, or printed for another wallet.

use std::fmt;

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::Bytes;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use anyhow::Context as _;
use clap::Args;
use nodesys_chain::{ChainError, Provider};
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::config::{Sender, Settings};
use crate::output::Format;

/// Options of a command that sends a transaction.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Print the transaction for a Safe or a hardware wallet; send nothing, and need no key.
    #[arg(long)]
    pub calldata: bool,
    /// The account that sends it.
    #[command(flatten)]
    pub sender: Sender,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// Sends transactions, or prepares them for another wallet where `--calldata` is given.
pub(crate) struct TxSender {
    pub(crate) provider: Provider,
    calldata: bool,
}

impl TxSender {
    /// Connects to the chain; reads the sender's key only where it is needed.
    pub(crate) async fn connect(settings: &Settings, args: &SendArgs) -> anyhow::Result<Self> {
        let provider = match args.calldata {
            true => settings.provider().await?,
            false => settings.sending_provider(&settings.sender_key(&args.sender)?).await?,
        };
        Ok(Self { provider, calldata: args.calldata })
    }

    /// Whether transactions are printed instead of sent.
    pub(crate) const fn only_prints(&self) -> bool {
        self.calldata
    }

    /// Reads from a contract at the newest block.
    pub(crate) async fn read<C: SolCall>(
        &self,
        contract: Address,
        call: C,
    ) -> Result<C::Return, ChainError> {
        self.provider.call(contract, &call, BlockId::latest()).await
    }

    /// Sends a transaction and waits for its block, or prepares it for printing. `action` says in
    /// words what it does, and `purpose` begins every error.
    pub(crate) async fn send(
        &self,
        action: String,
        purpose: &str,
        request: TransactionRequest,
    ) -> anyhow::Result<TxView> {
        if self.calldata {
            let to = request
                .to
                .and_then(|to| to.to().copied())
                .context("the transaction has no receiver")?;
            let data = request.input.input().cloned().unwrap_or_default();
            return Ok(TxView { action, transaction: None, to: Some(to), data: Some(data) });
        }
        let transaction = self.provider.send(purpose, request).await?.transaction_hash;
        Ok(TxView { action, transaction: Some(transaction), to: None, data: None })
    }
}

/// A transaction without value that calls a contract.
pub(crate) fn call_request<C: SolCall>(contract: Address, call: &C) -> TransactionRequest {
    TransactionRequest::default().with_to(contract).with_input(call.abi_encode())
}

/// A transaction: sent, prepared for another wallet, or not needed.
#[derive(Debug, Serialize)]
pub(crate) struct TxView {
    /// What the transaction does, in words.
    #[serde(rename = "what")]
    pub(crate) action: String,
    /// Hash of the transaction, where one was sent.
    transaction: Option<B256>,
    /// Receiver of a transaction that another wallet has to send.
    to: Option<Address>,
    data: Option<Bytes>,
}

impl TxView {
    /// Nothing to send: the chain is in the wanted state already.
    pub(crate) const fn not_needed(action: String) -> Self {
        Self { action, transaction: None, to: None, data: None }
    }

    /// The lines below the action.
    pub(crate) fn fmt_transaction(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.transaction, self.to, &self.data) {
            (Some(transaction), ..) => write!(f, "\ntransaction  {transaction}"),
            (None, Some(to), Some(data)) => write!(
                f,
                "\nto           {to}\nvalue        0\ndata         {data}\n\
                 transaction  none: send it from your wallet"
            ),
            _ => f.write_str("\ntransaction  none: nothing to change"),
        }
    }
}

impl fmt::Display for TxView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "action       {}", self.action)?;
        self.fmt_transaction(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in JSON are part of the commands' interface.
    #[test]
    fn a_transaction_keeps_its_json_names() {
        let view = TxView {
            action: "pause".to_owned(),
            transaction: None,
            to: Some(Address::ZERO),
            data: Some(Bytes::from_static(&[1])),
        };
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["what"], "pause");
        assert_eq!(json["data"], "0x01");
        assert!(json["transaction"].is_null());
        let text = view.to_string();
        assert!(text.contains("send it from your wallet"), "{text}");
        let text = TxView::not_needed("pause".to_owned()).to_string();
        assert!(text.ends_with("none: nothing to change"), "{text}");
    }
}
