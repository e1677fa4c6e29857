//! The node's request for an authorisation.

use nodesys_core::U256;
use nodesys_core::message::MAX_AUTHORIZATION_SECS;

use crate::node;
use crate::output::say;
use crate::pair::files::PairRequest;
use crate::setup::Setup;

/// How much earlier than 90 days an authorisation ends at the latest: the backend counts from its
/// own clock, which may be somewhat behind this machine's.
const CLOCK_TOLERANCE_SECS: u64 = 600;

pub(crate) async fn request_pairing(
    setup: &Setup,
    days: u64,
    nonce: Option<U256>,
) -> anyhow::Result<PairRequest> {
    let domain = setup.domain()?;
    let now = setup.clock().await?.now();
    let path = setup.node_key_file()?;
    let (key, new) = node::key::read_or_make(&path)?;
    if new {
        say(format!("made the node key {} in {}", key.address(), path.display()));
    }
    let secs = (days * 86_400).min(MAX_AUTHORIZATION_SECS - CLOCK_TOLERANCE_SECS);
    Ok(PairRequest {
        format: PairRequest::FORMAT.to_owned(),
        chain_id: domain.chain_id(),
        registry: domain.verifying_contract(),
        node_key: key.address(),
        not_after: now.secs().saturating_add(secs),
        nonce: nonce.unwrap_or_else(|| U256::from(now.millis())),
    })
}
