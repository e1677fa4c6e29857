//! A purchase of licenses: the sale, its price now, and the transactions.

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::Bytes;
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use anyhow::Context as _;
use nodesys_chain::bindings::{LicenseSale, NodeLicense};
use nodesys_chain::metadata::{Token, token_of};
use nodesys_chain::standards::IERC20;
use nodesys_chain::{ChainError, Provider};
use nodesys_core::ids::Name;
use nodesys_core::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::output::{clean, counted, decimal, moment};

/// The state of a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PurchaseState {
    /// In a block.
    Bought,
    /// Checked, not sent.
    DryRun,
    /// Printed for another wallet, not sent.
    Calldata,
}

/// An account's place in a sale's allowlist: `{"allowance": "3", "proof": ["0x…"]}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    #[serde(with = "nodesys_core::message::decimal")]
    allowance: U256,
    proof: Vec<B256>,
}

/// The order, as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) count: u32,
    pub(crate) recipient: Address,
    pub(crate) code: String,
    /// In the payment token's own unit, as typed.
    pub(crate) max_cost: Option<String>,
    pub(crate) allowance: Allowance,
}

/// A purchase, printed. Amounts are in the payment token's smallest unit.
#[derive(Debug, Serialize)]
pub(crate) struct Purchase {
    pub(crate) state: PurchaseState,
    pub(crate) project: Name,
    pub(crate) workload: Name,
    pub(crate) collection: Address,
    pub(crate) sale: Address,
    pub(crate) buyer: Option<Address>,
    pub(crate) recipient: Address,
    pub(crate) count: u32,
    /// The price without a code.
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) gross: U256,
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) discount: U256,
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) cost: U256,
    /// The most that the order lets the sale take.
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) max_cost: U256,
    /// Absent for the chain's own coin.
    pub(crate) token: Option<Address>,
    pub(crate) symbol: Option<String>,
    pub(crate) decimals: Option<u8>,
    pub(crate) first_token_id: Option<String>,
    pub(crate) last_token_id: Option<String>,
    pub(crate) transaction: Option<B256>,
    /// The transactions to send, in this order, where none was sent.
    pub(crate) transactions: Vec<Transaction>,
    #[serde(skip)]
    pub(crate) unit: Option<Token>,
}

/// A transaction for another wallet.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Transaction {
    pub(crate) what: String,
    pub(crate) to: Address,
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) value: U256,
    pub(crate) data: Bytes,
}

impl Transaction {
    fn request(&self) -> TransactionRequest {
        let request = TransactionRequest::default().with_to(self.to).with_input(self.data.clone());
        if self.value.is_zero() { request } else { request.with_value(self.value) }
    }
}

impl Purchase {
    /// An amount of the payment token, for people.
    pub(crate) fn show(&self, value: U256) -> String {
        match &self.unit {
            // Every EVM chain counts its own coin in 18 decimals.
            None => format!("{} of the chain's coin", decimal(value, 18)),
            Some(Token { decimals: Some(decimals), symbol, .. }) => {
                let symbol = symbol.as_deref().map_or_else(|| "tokens".to_owned(), clean);
                format!("{} {symbol}", decimal(value, *decimals))
            }
            Some(_) => format!("{value} of the token's smallest unit"),
        }
    }
}

/// The sale of a workload's licenses.
pub(crate) struct Sale {
    project: Name,
    workload: Name,
    address: Address,
    state: LicenseSale::SaleState,
    /// `None` for the chain's own coin.
    unit: Option<Token>,
}

/// Finds the sale: the collection's minter, if it is one.
pub(crate) async fn find(
    provider: &Provider,
    project: Name,
    workload: Name,
    collection: Address,
) -> anyhow::Result<Sale> {
    let at = BlockId::latest();
    let address = provider.call(collection, &NodeLicense::minterCall {}, at).await?;
    let none = || {
        Exit::NotFound.because(format!(
            "the licenses of {project}'s workload {workload} are in no sale: ask the project's owner \
             where they are sold"
        ))
    };
    if address.is_zero() || provider.code(address).await?.is_empty() {
        return Err(none());
    }
    let state = match provider.call(address, &LicenseSale::stateCall {}, at).await {
        Ok(state) if state.collection == collection => state,
        // A minter of another kind.
        Ok(_) | Err(ChainError::Reverted { .. }) => return Err(none()),
        Err(error) => return Err(error.into()),
    };
    let unit = match state.paymentToken.is_zero() {
        true => None,
        false => Some(token_of(provider, state.paymentToken).await?),
    };
    Ok(Sale { project, workload, address, state, unit })
}

