//! The watch over a chain that lies and places that fail, with honest owners and with thieves: it
//! never harms an honest owner, and never lets a thief through. `scripts/test watch` runs a
//! selection of the cells, `scripts/test deep` all of them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cell;
mod guard;
mod matrix;
mod outcome;
mod owner;
mod places;
mod scenarios;
mod signer;
mod thief;
mod world;
