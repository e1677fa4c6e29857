//! Files that are fetched by their hash. Only bytes with the expected size and hash are ever used.

mod fetch;
pub(crate) mod hash;
pub(crate) mod pin;
pub(crate) mod pinned;
