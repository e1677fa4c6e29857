//! The operator of this node, where no flag names one.

use std::time::Duration;

use nodesys_core::Address;

use crate::exit::Exit;
use crate::node;
use crate::output::say;
use crate::setup::Setup;

/// A convenience is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The account: the flag's, else the operator of the node's authorisation as the backend has it,
/// else as `pair finish` kept it. `flag` is named where none of these is known.
pub(crate) async fn or_own(
    setup: &Setup,
    given: Option<Address>,
    flag: &str,
) -> anyhow::Result<Address> {
    if let Some(operator) = given {
        return Ok(operator);
    }
    let kept = setup.authorization().map(|kept| kept.authorization);
    // The kept one says which node this is even where the key itself is another user's.
    let own = setup.node_key_file().ok().and_then(|path| node::key::read(&path).ok());
    let node = own.map(|key| key.address()).or_else(|| kept.as_ref().map(|kept| kept.node_key));
    if let (Some(node), Ok(backend)) = (node, setup.backend()) {
        match backend.with_timeout(PATIENCE).node(node).await {
            Ok(view) => return Ok(view.authorization.operator),
            Err(error) => say(format!("the backend does not name the operator of {node}: {error}")),
        }
    }
    if let Some(kept) = kept.filter(|kept| Some(kept.node_key) == node) {
        return Ok(kept.operator);
    }
    Err(Exit::Usage.because(format!(
        "{flag} is missing: this machine has no authorised node whose operator it could be"
    )))
}
