//! The reservation of a project to come: who creates a project shows its name to all who watch the mempool,
//! so its address, which tells nobody the name, is reserved before.
//!
//! A reservation counts a while after its block, and some days. The chain keeps it, so a command that was
//! stopped between the two transactions goes on with the second.

use std::time::Duration;

use alloy::rpc::types::TransactionRequest;
use nodesys_chain::ChainError;
use nodesys_chain::bindings::ProjectRegistry::{
    ProjectNotReserved, reservationOfCall, reservationOfReturn, reserveProjectCall,
};
use nodesys_clock::Clock;
use nodesys_core::{Address, B256};

use super::tx::{TxSender, call_request};
use crate::output::say;

/// Between two looks at the chain's time.
const LOOK_SECS: u64 = 3;

/// How the creation of a project goes on.
pub(crate) enum Reservation {
    /// It counts now; with the transaction that made it, where this run sent one.
    Counts(Option<B256>),
    /// Another wallet has to send it first.
    Prepared,
}

/// Reserves the address of a project that `creation` would create, unless it is reserved, and waits until the
/// reservation counts. Where transactions are only prepared, it prepares its own.
///
/// # Errors
///
/// If the registry would refuse the creation for another reason: then nothing is sent. Those of
/// [`TxSender::send`].
pub(crate) async fn reserve(
    tx: &TxSender,
    registry: Address,
    (creator, project): (Address, Address),
    creation: &TransactionRequest,
) -> anyhow::Result<Reservation> {
    let read = async || tx.read(registry, reservationOfCall { project }).await;
    let mut transaction = None;
    let mut known = read().await?;
    if known.until <= tx.provider.latest_block().await?.secs {
        // The registry looks at the reservation last, so whatever else is wrong is told before one is made.
        match tx.provider.try_as("creating the project", creator, creation.clone()).await {
            Ok(()) => {}
            Err(ChainError::Reverted { reason, .. }) if reason.is::<ProjectNotReserved>() => {}
            Err(error) => return Err(error.into()),
        }
        let call = call_request(registry, &reserveProjectCall { project });
        let action = format!("reserve the address {project}");
        transaction = tx.send(&action, "reserving the project's address", call).await?;
        if tx.only_prepares() {
            return Ok(Reservation::Prepared);
        }
        known = read().await?;
    }
    wait_for(tx, project, &known).await?;
    Ok(Reservation::Counts(transaction))
}

/// Waits until the chain's time is that of the reservation's beginning.
async fn wait_for(
    tx: &TxSender,
    project: Address,
    reservation: &reservationOfReturn,
) -> anyhow::Result<()> {
    let mut told = false;
    let mut sleeper = Clock::system().sleeper();
    loop {
        let now = tx.provider.latest_block().await?.secs;
        let missing = reservation.from.saturating_sub(now);
        if missing == 0 {
            return Ok(());
        }
        if !told {
            say(format_args!(
                "the address {project} is reserved; the project can be created in {missing} s. This \
                 command waits, or run it again then"
            ));
            told = true;
        }
        sleeper.sleep(Duration::from_secs(missing.min(LOOK_SECS))).await;
    }
}
