// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";

import {RewardDistributor} from "./RewardDistributor.sol";
import {IProjectRegistry, ProjectParams} from "./interfaces/IProjectRegistry.sol";

/// @title DistributorDeployer
/// @notice Deploys distributors for the registry that made it. It is a contract of its own because
/// it carries the distributor's code, which would leave the registry no room under the size limit.
contract DistributorDeployer {
    IProjectRegistry private immutable REGISTRY;

    /// @notice Only the registry deploys.
    error NotRegistry(address caller, address registry);

    constructor() {
        REGISTRY = IProjectRegistry(msg.sender);
    }

    /// @notice Deploys the distributor at `addressOf(creator, params)`.
    function deploy(address creator, ProjectParams calldata params) external returns (address) {
        // Check
        if (msg.sender != address(REGISTRY)) revert NotRegistry(msg.sender, address(REGISTRY));

        // Interaction
        return address(new RewardDistributor{salt: _salt(creator, params)}(REGISTRY, params));
    }

    /// @notice The address of the distributor that this creator has with these parameters.
    function addressOf(address creator, ProjectParams calldata params) external view returns (address) {
        bytes memory initCode =
            abi.encodePacked(type(RewardDistributor).creationCode, abi.encode(REGISTRY, params));
        return Create2.computeAddress(_salt(creator, params), keccak256(initCode));
    }

    /// @dev The creator is part of the salt, so nobody can take another's address.
    function _salt(address creator, ProjectParams calldata params) private pure returns (bytes32) {
        return keccak256(abi.encode(creator, params.userSalt));
    }
}
