// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The reward tree's golden vectors (test/vectors/tree.json) as the chain verifies them: the leaf is
/// hashed here from account and cumulative amount, its path checked by OpenZeppelin's `MerkleProof`.
contract TreeVectorsTest is Test {
    struct Vector {
        address account;
        uint256 cumulative;
        bytes32[] path;
    }

    string internal json;

    function setUp() public {
        json = vm.readFile("test/vectors/tree.json");
    }

    function test_EveryProofLeadsToTheRoot() public view {
        uint256 proofs;
        for (uint256 i; caseExists(i); ++i) {
            bytes32 root = rootOf(i);
            for (uint256 j; proofExists(i, j); ++j) {
                Vector memory v = vectorOf(i, j);
                assertTrue(MerkleProof.verify(v.path, root, leafOf(v.account, v.cumulative)));
                ++proofs;
            }
        }
        // 1, 2, 3, 5 and 7 leaves in full, five of 1000 and of 4097, one of the largest amount.
        assertEq(proofs, 18 + 10 + 1);
    }

    function test_OneChangedByteFails() public view {
        for (uint256 i; caseExists(i); ++i) {
            bytes32 root = rootOf(i);
            for (uint256 j; proofExists(i, j); ++j) {
                Vector memory v = vectorOf(i, j);
                bytes32 leaf = leafOf(v.account, v.cumulative);
                assertFalse(MerkleProof.verify(v.path, root ^ bytes32(uint256(1)), leaf));
                assertFalse(MerkleProof.verify(v.path, root, leafOf(v.account, v.cumulative ^ 1)));
                assertFalse(
                    MerkleProof.verify(v.path, root, leafOf(address(uint160(v.account) ^ 1), v.cumulative))
                );
                for (uint256 k; k < v.path.length; ++k) {
                    v.path[k] ^= bytes32(uint256(1));
                    assertFalse(MerkleProof.verify(v.path, root, leaf));
                    v.path[k] ^= bytes32(uint256(1));
                }
            }
        }
    }

    function leafOf(address account, uint256 cumulative) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(account, cumulative))));
    }

    function caseExists(uint256 i) internal view returns (bool) {
        return vm.keyExistsJson(json, casePath(i));
    }

    function proofExists(uint256 i, uint256 j) internal view returns (bool) {
        return vm.keyExistsJson(json, proofPath(i, j));
    }

    function rootOf(uint256 i) internal view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(casePath(i), ".root"));
    }

    function vectorOf(uint256 i, uint256 j) internal view returns (Vector memory v) {
        string memory path = proofPath(i, j);
        v.account = vm.parseJsonAddress(json, string.concat(path, ".account"));
        v.cumulative = vm.parseJsonUint(json, string.concat(path, ".cumulative"));
        v.path = vm.parseJsonBytes32Array(json, string.concat(path, ".path"));
    }

    function casePath(uint256 i) internal pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]");
    }

    function proofPath(uint256 i, uint256 j) internal pure returns (string memory) {
        return string.concat(casePath(i), ".proofs[", vm.toString(j), "]");
    }
}
