//! The workloads of this node: adding one, changing it, and its state.
//!
//! The operator's own objects around a workload (namespace, quota, limits, network policy, the manager's
//! rights) are made here and nowhere else.

pub(crate) mod add;
pub(crate) mod change;
pub(crate) mod consent;
pub(crate) mod describe;
pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod name;
pub(crate) mod pods;
pub(crate) mod registry;
pub(crate) mod sandbox;
