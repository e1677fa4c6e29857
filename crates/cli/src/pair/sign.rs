//! The wallet's signature under a request.

use std::path::Path;

use nodesys_core::message::{Domain, Message as _, NodeAuthorization};
use nodesys_core::signature::SigningKey;

use crate::output::{moment, say};
use crate::pair::files;
use crate::pair::files::{PairRequest, PairSigned};
use crate::prompt::WalletFile;
use crate::setup::Setup;

/// Signs the request of a file, and shows what is signed.
pub(crate) fn sign_request(
    setup: &Setup,
    request: &Path,
    wallet: &WalletFile,
) -> anyhow::Result<PairSigned> {
    let request: PairRequest = files::read(request, PairRequest::FORMAT)?;
    let domain = files::domain(setup, request.chain_id, request.registry)?;
    let wallet = wallet.open()?;
    say(format!(
        "This lets the node act for the wallet, for its licenses and nothing else:\n  \
         wallet    {}\n  node key  {}\n  until     {}\n  nonce     {}\n  chain     {}\n  \
         registry  {}",
        wallet.address(),
        request.node_key,
        moment(request.not_after),
        request.nonce,
        request.chain_id,
        request.registry,
    ));
    Ok(signed_by(&wallet, &request, &domain))
}

pub(crate) fn signed_by(wallet: &SigningKey, request: &PairRequest, domain: &Domain) -> PairSigned {
    let authorization = NodeAuthorization {
        operator: wallet.address(),
        node_key: request.node_key,
        not_after: request.not_after,
        nonce: request.nonce,
    };
    let operator_signature = wallet.sign(authorization.digest(domain)).into();
    PairSigned {
        format: PairSigned::FORMAT.to_owned(),
        chain_id: request.chain_id,
        registry: request.registry,
        authorization,
        operator_signature,
    }
}
