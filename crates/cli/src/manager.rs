//! The manager of this node: its configuration, its deployment in the cluster, and its state.

pub(crate) mod deploy;
pub(crate) mod inputs;
pub(crate) mod previous;
pub(crate) mod readiness;
pub(crate) mod status;
