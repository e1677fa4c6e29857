//! A day's points, commit and bundle: `points`, `commit`, `day`, `post`.

mod commits;
mod export;
mod owner;
mod points;
mod signing;
mod view;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use nodesys_chain::project::post_request;
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use nodesys_sdk::commit::{find_post, post};

use crate::chain::tx::{SendArgs, change};
use crate::config::Settings;
use crate::output::{Format, print};
use export::ImportOptions;

pub(crate) use commits::Commits;
pub(crate) use owner::Owner;
use points::TaskCounts;

/// Points of a closed day.
#[derive(Debug, Subcommand)]
pub enum PointsCommand {
    /// Show each license's points without changing anything.
    ///
    /// Where the project's rule counts tasks, the counts are those so far: only a commit closes them.
    Preview {
        /// The day, as YYYY-MM-DD.
        #[arg(long)]
        day: UtcDay,
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

impl PointsCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let Self::Preview { day, output } = self;
        let owner = Owner::reader(settings).await?;
        print(output, &view::PointsView::of(&owner, day).await?)
    }
}

/// State of a day.
#[derive(Debug, Subcommand)]
pub enum DayCommand {
    /// Show whether a day is closed, signed, accepted and posted.
    Show {
        /// The day, as YYYY-MM-DD.
        #[arg(long)]
        day: UtcDay,
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

impl DayCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let Self::Show { day, output } = self;
        let owner = Owner::reader(settings).await?;
        print(output, &view::DayView::of(&owner, day).await)
    }
}

/// Options of `commit`.
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// The day, as YYYY-MM-DD.
    #[arg(long)]
    day: UtcDay,
    /// Build and show the commit; change, sign and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Commit the cumulative amounts of this rewards.csv. Where they differ from the computed ones,
    /// the command shows the first differing row and signs nothing.
    #[arg(long, value_name = "FILE")]
    rewards: Option<PathBuf>,
    /// Write the next message for the reward signer to this file; together with --import, after the
    /// imported signature is accepted.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "rewards"])]
    export: Option<PathBuf>,
    /// Accept the reward signer's signature over an exported file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "rewards"])]
    import: Option<PathBuf>,
    /// The signature, unless the imported file contains it.
    #[arg(long, value_name = "HEX", requires = "import")]
    signature: Option<WalletSignature>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl CommitArgs {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let Self { day, dry_run, rewards, export, import, signature, output } = self;
        match (import, export) {
            (Some(file), next) => {
                let owner = Owner::reader(settings).await?;
                let options = ImportOptions { day, file, signature, next };
                print(output, &export::import(settings, &owner, options).await?)
            }
            (None, Some(file)) => {
                let owner = Owner::reader(settings).await?;
                print(output, &export::export(settings, &owner, day, &file).await?)
            }
            (None, None) => {
                let rewards = rewards.as_deref().map(owner::read_rewards).transpose()?;
                if dry_run {
                    let owner = Owner::reader(settings).await?;
                    let built = owner.build(day, rewards, TaskCounts::SoFar).await?;
                    return print(output, &view::UnsignedCommitView::of(&built));
                }
                let owner = Owner::signer(settings).await?;
                print(output, &owner.commit(day, rewards).await?)
            }
        }
    }
}

/// Options of `post`.
#[derive(Debug, Args)]
pub struct PostArgs {
    /// The day, as YYYY-MM-DD.
    #[arg(long)]
    day: UtcDay,
    #[command(flatten)]
    send: SendArgs,
}

impl PostArgs {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let owner = Owner::reader(settings).await?;
        let project = owner.project.distributor;
        let signed = owner.store.commit(project, self.day)?.with_context(|| {
            format!("no signed commit of {} in {}", self.day, owner.store.root().display())
        })?;
        change(settings, &self.send, async |tx| {
            let from = owner.builder.logs_from;
            let posted = match find_post(&tx.provider, project, &signed, from).await? {
                Some(found) => Some(found),
                None if tx.only_prepares() => {
                    let action = format!("post the commit of {}", self.day);
                    tx.send(&action, "posting", post_request(project, &signed)).await?;
                    None
                }
                None => Some(post(&tx.provider, project, &signed, from).await?),
            };
            Ok(view::PostView::of(self.day, &signed, posted))
        })
        .await
    }
}
