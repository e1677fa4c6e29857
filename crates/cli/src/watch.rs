//! The watch over a project's posts.

mod checks;
mod event;
mod metrics;
pub(crate) mod run;
mod state;
mod targets;
