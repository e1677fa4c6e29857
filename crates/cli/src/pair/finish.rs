//! Both signatures over one digest, handed to the backend and kept at home.

use std::path::Path;

use nodesys_chain::wallet_signature::WalletSignatureError;
use nodesys_chain::{Provider, wallet_signature};
use nodesys_core::api::NodeView;
use nodesys_core::message::{Domain, Message as _, SignedAuthorization};
use nodesys_core::signature::{SignatureError, SigningKey};

use super::files;
use crate::exit::Exit;
use crate::node;
use crate::output::say;
use crate::pair::files::PairSigned;
use crate::setup::Setup;

pub(crate) async fn finish_pairing(setup: &Setup, path: &Path) -> anyhow::Result<NodeView> {
    hand_in(setup, &files::read(path, PairSigned::FORMAT)?).await
}

/// Adds the node key's signature to a wallet's, and hands both to the backend.
pub(crate) async fn hand_in(setup: &Setup, signed: &PairSigned) -> anyhow::Result<NodeView> {
    let domain = files::domain(setup, signed.chain_id, signed.registry)?;
    let backend = setup.backend()?;
    let key = node::key::read(&setup.node_key_file()?)?;
    let provider = match &setup.settings.rpc[..] {
        [] => None,
        rpcs => Some(Provider::connect_all(rpcs, Some(signed.chain_id)).await?),
    };
    let signed = cosign(signed, &domain, &key, provider.as_ref()).await?;
    files::same_network(&backend, &domain).await?;
    let view = backend.authorize_node(&signed).await?;
    if let Err(error) = setup.home().and_then(|home| node::authorization::write(home, &signed)) {
        // The backend has it, which is what counts.
        say(format!("the authorisation holds, but it could not be kept here: {error:#}"));
    }
    Ok(view)
}

/// Checks the wallet's signature and adds the node key's.
pub(crate) async fn cosign(
    signed: &PairSigned,
    domain: &Domain,
    key: &SigningKey,
    provider: Option<&Provider>,
) -> anyhow::Result<SignedAuthorization> {
    let authorization = &signed.authorization;
    if authorization.node_key != key.address() {
        return Err(Exit::Failure.because(format!(
            "the file authorises node key {}, but this machine's is {}: finish on the node that \
             made the request, or give its --node-key-file",
            authorization.node_key,
            key.address()
        )));
    }
    let digest = authorization.digest(domain);
    let (operator, signature) = (authorization.operator, &signed.operator_signature);
    let checked = match provider {
        Some(provider) => {
            wallet_signature::verify_off_chain(provider, operator, digest, signature).await
        }
        // What is not a key's 65 bytes can only be a contract's, which the backend asks.
        None => match signature.as_key_signature() {
            Ok(key) => key.verify(digest, operator).map_err(WalletSignatureError::from),
            Err(SignatureError::Malformed) => Ok(()),
            Err(error) => Err(error.into()),
        },
    };
    checked.map_err(|error| match error {
        WalletSignatureError::Chain(error) => error.into(),
        problem => {
            let contract = match provider {
                None => {
                    "; if the operator is a contract wallet, give --rpc so that it can be asked"
                }
                Some(_) => "",
            };
            Exit::Failure.because(format!(
                "the operator's signature is not valid: {problem}{contract}; sign the request \
                 again with the operator's wallet"
            ))
        }
    })?;
    Ok(SignedAuthorization {
        authorization: authorization.clone(),
        operator_signature: signature.clone(),
        node_signature: key.sign(digest),
    })
}
