//! The cluster this node runs in: its drivers, the connection to it, and what is applied to it.
//!
//! Nothing here knows a command, a bundle or a workload.

pub(crate) mod apply;
pub(crate) mod connect;
pub(crate) mod driver;
mod existing;
pub(crate) mod finding;
pub(crate) mod isolation;
mod k3d;
pub(crate) mod k3s;
pub(crate) mod namespace;
pub(crate) mod pods;
pub(crate) mod preflight;

use crate::cluster::driver::Driver;
use crate::node::cluster_file::DriverKind;

/// The driver of a kind.
pub(crate) fn driver_of(kind: DriverKind) -> &'static dyn Driver {
    match kind {
        DriverKind::K3s => &k3s::K3s,
        DriverKind::K3d => &k3d::K3d,
        DriverKind::Existing => &existing::Existing,
    }
}