impl Sale {
    /// Every EVM chain counts its own coin in 18 decimals.
    fn decimals(&self) -> Option<u8> {
        self.unit.as_ref().map_or(Some(18), |unit| unit.decimals)
    }

    /// The most that the order lets the sale take, in the token's smallest unit.
    pub(crate) fn limit(&self, order: &Order) -> anyhow::Result<Option<U256>> {
        let decimals = self.decimals().unwrap_or_default();
        order.max_cost.as_deref().map(|text| units(text, decimals)).transpose()
    }

    fn input(order: &Order, limit: U256) -> Bytes {
        let order = LicenseSale::Order {
            recipient: order.recipient,
            count: U256::from(order.count),
            maxCost: limit,
            code: order.code.clone(),
            allowance: order.allowance.allowance,
            proof: order.allowance.proof.clone(),
        };
        LicenseSale::buyCall { order }.abi_encode().into()
    }

    /// The purchase of an earlier run that did not see its end, if it was of this order.
    pub(crate) async fn unseen(
        &self,
        provider: &Provider,
        order: &Order,
        limit: U256,
        buyer: Address,
    ) -> anyhow::Result<Option<Purchase>> {
        let Some(receipt) = provider.unseen(self.address, &Self::input(order, limit)).await? else {
            return Ok(None);
        };
        let purchase = self.purchase(order, Some(buyer), limit);
        bought(purchase, &receipt).map(Some)
    }

    fn purchase(&self, order: &Order, buyer: Option<Address>, limit: U256) -> Purchase {
        Purchase {
            state: PurchaseState::DryRun,
            project: self.project.clone(),
            workload: self.workload.clone(),
            collection: self.state.collection,
            sale: self.address,
            buyer,
            recipient: order.recipient,
            count: order.count,
            gross: U256::ZERO,
            discount: U256::ZERO,
            cost: U256::ZERO,
            max_cost: limit,
            token: self.unit.as_ref().map(|unit| unit.address),
            symbol: self.unit.as_ref().and_then(|unit| unit.symbol.clone()),
            decimals: self.decimals(),
            first_token_id: None,
            last_token_id: None,
            transaction: None,
            transactions: Vec::new(),
            unit: self.unit.clone(),
        }
    }

    /// The order's price now, and its transactions; `buyer` pays.
    pub(crate) async fn price(
        &self,
        provider: &Provider,
        order: &Order,
        limit: Option<U256>,
        buyer: Option<Address>,
    ) -> anyhow::Result<Purchase> {
        let at = BlockId::latest();
        check_open(&self.state, provider.latest_block().await?.secs, order.count)?;
        let (count, code) = (U256::from(order.count), order.code.clone());
        let quote =
            provider.call(self.address, &LicenseSale::quoteCall { count, code }, at).await?;
        let cost = quote.gross.saturating_sub(quote.discount);
        let mut purchase = self.purchase(order, buyer, limit.unwrap_or(cost));
        (purchase.gross, purchase.discount, purchase.cost) = (quote.gross, quote.discount, cost);
        if cost > purchase.max_cost {
            return Err(Exit::Failure.because(format!(
                "{} cost {} now, more than --max-cost {}: nothing was sent",
                counted(order.count, "license"),
                purchase.show(cost),
                order.max_cost.as_deref().unwrap_or_default()
            )));
        }
        if let Some(token) = purchase.token
            && !approved(provider, token, buyer, self.address, cost).await?
        {
            let call = IERC20::approveCall { spender: self.address, amount: cost };
            purchase.transactions.push(Transaction {
                what: format!("approve {}", purchase.show(cost)),
                to: token,
                value: U256::ZERO,
                data: call.abi_encode().into(),
            });
        }
        purchase.transactions.push(Transaction {
            what: format!("buy {}", counted(order.count, "license")),
            to: self.address,
            value: if purchase.token.is_none() { cost } else { U256::ZERO },
            data: Self::input(order, purchase.max_cost),
        });
        Ok(purchase)
    }
}

/// Whether the sale may take this cost already; unknown for an unknown buyer.
async fn approved(
    provider: &Provider,
    token: Address,
    buyer: Option<Address>,
    spender: Address,
    cost: U256,
) -> anyhow::Result<bool> {
    let Some(owner) = buyer else { return Ok(false) };
    let call = IERC20::allowanceCall { owner, spender };
    Ok(provider.call(token, &call, BlockId::latest()).await? >= cost)
}

