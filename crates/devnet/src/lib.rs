//! Brings up Postgres, anvil, contracts, backend, master and nodes for the demo and the tests
