//! Updates: a newer release of the programs and of the manager, from a TUF repository.
//!
//! `look -> choose -> fetch -> swap -> deploy -> watch`. Nothing is begun that this node should not
//! have yet, and nothing stays that does not hold: what was replaced is kept, and goes back by
//! itself. Each step is in the journal before it begins ([`state`]), so the next run goes on from
//! wherever this one ended.

mod catalogue;
mod fetch;
mod gate;
mod install;
pub(crate) mod report;
mod repository;
pub(crate) mod run;
mod state;
mod steps;
pub(crate) mod timer;
