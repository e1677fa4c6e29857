//! The backend on its real parts: Postgres, a chain with the contracts, sockets.

pub(crate) mod api;
mod badge;
mod callers;
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
mod login;
mod node;
mod notify;
mod pairing;
mod release;
mod rightless;
mod rotation;
mod rpc;
mod strangers;
pub(crate) mod support;
mod takeover;
mod uptime;
