// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {Claim, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";

/// @dev The golden vectors of what the distributor checks signatures of (test/vectors/messages.json,
/// made by viem): the contract comes to the same struct hashes and digests.
contract MessageVectorsTest is BaseTest {
    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("test/vectors/messages.json");
    }

    function test_digestsAreThoseOfTheVectors() external {
        uint256 commits;
        uint256 claims;
        for (uint256 i; vm.keyExistsJson(json, at(i, "")); ++i) {
            bytes32 kind = keccak256(bytes(vm.parseJsonString(json, at(i, ".primaryType"))));
            bytes32 digest;
            if (kind == keccak256("RewardCommit")) {
                RewardCommit memory commit = commitAt(i);
                assertEq(distributor.structHash(commit), word(i, ".structHash"));
                digest = distributorAt(i).hashCommit(commit);
                commit.dataHash ^= bytes32(uint256(1));
                assertNotEq(distributorAt(i).hashCommit(commit), digest);
                ++commits;
            } else if (kind == keccak256("Claim")) {
                digest = distributorAt(i).hashClaim(claimAt(i));
                ++claims;
            } else {
                continue;
            }
            assertEq(digest, word(i, ".digest"));
        }
        assertEq(commits, 2);
        assertEq(claims, 1);
    }

    /// @dev A distributor at the vector's address on the vector's chain.
    function distributorAt(uint256 i) private returns (RewardDistributor) {
        address where = account(i, ".domain.verifyingContract");
        vm.chainId(number(i, ".domain.chainId"));
        if (where.code.length == 0) {
            deployCodeTo("RewardDistributor.sol", abi.encode(registry, defaultParams()), where);
        }
        return RewardDistributor(where);
    }

    function commitAt(uint256 i) private view returns (RewardCommit memory) {
        return RewardCommit(
            uint64(number(i, ".message.epoch")),
            uint32(number(i, ".message.revision")),
            word(i, ".message.previous"),
            word(i, ".message.root"),
            number(i, ".message.total"),
            word(i, ".message.dataHash")
        );
    }

    function claimAt(uint256 i) private view returns (Claim memory) {
        return Claim(
            account(i, ".message.account"),
            word(i, ".message.root"),
            number(i, ".message.cumulative"),
            account(i, ".message.recipient"),
            account(i, ".message.relayer"),
            number(i, ".message.relayerFee"),
            uint64(number(i, ".message.deadline"))
        );
    }

    function at(uint256 i, string memory field) private pure returns (string memory) {
        return string.concat(".messages[", vm.toString(i), "]", field);
    }

    function word(uint256 i, string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, at(i, field));
    }

    function number(uint256 i, string memory field) private view returns (uint256) {
        return vm.parseUint(vm.parseJsonString(json, at(i, field)));
    }

    function account(uint256 i, string memory field) private view returns (address) {
        return vm.parseJsonAddress(json, at(i, field));
    }
}
