//! Commands that read and change contracts: registry, project, license collection, sale.

mod deploy;
mod license;
pub(crate) mod project;
pub(crate) mod registry;
mod sale;
mod timelock;
pub(crate) mod tx;

use clap::Subcommand;
use nodesys_core::Address;

use crate::config::Settings;
use crate::output::{Format, print};

const RECEIPT_KEY: &str = "\
Examples:
  nodesys-master registry receipt-key --key 0x... --from 2026-01-01 --sender-keystore operator.json
  nodesys-master registry receipt-key --key 0x... --from 2026-01-01 --until 2027-01-01 --calldata

The sender is the network's operator. The last day of a key cannot be in the past.";

/// A network's registry.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Deploy the registry of a new network. Safe to re-run: finds an existing one.
    Create(deploy::DeployArgs),
    /// Record a backend's receipt key. Safe to re-run: finds an existing record.
    #[command(after_help = RECEIPT_KEY)]
    ReceiptKey(registry::ReceiptKeyArgs),
    /// Show the operator of the network of --registry.
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
            Self::Create(args) => print(args.output, &registry::create(settings, &args).await?),
            Self::ReceiptKey(args) => {
                print(args.send.output, &registry::receipt_key(settings, &args).await?)
            }
            Self::Show { output } => print(output, &registry::show(settings).await?),
        }
    }
}

/// A project on chain.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Create a project, owned by the sender. Safe to re-run: finds an existing one.
    Create(deploy::DeployArgs),
    /// Show the state of the project of --project.
    Show {
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// List a license collection as a workload of --project, permanently. Safe to re-run.
    ListWorkload(registry::ListWorkloadArgs),
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
}

impl ProjectCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Create(args) => print(args.output, &project::create(settings, &args).await?),
            Self::Show { output } => print(output, &project::show(settings).await?),
            Self::ListWorkload(args) => {
                print(args.send.output, &registry::list_workload(settings, &args).await?)
            }
            Self::Signer(args) => {
                print(args.send.output, &timelock::signer(settings, &args).await?)
            }
            Self::Queue(args) => print(args.send.output, &timelock::queue(settings, &args).await?),
            Self::Pending { output } => print(output, &timelock::pending(settings).await?),
            Self::Execute(args) => {
                print(args.send.output, &timelock::execute(settings, &args).await?)
            }
            Self::Cancel(args) => {
                print(args.send.output, &timelock::cancel(settings, &args).await?)
            }
            Self::Now(args) => print(args.send.output, &timelock::now(settings, &args).await?),
            Self::Fund(args) => print(args.output, &project::fund(settings, &args).await?),
        }
    }
}

/// A license collection.
#[derive(Debug, Subcommand)]
pub enum LicenseCommand {
    /// Deploy a license collection. Safe to re-run: finds an existing one.
    Create(deploy::DeployArgs),
    /// Allow --project to list a collection of another owner; the sender is that owner.
    Consent(registry::ConsentArgs),
    /// Mint licenses; the sender is the collection's minter. Safe to re-run.
    Mint(license::MintArgs),
    /// Show the state of a collection.
    Show {
        /// The license collection.
        #[arg(long, value_name = "ADDRESS")]
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
            Self::Create(args) => print(args.output, &license::create(settings, &args).await?),
            Self::Consent(args) => {
                print(args.send.output, &registry::consent(settings, &args).await?)
            }
            Self::Mint(args) => print(args.output, &license::mint(settings, &args).await?),
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
    Create(deploy::DeployArgs),
    /// Show the state of a sale.
    Show {
        /// Address of the sale.
        #[arg(long, value_name = "ADDRESS")]
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
            Self::Create(args) => print(args.output, &sale::create(settings, &args).await?),
            Self::Show { sale, output } => {
                print(output, &sale::show(&settings.provider().await?, sale).await?)
            }
        }
    }
}
