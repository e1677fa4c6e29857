//! A node's life on its machine: planned, started, diagnosed, stopped, removed, restored.

pub(crate) mod diagnose;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod start;
pub(crate) mod stop;
mod undo;
pub(crate) mod uninstall;
mod unpack;
