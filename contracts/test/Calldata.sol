// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @dev Reads an encoded call.
library Calldata {
    function selectorOf(bytes memory call) internal pure returns (bytes4) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return bytes4(call);
    }

    /// @dev The argument at the index, which must be there.
    function wordOf(bytes memory encoded, uint256 index) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(encoded, 0x24), mul(index, 0x20)))
        }
    }
}
