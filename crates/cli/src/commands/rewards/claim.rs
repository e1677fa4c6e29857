//! `rewards claim`: shows the claim, asks, sends it, and prints the receipt.

use std::fmt;

use nodesys_chain::Provider;
use nodesys_chain::gas::Gas;
use nodesys_core::address::address;
use nodesys_core::{Address, U256};

use super::source::SourceArgs;
use crate::exit::Exit;
use crate::output::{self, amount, decimal, say};
use crate::prompt::confirm;
use crate::rewards::claim::{Claim, ClaimState, Payee, PreparedClaim, prepare, send};
use crate::rewards::source::ProofSource;
use crate::setup::Setup;
use crate::wallet::SendingArgs;

/// Options of `rewards claim`.
#[derive(Debug, clap::Args)]
pub struct ClaimArgs {
    /// The account that earned, instead of a keystore: with --dry-run or --calldata.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub account: Option<Address>,
    /// The recipient of the tokens [default: the account].
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub recipient: Option<Address>,
    /// Claim for the contract of --account, which is paid itself; anyone may, if the project allows it.
    #[arg(long, requires = "account", conflicts_with = "recipient")]
    pub for_contract: bool,
    /// The source of the proof.
    #[command(flatten)]
    pub from: SourceArgs,
    /// The wallet, and whether it sends.
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &ClaimArgs) -> anyhow::Result<Exit> {
    // Cheap questions first: before the keystore's password is asked for.
    let source = ProofSource::new(setup, &args.from.from)?;
    let (provider, account) = claimant(setup, args).await?;
    let (claim, prepared) = prepare(setup, &source, &provider, account, payee(args)).await?;
    finish(setup, &provider, claim, prepared, &args.sending).await
}

/// Sends what was prepared, or shows it, and prints what came of it.
pub(super) async fn finish(
    setup: &Setup,
    provider: &Provider,
    claim: Claim,
    prepared: Option<PreparedClaim>,
    sending: &SendingArgs,
) -> anyhow::Result<Exit> {
    let claim = match prepared {
        None => claim,
        Some(prepared) if sending.calldata => Claim {
            state: ClaimState::Calldata,
            to: Some(claim.distributor),
            data: Some(prepared.data),
            ..claim
        },
        Some(_) if sending.dry_run => Claim { state: ClaimState::DryRun, ..claim },
        Some(prepared) => {
            let sender = provider.sender().unwrap_or(claim.account);
            ask_and_check(&claim, sender, &prepared.gas, sending.yes)?;
            send(provider, claim, prepared).await?
        }
    };
    output::print(setup.format(), &claim)?;
    Ok(Exit::Done)
}

fn payee(args: &ClaimArgs) -> Payee {
    match (args.for_contract, args.recipient) {
        (true, _) => Payee::Contract,
        (false, Some(recipient)) => Payee::Recipient(recipient),
        (false, None) => Payee::Account,
    }
}

/// The account that claims, and a connection that signs with its key where there is one.
async fn claimant(setup: &Setup, args: &ClaimArgs) -> anyhow::Result<(Provider, Address)> {
    let sends = args.sending.sends();
    let key = args.sending.key()?;
    let account = match (&key, args.account) {
        (Some(_), Some(account)) if args.for_contract => account,
        (Some(key), Some(account)) if key.address() != account => {
            return Err(Exit::Usage.because(format!(
                "--account is {account}, but the keystore's wallet is {}: rewards are claimed by \
                 the account itself, so leave one of the two out",
                key.address()
            )));
        }
        (Some(key), _) => key.address(),
        (None, Some(account)) if !sends => account,
        (None, Some(_)) => {
            return Err(Exit::Usage.because(
                "--keystore is missing: a claim is signed by the account. With --dry-run or \
                 --calldata the --account alone will do",
            ));
        }
        (None, None) => {
            return Err(Exit::Usage
                .because("--keystore is missing (or --account with --dry-run or --calldata)"));
        }
    };
    let provider = match &key {
        Some(key) if sends => setup.sending_provider(key).await?,
        _ => setup.provider().await?,
    };
    Ok((provider, account))
}

/// Shows what is about to be sent, and takes a yes; the sender must be able to pay the gas.
fn ask_and_check(claim: &Claim, sender: Address, gas: &Gas, yes: bool) -> anyhow::Result<()> {
    // Every EVM chain counts its own coin in 18 decimals.
    let coin = |value: U256| decimal(value, 18);
    let fee = claim.relayer_fee.map_or_else(String::new, |fee| {
        format!("fee        {}, for you\n", amount(fee, Some(&claim.unit)))
    });
    say(format!(
        "claim      {} of project {}\naccount    {}\nrecipient  {}\n{fee}root       {} (active)\n\
         gas        about {} units at {} wei, {} of the chain's coin",
        amount(claim.amount, Some(&claim.unit)),
        claim.project,
        claim.account,
        claim.recipient,
        claim.root.unwrap_or_default(),
        gas.units,
        gas.price,
        coin(gas.cost()),
    ));
    if gas.balance < gas.cost() {
        return Err(Exit::Failure.because(format!(
            "{sender} has {} of the chain's coin, the gas costs about {}: send it some first",
            coin(gas.balance),
            coin(gas.cost())
        )));
    }
    confirm("Send this transaction?", yes)
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value| amount(value, Some(&self.unit));
        if let (ClaimState::Calldata, Some(to), Some(data)) = (self.state, self.to, &self.data) {
            writeln!(f, "to          {to}")?;
            writeln!(f, "value       0")?;
            writeln!(f, "data        {data}")?;
        }
        let word = match self.state {
            ClaimState::Claimed => "claimed",
            ClaimState::Nothing => "nothing to claim",
            ClaimState::DryRun => "would claim",
            ClaimState::Calldata => "claims",
        };
        if self.state == ClaimState::Nothing {
            writeln!(f, "{word}: 0 of project {}", self.project)?;
        } else {
            writeln!(f, "{word:<11} {} of project {}", show(self.amount), self.project)?;
        }
        writeln!(f, "account     {}", self.account)?;
        if self.state != ClaimState::Nothing {
            writeln!(f, "recipient   {}", self.recipient)?;
            if let Some(fee) = self.relayer_fee {
                writeln!(f, "fee         {}, kept by the sender", show(fee))?;
            }
        }
        write!(f, "paid before {}", show(self.claimed_before))?;
        match (self.cumulative, self.day) {
            (Some(cumulative), Some(day)) => {
                write!(f, "\nearned      {} up to and with {day}", show(cumulative))?;
            }
            _ => write!(f, "\nearned      nothing by any active root")?,
        }
        if let Some(transaction) = self.transaction {
            write!(f, "\ntransaction {transaction}")?;
        }
        match (self.gas_used, self.gas_estimate) {
            (Some(used), _) => write!(f, "\ngas used    {used}"),
            (None, Some(estimate)) => write!(f, "\ngas         about {estimate}"),
            (None, None) => Ok(()),
        }
    }
}
