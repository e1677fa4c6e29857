//! `authorization.json`: the authorisation of this node that `pair finish` was last given.

use std::path::Path;

use nodesys_core::message::SignedAuthorization;

use crate::node::file::replace;

/// The file's name in the home folder.
pub(crate) const AUTHORIZATION_JSON: &str = "authorization.json";

/// The authorisation kept in a home folder; `None` where there is none that can be read.
pub(crate) fn read(home: &Path) -> Option<SignedAuthorization> {
    let bytes = std::fs::read(home.join(AUTHORIZATION_JSON)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Keeps an authorisation.
pub(crate) fn write(home: &Path, signed: &SignedAuthorization) -> anyhow::Result<()> {
    replace(&home.join(AUTHORIZATION_JSON), &serde_json::to_vec_pretty(signed)?)
}
