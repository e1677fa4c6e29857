// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @dev OpenZeppelin's standard tree over (account, cumulative): leaves hashed twice, sorted, in a
/// complete binary tree kept in an array with the root first.
library MerkleTree {
    function leaf(address account, uint256 cumulative) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(account, cumulative))));
    }

    function build(bytes32[] memory leaves) internal pure returns (bytes32[] memory nodes) {
        uint256 count = leaves.length;
        bytes32[] memory sorted = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            uint256 j = i;
            for (; j > 0 && sorted[j - 1] > leaves[i]; --j) {
                sorted[j] = sorted[j - 1];
            }
            sorted[j] = leaves[i];
        }

        nodes = new bytes32[](2 * count - 1);
        for (uint256 i; i < count; ++i) {
            nodes[nodes.length - 1 - i] = sorted[i];
        }
        for (uint256 i = count - 1; i > 0; --i) {
            nodes[i - 1] = Hashes.commutativeKeccak256(nodes[2 * i - 1], nodes[2 * i]);
        }
    }

    function proof(bytes32[] memory nodes, bytes32 leafHash) internal pure returns (bytes32[] memory path) {
        uint256 place = nodes.length - 1;
        while (nodes[place] != leafHash) --place;
        uint256 depth;
        for (uint256 i = place; i > 0; i = (i - 1) / 2) {
            ++depth;
        }
        path = new bytes32[](depth);
        for (uint256 k; place > 0; ++k) {
            path[k] = nodes[place % 2 == 0 ? place - 1 : place + 1];
            place = (place - 1) / 2;
        }
    }
}
