// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ProjectRegistry} from "../../src/ProjectRegistry.sol";

/// @dev The registry in any state, with projects that need no creation.
contract RegistryHarness is ProjectRegistry {
    constructor(address operator) ProjectRegistry(operator) {}

    function setProject(address project, address owner) external {
        _projects[project].owner = owner;
    }

    function setValidity(address project, address key, uint64 from, uint64 until) external {
        _receiptKeys[project][key] = Validity(from, until);
    }

    function setOwnReceiptKeysFrom(address project, uint64 from) external {
        ownReceiptKeysFrom[project] = from;
    }
}
