//! Commands that read and change contracts: registry, project, license collection, sale.

mod deploy;
mod license;
mod listing;
mod listings;
mod network;
mod prepared;
pub(crate) mod project;
pub(crate) mod registry;
mod reservation;
mod sale;
mod terms;
mod timelock;
mod transfer;
pub(crate) mod tx;

use clap::Subcommand;
use nodesys_core::Address;
use nodesys_core::address::address;

use crate::config::Settings;
use crate::output::{Format, print};
use deploy::read_params;
use tx::{SendArgs, change};

const CREATE_PROJECT: &str = "\
Examples:
  nodesys-master project create --params project.json --sender-keystore owner.json

It sends two transactions: the first reserves the project's address, the second creates it, five
minutes later. So who sees the name in the second is too late to take it. Run it again if it was
stopped between them. The address hides the name while nobody knows all parameters: where the
signer's address is known, give a random --salt, and the same at each run.";

const OWN_RECEIPT_KEY: &str = "\
Examples:
  nodesys-master project receipt-key --key 0x... --from 2027-01-01 --sender-keystore owner.json

From the first day of its first own key on, only own keys count for the project. So it moves to another
backend: record the key of that backend, then point the nodes there.";

const ANNOUNCE_TERMS: &str = "\
Examples:
  nodesys-master project announce-terms --from 2027-01-01 --sender-keystore owner.json

Announces the hash of the terms in the file of --terms. Each day's bundle has its terms, so whoever audits
it can see whether they were announced before the day began.";

const NETWORK_FILE: &str = "\
Examples:
  nodesys-master registry network-file --file network.json --uri https://example.org/network.json --calldata

The sender is the network's operator. The first file counts at once, each later one after 7 days, in which
operator and network guardian can cancel it.";

const RECEIPT_KEY: &str = "\
Examples:
  nodesys-master registry receipt-key --key 0x... --sender-keystore operator.json
  nodesys-master registry receipt-key --key 0x... --from 2027-01-01 --until 2028-01-01 --calldata

The sender is the network's operator. A key becomes neither valid nor invalid for a time that has passed.";

/// A network's registry.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Deploy the registry of a new network. Safe to re-run: finds an existing one.
    Create(deploy::DeployArgs),
    /// Record a backend's receipt key. Safe to re-run: finds an existing record.
    #[command(after_help = RECEIPT_KEY)]
    ReceiptKey(registry::ReceiptKeyArgs),
    /// Record the hash of the network file, and where it is. Safe to re-run.
    #[command(after_help = NETWORK_FILE)]
    NetworkFile(network::NetworkFileArgs),
    /// Cancel the network file that waits; the sender is operator or network guardian.
    CancelNetworkFile(SendArgs),
    /// Appoint the network guardian: the first at once, another after 7 days. Safe to re-run.
    Guardian(network::GuardianArgs),
    /// Show operator, guardian and network file of --registry.
    Show {
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

impl RegistryCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Create(args) => {
                let file = read_params(&args.params)?;
                change(settings, &args.send, async |tx| registry::create(tx, &args, file).await)
                    .await
            }
            Self::ReceiptKey(args) => {
                change(settings, &args.send, async |tx| {
                    registry::receipt_key(settings, tx, &args).await
                })
                .await
            }
            Self::NetworkFile(args) => {
                change(settings, &args.send, async |tx| network::file(settings, tx, &args).await)
                    .await
            }
            Self::CancelNetworkFile(send) => {
                change(settings, &send, async |tx| network::cancel_file(settings, tx).await).await
            }
            Self::Guardian(args) => {
                change(settings, &args.send, async |tx| {
                    network::guardian(settings, tx, &args).await
                })
                .await
            }
            Self::Show { output } => print(output, &network::show(settings).await?),
        }
    }
}

