//! Pairing: a wallet authorises a node key, and the node key agrees, without either key ever
//! leaving its machine.
//!
//! Online, the operator types a code in a browser and signs there (`online`). Without a network between
//! them two files are carried: `request` (on the node) -> `sign` (where the wallet is, no network) -> `finish` (on the node).
//! Both keys sign the digest of one [`NodeAuthorization`], so nobody can claim another's node. The
//! two files between the machines are public: they hold signatures, no secrets.

pub(crate) mod files;
pub(crate) mod finish;
pub(crate) mod online;
pub(crate) mod request;
pub(crate) mod revoke;
pub(crate) mod sign;
pub(crate) mod view;

#[cfg(test)]
mod tests;
