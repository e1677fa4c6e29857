//! The rules of Node System: ids, signed messages, day bitmaps, points, allocation, tree, bundle.
//!
//! Everything here is pure: no network, no database, no clock, no environment. The owner's SDK,
//! the backend and the auditor call the same functions, and equal input gives equal bytes.
//! Modules are named after the stages of the data path:
//! `license -> heartbeat -> uptime -> points -> commit -> tree -> root -> claim`.

#![warn(clippy::missing_errors_doc)]

pub mod address;
pub mod allocation;
pub mod api;
pub mod bitmap;
pub mod bundle;
pub mod cidr;
pub mod files;
pub mod holders;
pub mod ids;
pub mod keccak;
pub mod license;
pub mod listing;
pub mod login;
pub mod merkle;
pub mod message;
pub mod notify;
pub mod pairing;
pub mod points;
pub mod release;
pub mod signature;
pub mod task;
pub mod text;
pub mod ticket;
pub mod time;
pub mod tree;
pub mod update;
pub mod uptime;
pub mod webhook;

pub use alloy_primitives::{Address, B256, U256, keccak256};

/// The development chain of anvil and Hardhat: there alone clocks are stepped, waits have no lower bound, and
/// servers may be anywhere, without TLS.
pub const DEVELOPMENT_CHAIN_ID: u64 = 31_337;
