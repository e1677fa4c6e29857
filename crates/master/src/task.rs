//! Tasks: the project's queue, from which workloads lease work and to which they report results.
//!
//! A workload presents a ticket that its node signed ([`gate`]); its leases and results are written
//! to Postgres ([`queue`]) and acknowledged once they are committed. Invariants for any number of
//! masters on one database: a license holds at most one lease of a task at a time; a license
//! answers a task at most once; an accepted result counts for one day, and a day's counts do not
//! change once a commit has used them.

mod add;
mod allowance;
mod command;
mod gate;
mod http;
mod queue;
mod result;
mod slots;
mod state;
#[cfg(test)]
mod tests;
mod view;

pub use command::TaskCommand;
pub(crate) use gate::Gate;
pub(crate) use http::routes;
pub(crate) use queue::{Queue, open_queue};
pub(crate) use slots::Slots;
pub(crate) use state::{Tasks, expire};
