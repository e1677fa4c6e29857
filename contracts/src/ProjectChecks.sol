// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title ProjectChecks
/// @notice What the parts of the registry ask of each other.
abstract contract ProjectChecks {
    /// @dev Only here waits have no lower bound, so that a demo need not wait a day.
    uint256 internal constant DEV_CHAIN_ID = 31_337;

    /// @dev The project's owner; reverts if there is no such project.
    function _ownerOf(address project) internal view virtual returns (address);

    function _requireProjectOwner(address project) internal view virtual;

    function _requireValidName(string calldata name) internal pure virtual;

    function _time() internal view returns (uint64) {
        // Fits for longer than the sun will shine.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(block.timestamp);
    }
}
