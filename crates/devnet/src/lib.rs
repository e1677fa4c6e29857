//! The devnet: Postgres, anvil, the contracts, a backend, a workload master and nodes with their
//! workloads, all real, each as a process of its own, on one stepped clock.
//!
//! The demo ([`demo`]) and the end-to-end tests use it. [`Devnet`] starts and stops everything;
//! nothing is written outside its folder, every port is a free one, and its processes end with it.
//! A node may also run in an existing Kubernetes cluster.

pub mod chain;
pub mod demo;
pub mod deploy;
mod in_cluster;
mod net;
mod network;
mod node;
mod people;
mod postgres;
pub mod process;
mod processes;
mod programs;
pub mod rpc_proxy;

pub use deploy::{Deployed, LicenseRef, Plan, Workload};
pub use in_cluster::ClusterParts;
pub use net::{Devnet, LOOPBACK, MasterOptions, Options};
pub use network::Network;
pub use node::Node;
pub use people::{People, Person};
pub use postgres::Postgres;
pub use programs::{Output, Programs, run};
