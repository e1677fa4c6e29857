//! Bundles: everything a node of the driver k3s is installed from, in one signed file, for machines
//! without a network.
//!
//! Only bytes that the signed manifest names are ever used.

pub(crate) mod archive;
pub(crate) mod create;
pub(crate) mod manifest;
