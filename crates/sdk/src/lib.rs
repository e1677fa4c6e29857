//! What a project owner embeds: the backend's client, the commit builder and the audit.
//!
//! The CLI, the manager and the master stand on it; whatever they do, an owner's own program can. Whole
//! programs are in the folder `examples`. Amounts are in wei of the project's token, times in seconds
//! since 1970 UTC unless their names say otherwise.
//!
//! # Examples
//!
//! Verifies a project's posted days from a folder of its bundles and the chain alone.
//!
//! ```no_run
//! use nodesys_chain::Provider;
//! use nodesys_core::Address;
//! use nodesys_sdk::audit::{AuditRange, audit_project};
//! use nodesys_sdk::bundles::{BundleSource, Places};
//!
//! async fn example(
//!     provider: &Provider,
//!     registry: Address,
//!     distributor: Address,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let places = Places::from(BundleSource::parse("./bundles")?);
//!     let range = AuditRange { finality_depth: 64, ..AuditRange::default() };
//!     let report = audit_project(provider, registry, distributor, &places, range).await?;
//!     println!("{report}");
//!     Ok(())
//! }
//! ```

#![warn(clippy::missing_errors_doc)]

pub mod audit;
pub mod bundles;
pub mod client;
pub mod commit;
pub mod day;
mod fetch;
pub mod guardian;
pub mod network;
pub mod release;
pub mod watch;
