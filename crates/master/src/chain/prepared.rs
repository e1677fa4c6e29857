//! Transactions for another wallet: printed, or in a file that Safe's Transaction Builder loads.
//!
//! The file has the app's format 1.0, as its own export writes it. The checksum is left out: the app
//! compares it only where there is one, and it would protect the file against nobody.

use std::fmt;
use std::path::{Path, PathBuf};

use alloy::primitives::{Bytes, U256};
use alloy::rpc::types::TransactionRequest;
use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::message::decimal;
use nodesys_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// A call that another wallet has to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PreparedCall {
    /// What it does, in words.
    #[serde(rename = "what")]
    action: String,
    to: Address,
    /// In the smallest unit of the chain's own coin.
    #[serde(with = "decimal")]
    value: U256,
    data: Bytes,
}

impl PreparedCall {
    /// A transaction as a call.
    ///
    /// # Errors
    ///
    /// If it has no receiver: a Safe calls, it cannot create.
    pub(super) fn of(action: String, request: &TransactionRequest) -> anyhow::Result<Self> {
        let to = request.to.and_then(|to| to.to().copied()).with_context(|| {
            format!("to {action} creates a contract without a receiver, which no Safe can send")
        })?;
        let data = request.input.input().cloned().unwrap_or_default();
        Ok(Self { action, to, value: request.value.unwrap_or_default(), data })
    }
}

/// What a command has prepared, in the order in which it has to be sent.
#[derive(Debug, Serialize)]
pub(crate) struct PreparedView {
    #[serde(with = "decimal")]
    pub(super) chain_id: u64,
    /// The account that has to send them, where it is known.
    pub(super) sender: Option<Address>,
    pub(super) transactions: Vec<PreparedCall>,
    /// What to know before or after they are sent.
    pub(super) notes: Vec<String>,
    /// The file that has them.
    pub(super) safe_batch: Option<PathBuf>,
}

impl PreparedView {
    /// Writes the file for Safe's Transaction Builder.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(super) fn write(&self, path: &Path, now: Timestamp) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.batch(now))?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn batch(&self, now: Timestamp) -> Value {
        let actions: Vec<&str> = self.transactions.iter().map(|one| one.action.as_str()).collect();
        let transaction = |one: &PreparedCall| {
            json!({
                "to": one.to,
                "value": one.value.to_string(),
                "data": one.data,
                // Null where the data is given instead of a method and its values.
                "contractMethod": null,
                "contractInputsValues": null,
            })
        };
        json!({
            "version": "1.0",
            "chainId": self.chain_id.to_string(),
            "createdAt": now.millis(),
            "meta": {
                "name": "nodesys-master",
                "description": actions.join("; "),
                "createdFromSafeAddress": self.sender.map(|one| one.to_string()).unwrap_or_default(),
                "createdFromOwnerAddress": "",
            },
            "transactions": self.transactions.iter().map(transaction).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for PreparedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain        {}", self.chain_id)?;
        if let Some(sender) = self.sender {
            write!(f, "\nsender       {sender}")?;
        }
        for PreparedCall { action, to, value, data } in &self.transactions {
            write!(f, "\naction       {action}")?;
            write!(f, "\nto           {to}\nvalue        {value}\ndata         {data}")?;
        }
        for note in &self.notes {
            write!(f, "\nnote         {note}")?;
        }
        match &self.safe_batch {
            Some(path) => {
                write!(f, "\nwritten to   {}, for Safe's Transaction Builder", path.display())
            }
            None => write!(f, "\nsent         nothing: send it from your wallet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::network::TransactionBuilder as _;

    /// The fields of the app's own type `BatchFile`.
    #[test]
    fn a_batch_has_the_form_that_the_transaction_builder_exports() {
        let request = TransactionRequest::default()
            .with_to(Address::repeat_byte(0xab))
            .with_value(U256::from(7))
            .with_input([1, 2]);
        let view = PreparedView {
            chain_id: 10,
            sender: Some(Address::repeat_byte(0xcd)),
            transactions: vec![PreparedCall::of("pay".to_owned(), &request).unwrap()],
            notes: Vec::new(),
            safe_batch: None,
        };
        assert_eq!(
            view.batch(Timestamp::from_secs(5)),
            json!({
                "version": "1.0",
                "chainId": "10",
                "createdAt": 5000,
                "meta": {
                    "name": "nodesys-master",
                    "description": "pay",
                    "createdFromSafeAddress": "0xCdCDCdCdcdcdcdCdcDcDCdcDcDCdCdcdCdcDCDcD",
                    "createdFromOwnerAddress": "",
                },
                "transactions": [{
                    "to": "0xabababababababababababababababababababab",
                    "value": "7",
                    "data": "0x0102",
                    "contractMethod": null,
                    "contractInputsValues": null,
                }],
            })
        );
        let creation = TransactionRequest::default().with_deploy_code(vec![0]);
        let words = PreparedCall::of("make it".to_owned(), &creation).unwrap_err().to_string();
        assert!(words.contains("no Safe can send"), "{words}");
    }
}