/// A project on chain.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Create a project, owned by the sender. Safe to re-run: finds an existing one.
    #[command(after_help = CREATE_PROJECT)]
    Create(deploy::DeployArgs),
    /// Show the state of the project of --project.
    Show {
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// List a license collection as a workload of --project, permanently. Safe to re-run.
    ListWorkload(listing::ListWorkloadArgs),
    /// Record a receipt key of --project's own, in place of the network's. Safe to re-run.
    #[command(after_help = OWN_RECEIPT_KEY)]
    ReceiptKey(registry::ReceiptKeyArgs),
    /// Announce the terms of --terms for the days to come. Safe to re-run.
    #[command(after_help = ANNOUNCE_TERMS)]
    AnnounceTerms(terms::AnnounceArgs),
    /// List the terms that --project announced.
    Terms {
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Replace the reward signer of --project, or disable it at once.
    Signer(timelock::SignerArgs),
    /// Queue an action behind the timelock. Safe to re-run: finds an existing one.
    Queue(timelock::QueueArgs),
    /// List the queued calls, each with its execution window.
    Pending {
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Execute a queued call within its execution window.
    Execute(timelock::QueuedArgs),
    /// Cancel a queued call.
    Cancel(timelock::QueuedArgs),
    /// Take an action that lowers risk; it takes effect at once.
    Now(timelock::NowArgs),
    /// Top up the reward tokens of the project of --project to a given balance.
    Fund(project::FundArgs),
    /// Offer --project to another owner, who has to accept it. Safe to re-run.
    Transfer(transfer::TransferArgs),
    /// Become the owner of --project, which was offered to the sender. Safe to re-run.
    Accept(SendArgs),
}

impl ProjectCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Create(args) => {
                let file = read_params(&args.params)?;
                change(settings, &args.send, async |tx| {
                    project::create(settings, tx, &args, file).await
                })
                .await
            }
            Self::Show { output } => print(output, &project::show(settings).await?),
            Self::ListWorkload(args) => {
                change(settings, &args.send, async |tx| {
                    listing::list_workload(settings, tx, &args).await
                })
                .await
            }
            Self::ReceiptKey(args) => {
                change(settings, &args.send, async |tx| {
                    registry::own_receipt_key(settings, tx, &args).await
                })
                .await
            }
            Self::AnnounceTerms(args) => {
                change(settings, &args.send, async |tx| terms::announce(settings, tx, &args).await)
                    .await
            }
            Self::Terms { output } => print(output, &terms::list(settings).await?),
            Self::Signer(args) => {
                change(settings, &args.send, async |tx| timelock::signer(settings, tx, &args).await)
                    .await
            }
            Self::Queue(args) => {
                change(settings, &args.send, async |tx| timelock::queue(settings, tx, &args).await)
                    .await
            }
            Self::Pending { output } => print(output, &timelock::pending(settings).await?),
            Self::Execute(args) => {
                change(settings, &args.send, async |tx| {
                    timelock::execute(settings, tx, &args).await
                })
                .await
            }
            Self::Cancel(args) => {
                change(settings, &args.send, async |tx| timelock::cancel(settings, tx, &args).await)
                    .await
            }
            Self::Now(args) => {
                change(settings, &args.send, async |tx| timelock::now(settings, tx, &args).await)
                    .await
            }
            Self::Fund(args) => {
                let up_to = args.up_to;
                change(settings, &args.send, async |tx| project::fund(settings, tx, up_to).await)
                    .await
            }
            Self::Transfer(args) => {
                change(settings, &args.send, async |tx| {
                    transfer::offer(settings, tx, args.to).await
                })
                .await
            }
            Self::Accept(send) => {
                change(settings, &send, async |tx| transfer::accept(settings, tx).await).await
            }
        }
    }
}

/// A license collection.
#[derive(Debug, Subcommand)]
pub enum LicenseCommand {
    /// Deploy a license collection. Safe to re-run: finds an existing one.
    Create(deploy::DeployArgs),
    /// Allow --project to list a collection of another owner; the sender is that owner.
    Consent(listing::ConsentArgs),
    /// Announce the end of a collection's listing, after the project's timelock; the sender is the
    /// collection's owner.
    Delist(listing::DelistArgs),
    /// Mint licenses; the sender is the collection's minter. Safe to re-run.
    Mint(license::MintArgs),
    /// Show the state of a collection.
    Show {
        /// The license collection.
        #[arg(long, value_name = "ADDRESS")]
        #[arg(value_parser = address)]
        collection: Address,
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

impl LicenseCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Create(args) => {
                let file = read_params(&args.params)?;
                change(settings, &args.send, async |tx| license::create(tx, &args, file).await)
                    .await
            }
            Self::Consent(args) => {
                change(settings, &args.send, async |tx| listing::consent(settings, tx, &args).await)
                    .await
            }
            Self::Delist(args) => {
                change(settings, &args.send, async |tx| listing::delist(settings, tx, &args).await)
                    .await
            }
            Self::Mint(args) => {
                change(settings, &args.send, async |tx| license::mint(tx, &args).await).await
            }
            Self::Show { collection, output } => {
                print(output, &license::show(&settings.provider().await?, collection).await?)
            }
        }
    }
}

/// The sale of a collection's licenses.
#[derive(Debug, Subcommand)]
pub enum SaleCommand {
    /// Deploy a sale and make it the collection's minter. Safe to re-run: does the missing steps.
    ///
    /// A collection has one minter: a running sale ends when another takes its place, so that is refused
    /// without --replace.
    Create(sale::SaleArgs),
    /// Show the state of a sale.
    Show {
        /// Address of the sale.
        #[arg(long, value_name = "ADDRESS")]
        #[arg(value_parser = address)]
        sale: Address,
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

impl SaleCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Create(args) => {
                let (deploy, file) = (&args.deploy, read_params(&args.deploy.params)?);
                change(settings, &deploy.send, async |tx| sale::create(tx, &args, file).await).await
            }
            Self::Show { sale, output } => {
                print(output, &sale::show(&settings.provider().await?, sale).await?)
            }
        }
    }
}
