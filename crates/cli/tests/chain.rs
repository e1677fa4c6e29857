//! Licenses, claims and audits against a real anvil, through the program itself.

mod support;

use std::path::Path;

use alloy::eips::BlockNumberOrTag;
use nodesys_contracts::bindings::{DelegateRegistry, NodeLicense};
use nodesys_contracts::ownership::DELEGATE_REGISTRY;
use nodesys_contracts::{Provider, RpcUrl};
use nodesys_core::license::OPERATE_RIGHTS;
use nodesys_core::{Address, U256};
use support::anvil::{self, Anvil};
use support::{Home, Network, set_code};

const BOB: Address = Address::repeat_byte(0xb0);
const CAROL: Address = Address::repeat_byte(0xca);
const DAVE: Address = Address::repeat_byte(0xda);
