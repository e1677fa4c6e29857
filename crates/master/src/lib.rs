//! The workload master: the project owner's program. It computes points, checks them against the
//! backend, signs commits and keeps their bundles; it hands out tasks and takes their results.
//!
//! One-shot commands and the service ([`serve`]) do the same work through [`owner::Owner`]. What
//! stays true: for one epoch and revision at most one commit is ever signed ([`signed`]); nothing
//! is signed that the backend does not compute alike; a signed commit's bundle is stored before
//! anybody is told of it.

pub mod admin;
pub mod cli;
pub mod config;
pub mod deployments;
mod error;
mod export;
pub mod license;
mod lifecycle;
pub mod owner;
pub mod project;
pub mod registry;
pub mod release;
pub mod sale;
pub mod serve;
mod show;
pub mod signed;
pub mod task;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use nodesys_sdk::commit::{Post, post};

use crate::cli::{Cli, Command, DayCommand, Format, PointsCommand};
use crate::config::Settings;
use crate::license::LicenseCommand;
use crate::owner::Owner;
use crate::project::ProjectCommand;
use crate::registry::RegistryCommand;
use crate::sale::SaleCommand;

/// Runs a command to its end.
pub fn main(cli: Cli) -> ExitCode {
    lifecycle::log_to_stderr();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("nodesys-master: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodesys-master: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    if let Command::Completion { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "nodesys-master", &mut script);
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&script).and_then(|()| out.flush());
        written.context("cannot write to standard output")?;
        return Ok(());
    }
    let settings = cli.settings.with_file()?;
    match cli.command {
        Command::Points { command: PointsCommand::Preview { day, output } } => {
            let owner = Owner::reader(&settings).await?;
            let preview = show::preview(&owner, day).await?;
            print(output, &preview)
        }
        Command::Commit { day, export: Some(path), import: None, output, .. } => {
            let owner = Owner::reader(&settings).await?;
            print(output, &export::export(&settings, &owner, day, &path).await?)
        }
        Command::Commit { day, export, import: Some(path), signature, output, .. } => {
            let owner = Owner::reader(&settings).await?;
            let next = export.as_deref();
            print(output, &export::import(&settings, &owner, day, &path, signature, next).await?)
        }
        Command::Commit { day, dry_run, rewards, output, .. } => {
            let rewards = rewards.as_deref().map(owner::read_rewards).transpose()?;
            if dry_run {
                let owner = Owner::reader(&settings).await?;
                let built = owner.build(day, rewards).await?;
                return print(output, &show::Unsigned::of(&built));
            }
            let owner = Owner::signer(&settings).await?;
            let done = owner.commit(day, rewards).await?;
            print(output, &done)
        }
        Command::Day { command: DayCommand::Show { day, output } } => {
            let owner = Owner::reader(&settings).await?;
            print(output, &show::day(&owner, day).await?)
        }
        Command::Post { day, sender, output } => {
            let owner = Owner::reader(&settings).await?;
            let key = settings.sender_key(&sender)?;
            let provider = settings.provider_with_key(&key).await?;
            let project = owner.project.distributor;
            let signed = owner.store.commit(project, day)?.with_context(|| {
                format!("no signed commit of {day} in {}", owner.store.root().display())
            })?;
            let posted = post(&provider, project, &signed, owner.builder.logs_from).await?;
            print(output, &show::Posted::of(day, &signed, posted))
        }
        Command::Task { command } => task::show::run(&settings, command).await,
        Command::Registry { command } => match command {
            RegistryCommand::Create(create) => {
                print(create.output, &registry::create(&settings, &create).await?)
            }
            RegistryCommand::ReceiptKey(key) => {
                print(key.send.output, &registry::receipt_key(&settings, &key).await?)
            }
            RegistryCommand::Show { output } => print(output, &registry::show(&settings).await?),
        },
        Command::Project { command } => project(&settings, command).await,
        Command::License { command } => license(&settings, command).await,
        Command::Release { command } => release::run(&settings, command).await,
        Command::Sale { command } => match command {
            SaleCommand::Create(create) => {
                print(create.output, &sale::create(&settings, &create).await?)
            }
            SaleCommand::Show { sale, output } => {
                print(output, &sale::show(&settings.provider().await?, sale).await?)
            }
        },
        Command::Serve(options) => serve::serve(&settings, &options).await,
        Command::Completion { .. } => Ok(()),
    }
}

async fn project(settings: &Settings, command: ProjectCommand) -> anyhow::Result<()> {
    match command {
        ProjectCommand::Create(create) => {
            print(create.output, &project::create(settings, &create).await?)
        }
        ProjectCommand::Show { output } => print(output, &project::show(settings).await?),
        ProjectCommand::ListWorkload(listing) => {
            print(listing.send.output, &registry::list_workload(settings, &listing).await?)
        }
        ProjectCommand::Fund { up_to, sender, output } => {
            print(output, &project::fund(settings, up_to, &sender).await?)
        }
        ProjectCommand::Signer(signer) => {
            print(signer.send.output, &admin::signer(settings, &signer).await?)
        }
        ProjectCommand::Queue(queue) => {
            print(queue.send.output, &admin::queue(settings, &queue).await?)
        }
        ProjectCommand::Pending { output } => print(output, &admin::pending(settings).await?),
        ProjectCommand::Execute(queued) => {
            print(queued.send.output, &admin::execute(settings, &queued).await?)
        }
        ProjectCommand::Cancel(queued) => {
            print(queued.send.output, &admin::cancel(settings, &queued).await?)
        }
        ProjectCommand::Now(now) => print(now.send.output, &admin::now(settings, &now).await?),
    }
}

async fn license(settings: &Settings, command: LicenseCommand) -> anyhow::Result<()> {
    match command {
        LicenseCommand::Create(create) => {
            print(create.output, &license::create(settings, &create).await?)
        }
        LicenseCommand::Consent(consent) => {
            print(consent.send.output, &registry::consent(settings, &consent).await?)
        }
        LicenseCommand::Mint { collection, to, count, first, sender, output } => {
            let key = settings.sender_key(&sender)?;
            let provider = settings.provider_with_key(&key).await?;
            print(output, &license::mint(&provider, collection, to, first, count).await?)
        }
        LicenseCommand::Show { collection, output } => {
            print(output, &license::show(&settings.provider().await?, collection).await?)
        }
    }
}

fn print<T: serde::Serialize + std::fmt::Display>(format: Format, value: &T) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Table => writeln!(out, "{value}"),
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, value)?;
            writeln!(out)
        }
    }
    .context("cannot write to standard output")
}

impl From<Post> for show::PostResult {
    fn from(post: Post) -> Self {
        match post {
            Post::Sent { transaction, gas_used } => {
                Self { transaction, gas_used: Some(gas_used), already_posted: false }
            }
            Post::Found { transaction } => {
                Self { transaction, gas_used: None, already_posted: true }
            }
        }
    }
}
