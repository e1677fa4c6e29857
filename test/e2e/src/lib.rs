//! End-to-end tests over the devnet
