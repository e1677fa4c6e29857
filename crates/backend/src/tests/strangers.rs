//! Strangers on one network: what one project, collection or RPC does reaches no other's rows.

mod twin;
