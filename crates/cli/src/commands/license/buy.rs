//! `license buy`: shows the price, asks, pays, and prints the licenses bought.

use std::fmt;
use std::path::{Path, PathBuf};

use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::ids::Name;

use crate::exit::Exit;
use crate::license::buy::{Allowance, Order, Purchase, PurchaseState, check_funds, find, send};
use crate::license::name::collection_of_workload;
use crate::output::{self, counted, decimal, say};
use crate::prompt::confirm;
use crate::setup::Setup;
use crate::wallet::SendingArgs;

/// Options of `license buy`.
#[derive(Debug, clap::Args)]
pub struct BuyArgs {
    /// The workload whose licenses are bought.
    #[arg(value_name = "WORKLOAD")]
    pub workload: Name,
    /// The number of licenses.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// Most that all of them together may cost, in the payment token's own unit (12.5).
    #[arg(long, value_name = "AMOUNT")]
    pub max_cost: Option<String>,
    /// A promo code.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub code: String,
    /// Your place in the sale's allowlist: a file with `allowance` and `proof`.
    #[arg(long, value_name = "FILE")]
    pub allowlist_proof: Option<PathBuf>,
    /// The account that gets the licenses [default: the buyer].
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub recipient: Option<Address>,
    /// The account that pays, instead of a keystore: with --dry-run or --calldata.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub account: Option<Address>,
    /// The wallet, and whether it sends.
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &BuyArgs) -> anyhow::Result<Exit> {
    let sending = &args.sending;
    if args.max_cost.is_none() && !sending.dry_run {
        return Err(Exit::Usage.because(
            "--max-cost is missing: the most that the purchase may cost, since the price can rise \
             before it is in a block. --dry-run shows the price now",
        ));
    }
    let allowance = match &args.allowlist_proof {
        Some(path) => read_allowance(path)?,
        None => Allowance::default(),
    };
    let key = sending.sender_key()?;
    if sending.sends() && key.is_none() {
        return Err(Exit::Usage
            .because("--keystore is missing (or --account with --dry-run or --calldata)"));
    }
    let provider = match &key {
        Some(key) => setup.sending_provider(key).await?,
        None => setup.provider().await?,
    };
    let buyer = key.as_ref().map(nodesys_core::signature::SigningKey::address).or(args.account);
    let recipient = match (args.recipient.or(buyer), sending.dry_run) {
        (Some(recipient), _) => recipient,
        (None, true) => Address::ZERO,
        (None, false) => return Err(Exit::Usage.because("--account or --recipient is missing")),
    };
    let project = setup.project(&provider).await?;
    let collection = collection_of_workload(setup, &provider, &project, &args.workload).await?;
    let order = Order {
        count: args.count,
        recipient,
        code: args.code.clone(),
        max_cost: args.max_cost.clone(),
        allowance,
    };
    let sale = find(&provider, project.name, args.workload.clone(), collection).await?;
    let limit = sale.limit(&order)?;
    if let (Some(key), Some(limit)) = (&key, limit)
        && let Some(purchase) = sale.unseen(&provider, &order, limit, key.address()).await?
    {
        output::print(setup.format(), &purchase)?;
        return Ok(Exit::Done);
    }
    let purchase = sale.price(&provider, &order, limit, buyer).await?;
    let purchase = if sending.dry_run {
        Purchase { state: PurchaseState::DryRun, transactions: Vec::new(), ..purchase }
    } else if sending.calldata {
        Purchase { state: PurchaseState::Calldata, ..purchase }
    } else {
        check_funds(&provider, &purchase).await?;
        say(&purchase);
        confirm("Send this purchase?", sending.yes)?;
        send(&provider, purchase).await?
    };
    output::print(setup.format(), &purchase)?;
    Ok(Exit::Done)
}

fn read_allowance(path: &Path) -> anyhow::Result<Allowance> {
    let bad = |why: &dyn fmt::Display| {
        Exit::Usage.because(format!(
            "--allowlist-proof {}: {why}; expected {{\"allowance\": \"3\", \"proof\": [\"0x…\"]}}, as \
             the sale's owner gave it",
            path.display()
        ))
    };
    let bytes = std::fs::read(path).map_err(|error| bad(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(&error))
}

impl fmt::Display for Purchase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.state {
            PurchaseState::Bought => "bought",
            PurchaseState::DryRun => "would buy",
            PurchaseState::Calldata => "buys",
        };
        let licenses = counted(self.count, "license");
        write!(f, "{word:<11} {licenses} of {}/{}", self.project, self.workload)?;
        match (&self.first_token_id, &self.last_token_id) {
            (Some(first), Some(last)) if first == last => write!(f, ", number {first}")?,
            (Some(first), Some(last)) => write!(f, ", numbers {first} to {last}")?,
            _ => {}
        }
        write!(f, "\ncost        {}", self.show(self.cost))?;
        if !self.discount.is_zero() {
            write!(f, " ({} less {})", self.show(self.gross), self.show(self.discount))?;
        }
        if self.state != PurchaseState::Bought && self.max_cost != self.cost {
            write!(f, "\nat most     {}", self.show(self.max_cost))?;
        }
        if let Some(buyer) = self.buyer {
            write!(f, "\nbuyer       {buyer}")?;
        }
        if !self.recipient.is_zero() {
            write!(f, "\nrecipient   {}", self.recipient)?;
        }
        write!(f, "\nsale        {}", self.sale)?;
        if let Some(token) = self.token {
            write!(f, "\npaid in     {token}")?;
        }
        if let Some(transaction) = self.transaction {
            write!(f, "\ntransaction {transaction}")?;
        }
        for (number, one) in self.transactions.iter().enumerate() {
            if self.state != PurchaseState::Calldata {
                break;
            }
            write!(f, "\n\n{}. {}\nto          {}", number + 1, one.what, one.to)?;
            write!(
                f,
                "\nvalue       {} ({})\ndata        {}",
                one.value,
                decimal(one.value, 18),
                one.data
            )?;
        }
        Ok(())
    }
}
