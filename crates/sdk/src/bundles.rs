//! Day bundles where they are kept: folders, and servers of `/v1/bundles`.
//!
//! Whoever reads a day for a decision reads it from [`Places`]: a file is taken from any of them by the
//! hash that was committed, and a place that fails or gives other bytes is passed over, and named.
//!
//! A folder holds `<project, lower-case hex>/<YYYY-MM-DD>/{bundle.json, uptime.csv, holders.csv,
//! uncounted.csv, points.csv, rewards.csv, tree.json, commit.json}`. A day appears in it whole or not at all, and
//! once there it does not change; a day rebuilt after a revocation takes its place, and the old one
//! is kept beside it as `<YYYY-MM-DD>.r<revision>`.
//!
//! # Examples
//!
//! ```no_run
//! use nodesys_core::time::UtcDay;
//! use nodesys_core::{Address, B256};
//! use nodesys_sdk::bundles::{BundleSource, Places, StoreError};
//!
//! async fn example(project: Address, day: UtcDay, commit: B256) -> Result<(), StoreError> {
//!     let places = Places::new(vec![
//!         BundleSource::parse("./bundles")?,
//!         BundleSource::parse("https://backend.example.org")?,
//!     ]);
//!     // Whichever place gives it, these are the bytes that lead to the commit.
//!     let (bundle, _) = places.bundle_of(project, day, Some(commit)).await?;
//!     println!("{} wei for {} licenses", bundle.totals.allocated, bundle.totals.licenses);
//!     Ok(())
//! }
//! ```

mod error;
mod files;
mod places;
mod repair;
mod store;

pub use error::StoreError;
pub use error::{PassedOver, Reason, passed_over_lines};
pub use files::{COMMIT_JSON, FILES, commit_of, published_files};
pub use places::{BundleSource, Fetched, Places};
pub use store::BundleStore;

#[cfg(test)]
mod tests;
