//! `notify`: webhooks that get a message when this node or one of its workloads is down, and back.
//!
//! Every verb is a request that the node key signs, so that only the node's owner says where
//! messages go. The secret of a new webhook is printed once, on standard output.

use std::fmt;

use clap::Subcommand;
use nodesys_core::message::Signed;
use nodesys_core::notify::{NotifyAction, NotifyAdded, NotifyRequest, NotifyTarget};
use nodesys_core::time::Timestamp;
use nodesys_sdk::client::Client;
use serde::Serialize;

use crate::exit::Exit;
use crate::node;
use crate::output::{self, clean_text, say, table};
use crate::setup::Setup;

const EXAMPLES: &str = "\
Examples:
  nodesys notify add https://hooks.example.org/nodesys   # prints the secret to check messages with
  nodesys notify list
  nodesys notify test 1
  nodesys notify remove 1";

/// Verbs of `notify`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum NotifyCommand {
    /// Add a webhook; prints its number and the secret its messages are signed with.
    ///
    /// Messages are JSON, signed as in Standard Webhooks (webhook-id, webhook-timestamp,
    /// webhook-signature): node.down and node.back, workload.down, workload.back and
    /// workload.lost, node.authorized (of any new node of the operator). Adding the same URL again prints the
    /// same number and secret.
    #[command(after_help = "\
Example:
  nodesys notify add https://hooks.example.org/nodesys")]
    Add {
        /// The webhook's URL, which must be https://.
        #[arg(value_name = "URL")]
        url: String,
    },
    /// Show the node's webhooks and the delivery of their messages.
    #[command(after_help = "\
Example:
  nodesys notify list --output json")]
    List,
    /// Send a test message to a webhook now.
    #[command(after_help = "\
Example:
  nodesys notify test 1")]
    Test {
        /// The webhook's number.
        #[arg(value_name = "NUMBER")]
        target: u64,
    },
    /// Remove a webhook.
    #[command(after_help = "\
Example:
  nodesys notify remove 1")]
    Remove {
        /// The webhook's number.
        #[arg(value_name = "NUMBER")]
        target: u64,
    },
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &NotifyCommand) -> anyhow::Result<Exit> {
    let backend = setup.backend()?;
    let ask = async |action, url: &str, target| request(setup, action, url, target).await;
    match command {
        NotifyCommand::Add { url } => {
            let added = backend.add_target(&ask(NotifyAction::Add, url, 0).await?).await?;
            output::print(setup.format(), &Added(added))?;
        }
        NotifyCommand::List => list(setup, &backend).await?,
        NotifyCommand::Test { target } => {
            let told = backend.test_target(&ask(NotifyAction::Test, "", *target).await?).await?;
            say(format!("{} has taken the test", clean_text(&told.url)));
            output::print(setup.format(), &Targets(vec![told]))?;
        }
        NotifyCommand::Remove { target } => {
            let signed = ask(NotifyAction::Remove, "", *target).await?;
            let left = backend.remove_target(&signed).await?;
            output::print(setup.format(), &Targets(left))?;
        }
    }
    Ok(Exit::Done)
}

async fn list(setup: &Setup, backend: &Client) -> anyhow::Result<()> {
    let signed = request(setup, NotifyAction::List, "", 0).await?;
    output::print(setup.format(), &Targets(backend.targets(&signed).await?))
}

/// A request, signed by this machine's node key.
async fn request(
    setup: &Setup,
    action: NotifyAction,
    url: &str,
    target: u64,
) -> anyhow::Result<Signed<NotifyRequest>> {
    let domain = setup.domain()?;
    let key = node::key::read(&setup.node_key_file()?)?;
    let nonce = setup.clock().await?.now().millis();
    let node_key = key.address();
    let request = NotifyRequest { node_key, action, url: url.to_owned(), target, nonce };
    Ok(Signed::new(request, &domain, &key))
}

/// `notify add`, printed.
#[derive(Serialize)]
#[serde(transparent)]
struct Added(NotifyAdded);

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "number  {}", self.0.target.target)?;
        writeln!(f, "url     {}", clean_text(&self.0.target.url))?;
        write!(f, "secret  {}", clean_text(&self.0.secret))
    }
}

/// Webhooks, printed.
#[derive(Serialize)]
#[serde(transparent)]
struct Targets(Vec<NotifyTarget>);

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows =
            table(&["number", "url", "added", "taken", "waiting", "given up", "last trouble"]);
        for target in &self.0 {
            rows.add_row([
                target.target.to_string(),
                clean_text(&target.url),
                Timestamp::from_millis(target.added_millis).to_string(),
                target.delivered.to_string(),
                target.waiting.to_string(),
                target.failed.to_string(),
                target.last_error.as_deref().map(clean_text).unwrap_or_default(),
            ]);
        }
        rows.fmt(f)
    }
}
