//! Licenses: the right to run one, read from the chain alone.
//!
//! The right comes from [`nodesys_chain::ownership::rights_of`] over this machine's own RPC,
//! never from a backend. A backend is asked only for this node's operator, where no `--operator` is given.

pub(crate) mod buy;
pub(crate) mod list;
pub(crate) mod name;
pub(crate) mod operator;
pub(crate) mod right;
pub(crate) mod show;
pub(crate) mod view;
