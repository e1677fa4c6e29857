//! The backend on its real parts: Postgres, a chain with the contracts, sockets.

pub(crate) mod api;
mod badge;
mod clocks;
pub(crate) mod commit;
mod computed;
mod day;
mod failover;
mod fire;
mod fleet;
mod heartbeat;
mod lease;
mod listing;
mod node;
mod notify;
mod release;
mod rpc;
mod strangers;
pub(crate) mod support;
mod takeover;
mod uptime;