/// Fails where the buyer cannot pay the price; the gas is checked when it is sent.
pub(crate) async fn check_funds(provider: &Provider, purchase: &Purchase) -> anyhow::Result<()> {
    let Some(account) = purchase.buyer else { return Ok(()) };
    let has = match purchase.token {
        Some(token) => {
            provider.call(token, &IERC20::balanceOfCall { account }, BlockId::latest()).await?
        }
        None => provider.rpc().get_balance(account).await.with_context(|| {
            format!("reading the balance of {account} from the RPC {}", provider.place())
        })?,
    };
    if has >= purchase.cost {
        return Ok(());
    }
    Err(Exit::Failure.because(format!(
        "{account} has {}, the purchase costs {}: send it some first",
        purchase.show(has),
        purchase.show(purchase.cost)
    )))
}

/// Sends the transactions, and waits for each block.
pub(crate) async fn send(provider: &Provider, mut purchase: Purchase) -> anyhow::Result<Purchase> {
    for transaction in std::mem::take(&mut purchase.transactions) {
        let receipt = provider.send(&transaction.what, transaction.request()).await?;
        if transaction.to == purchase.sale {
            return bought(purchase, &receipt);
        }
    }
    Err(anyhow::anyhow!("there was nothing to send"))
}

/// Fills in what the sale's event says.
fn bought(mut purchase: Purchase, receipt: &TransactionReceipt) -> anyhow::Result<Purchase> {
    let logs = receipt.inner.logs().iter().filter(|log| log.address() == purchase.sale);
    let sold = logs.filter_map(|log| LicenseSale::Sold::decode_log(&log.inner).ok()).next();
    let transaction = receipt.transaction_hash;
    let sold = sold.with_context(|| {
        format!("transaction {transaction} is in a block, but the sale tells of no purchase in it")
    })?;
    purchase.state = PurchaseState::Bought;
    (purchase.gross, purchase.discount) = (sold.gross, sold.discount);
    purchase.cost = sold.gross.saturating_sub(sold.discount);
    purchase.first_token_id = Some(sold.firstTokenId.to_string());
    purchase.last_token_id =
        Some(sold.firstTokenId.saturating_add(sold.count).saturating_sub(U256::ONE).to_string());
    purchase.transaction = Some(transaction);
    purchase.transactions.clear();
    Ok(purchase)
}

/// Fails where the sale sells nothing now.
fn check_open(state: &LicenseSale::SaleState, now: u64, count: u32) -> anyhow::Result<()> {
    let left = state.supply.saturating_sub(state.sold);
    let problem = if state.paused {
        "the sale is paused by its owner: try again later".to_owned()
    } else if now < state.startsAt {
        format!("the sale begins at {}", moment(state.startsAt))
    } else if now >= state.endsAt {
        format!("the sale ended at {}", moment(state.endsAt))
    } else if left.is_zero() {
        "all licenses of this sale are sold".to_owned()
    } else if U256::from(count) > left {
        format!("only {left} licenses are left: use --count {left}")
    } else {
        return Ok(());
    };
    Err(Exit::Failure.because(problem))
}

/// A decimal amount in the token's smallest unit; exact, or refused.
fn units(text: &str, decimals: u8) -> anyhow::Result<U256> {
    let bad = |why: &str| Exit::Usage.because(format!("--max-cost {text}: {why}"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return Err(bad("expected a decimal number, such as 12.5"));
    }
    let places = usize::from(decimals);
    if fraction.len() > places {
        return Err(bad(&format!("the payment token has {decimals} decimals")));
    }
    let all = format!("{whole}{fraction:0<places$}");
    U256::from_str_radix(&all, 10).map_err(|_| bad("it is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_amount_is_exact_or_refused() {
        for (text, decimals, expected) in
            [("12.5", 6, 12_500_000_u64), ("1", 0, 1), ("0.000001", 6, 1), ("007", 2, 700)]
        {
            assert_eq!(units(text, decimals).unwrap(), U256::from(expected), "{text}");
        }
        let huge = "9".repeat(80);
        for (text, decimals) in
            [("", 6), (".5", 6), ("1.", 6), ("-1", 6), ("1e3", 6), ("0.0000001", 6), (&*huge, 18)]
        {
            let error = units(text, decimals).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{text}");
        }
    }
}
