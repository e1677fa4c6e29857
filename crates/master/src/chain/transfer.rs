//! `project transfer|accept`: a project's change of owner, in two steps, so that no project ends with
//! an owner who cannot act.

use anyhow::{bail, ensure};
use clap::Args;
use nodesys_chain::bindings::ProjectRegistry::{
    acceptProjectCall, projectOfCall, transferProjectCall,
};
use nodesys_core::Address;
use nodesys_core::address::address;

use super::project::{RegisteredProject, find};
use super::tx::{SendArgs, TxSender, TxView, call_request};
use crate::config::Settings;

/// A project's next owner.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The next owner, who has to accept; the zero address withdraws an offer.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub(crate) to: Address,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// Offers the project of `--project` to another owner.
pub(crate) async fn offer(
    settings: &Settings,
    tx: &TxSender,
    to: Address,
) -> anyhow::Result<TxView> {
    let RegisteredProject { registry, address: project, name, owner } =
        find(settings, &tx.provider).await?;
    let pending = tx.read(registry, projectOfCall { project }).await?.pendingOwner;
    let action = match to.is_zero() {
        true => format!("offer project {name} to nobody"),
        false => format!("offer project {name} to {to}, who has to accept it"),
    };
    if pending == to || owner == to {
        return Ok(TxView::not_needed(action));
    }
    let request = call_request(registry, &transferProjectCall { project, newOwner: to });
    let transaction = tx.send(&action, &format!("to {action}"), request).await?;
    Ok(TxView { action, transaction })
}

/// Accepts the project of `--project`, as the account to which it was offered.
pub(crate) async fn accept(settings: &Settings, tx: &TxSender) -> anyhow::Result<TxView> {
    let RegisteredProject { registry, address: project, name, owner } =
        find(settings, &tx.provider).await?;
    let pending = tx.read(registry, projectOfCall { project }).await?.pendingOwner;
    let action = format!("become the owner of project {name}");
    if pending.is_zero() {
        ensure!(
            tx.account() == Some(owner),
            "project {name} is offered to nobody; its owner {owner} offers it with `project transfer`"
        );
        return Ok(TxView::not_needed(action));
    }
    if let Some(other) = tx.account().filter(|account| *account != pending) {
        bail!("project {name} is offered to {pending}, not to {other}");
    }
    let request = call_request(registry, &acceptProjectCall { project });
    let transaction = tx.send(&action, &format!("to {action}"), request).await?;
    tx.note(format!("the sender is {pending}, to whom the project is offered"));
    Ok(TxView { action, transaction })
}
