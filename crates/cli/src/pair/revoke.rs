//! Ending a node's authorisation, and putting another node in its place.

use nodesys_core::api::NodeView;
use nodesys_core::message::{Domain, NodeRevocation, SignedRevocation};
use nodesys_core::signature::SigningKey;
use nodesys_core::{Address, U256};
use nodesys_sdk::client;
use nodesys_sdk::client::Client;

use crate::exit::Exit;
use crate::output::say;
use crate::pair::files;
use crate::pair::finish::hand_in;
use crate::pair::request::request_pairing;
use crate::pair::sign::{authorization_of, signed};
use crate::setup::Setup;
use crate::wallet::{Outcome, Wallet};

/// Ends a node's authorisation by its operator's wallet, or gives the message that the wallet has to
/// sign.
pub(crate) async fn end_node(
    backend: &Client,
    domain: &Domain,
    node: Address,
    wallet: &Wallet,
    nonce: Option<U256>,
) -> anyhow::Result<Outcome<NodeView>> {
    let view = backend.node(node).await?;
    let operator = view.authorization.operator;
    if let Some(other) = wallet.address().filter(|wallet| *wallet != operator) {
        return Err(Exit::Failure.because(format!(
            "node {node} is authorised by {operator}, but the keystore's wallet is {other}: use the \
             operator's keystore"
        )));
    }
    let nonce = nonce.unwrap_or(view.authorization.nonce);
    let revocation = NodeRevocation { operator, node_key: node, nonce };
    let operator_signature = match wallet.sign(&revocation, operator, domain)? {
        Outcome::Done(signature) => signature,
        Outcome::ToSign(message) => return Ok(Outcome::ToSign(message)),
    };
    let signed = SignedRevocation { revocation, operator_signature };
    Ok(Outcome::Done(backend.revoke_node(&signed).await?))
}

/// Puts this node in the place of another one of the same wallet: the other's authorisation ends, and
/// with it its leases, then this one's begins. Safe to repeat.
pub(crate) async fn replace_node(
    setup: &Setup,
    old: Address,
    wallet: SigningKey,
) -> anyhow::Result<NodeView> {
    let operator = wallet.address();
    let wallet = Wallet::Key(wallet);
    let domain = setup.domain()?;
    let backend = setup.backend()?;
    files::same_network(&backend, &domain).await?;
    // First, so that at no moment two nodes act.
    match backend.node(old).await {
        Ok(view) if view.revoked => {}
        Ok(_) => drop(end_node(&backend, &domain, old, &wallet, None).await?),
        Err(client::Error::Problem(problem)) if problem.code == "unknown_node" => {
            say(format!("the backend does not know the old node {old}: nothing to revoke"));
        }
        Err(error) => return Err(error.into()),
    }
    let request = request_pairing(setup, 90, None).await?;
    let authorization = authorization_of(&request, operator);
    match wallet.sign(&authorization, operator, &domain)? {
        Outcome::Done(signature) => {
            hand_in(setup, &signed(&request, authorization, signature)).await
        }
        Outcome::ToSign(_) => Err(Exit::Failure.because("the wallet's key is not here")),
    }
}
