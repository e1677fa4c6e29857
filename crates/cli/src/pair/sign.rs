//! The wallet's signature under a request.

use std::path::Path;

use nodesys_core::Address;
use nodesys_core::message::NodeAuthorization;
use nodesys_core::signature::WalletSignature;

use crate::exit::Exit;
use crate::output::{moment, say};
use crate::pair::files;
use crate::pair::files::{PairRequest, PairSigned};
use crate::setup::Setup;
use crate::wallet::{Outcome, Wallet, WalletArgs};

/// Signs the request of a file, and shows what is signed. `operator` is the wallet's address, which a
/// keystore says itself.
pub(crate) fn sign_request(
    setup: &Setup,
    request: &Path,
    wallet: &WalletArgs,
    operator: Option<Address>,
) -> anyhow::Result<Outcome<PairSigned>> {
    let request: PairRequest = files::read(request, PairRequest::FORMAT)?;
    let domain = files::domain(setup, request.chain_id, request.registry)?;
    let wallet = wallet.choose()?;
    let operator = operator_of(&wallet, operator)?;
    say(format!(
        "This lets the node act for the wallet, for its licenses and nothing else:\n  \
         wallet    {operator}\n  node key  {}\n  until     {}\n  nonce     {}\n  chain     {}\n  \
         registry  {}",
        request.node_key,
        moment(request.not_after),
        request.nonce,
        request.chain_id,
        request.registry,
    ));
    let authorization = authorization_of(&request, operator);
    Ok(match wallet.sign(&authorization, operator, &domain)? {
        Outcome::ToSign(message) => Outcome::ToSign(message),
        Outcome::Done(signature) => Outcome::Done(signed(&request, authorization, signature)),
    })
}

/// The wallet's address: the message holds it.
fn operator_of(wallet: &Wallet, given: Option<Address>) -> anyhow::Result<Address> {
    match (wallet.address(), given) {
        (Some(own), Some(given)) if own != given => Err(Exit::Usage.because(format!(
            "--operator is {given}, but the keystore's wallet is {own}: leave one of the two out"
        ))),
        (Some(own), _) => Ok(own),
        (None, Some(given)) => Ok(given),
        (None, None) => Err(Exit::Usage
            .because("--operator is missing: the address of the wallet that signs the message")),
    }
}

pub(crate) const fn authorization_of(
    request: &PairRequest,
    operator: Address,
) -> NodeAuthorization {
    NodeAuthorization {
        operator,
        node_key: request.node_key,
        not_after: request.not_after,
        nonce: request.nonce,
    }
}

pub(crate) fn signed(
    request: &PairRequest,
    authorization: NodeAuthorization,
    operator_signature: WalletSignature,
) -> PairSigned {
    PairSigned {
        format: PairSigned::FORMAT.to_owned(),
        chain_id: request.chain_id,
        registry: request.registry,
        authorization,
        operator_signature,
    }
}
