// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title ProjectChecks
/// @notice What the parts of the registry ask of each other.
abstract contract ProjectChecks {
    /// @dev The project's owner; reverts if there is no such project.
    function _ownerOf(address project) internal view virtual returns (address);

    function _requireProjectOwner(address project) internal view virtual;

    function _requireValidName(string calldata name) internal pure virtual;
}
