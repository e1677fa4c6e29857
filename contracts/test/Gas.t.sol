// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

import {Claim, RewardCommit} from "../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "./Base.t.sol";
import {MerkleTree} from "./MerkleTree.sol";

/// @dev Gas of whole transactions (isolated, with their base cost and calldata) against
/// OpenZeppelin's ERC-20 and a proof of 20 hashes, in the steady state: others have posted and
/// claimed before. The figures are committed in contracts/snapshots.
contract GasTest is BaseTest {
    uint256 private constant DEPTH = 20;

    /// @dev A tree of a million accounts, seen from the account's leaf.
    function bigTree(
        address account,
        uint256 cumulative
    ) private pure returns (bytes32 root, bytes32[] memory proof) {
        root = MerkleTree.leaf(account, cumulative);
        proof = new bytes32[](DEPTH);
        for (uint256 i; i < DEPTH; ++i) {
            proof[i] = keccak256(abi.encode("sibling", account, cumulative, i));
            root = Hashes.commutativeKeccak256(root, proof[i]);
        }
    }

    function setUp() public override {
        super.setUp();
        (bytes32 root, bytes32[] memory proof) = bigTree(BOB, 1 ether);
        postActive(root, 100 ether);
        vm.prank(BOB);
        distributor.claim(root, 1 ether, proof, BOB);
    }

    /// forge-config: default.isolate = true
    function test_gas_post() external {
        RewardCommit memory commit = nextCommit(keccak256("root"), 200 ether);
        warpToEndOf(commit);
        bytes memory signature = sign(commit);

        distributor.post(commit, signature);
        vm.snapshotGasLastCall("RewardDistributor", "post");
    }

    /// forge-config: default.isolate = true
    function test_gas_claim() external {
        (bytes32 root, bytes32[] memory proof) = bigTree(ALICE, 10 ether);
        postActive(root, 200 ether);
        vm.prank(ALICE);
        distributor.claim(root, 10 ether, proof, ALICE);
        vm.snapshotGasLastCall("RewardDistributor", "claim.first");

        (root, proof) = bigTree(ALICE, 20 ether);
        postActive(root, 300 ether);
        vm.prank(ALICE);
        distributor.claim(root, 20 ether, proof, ALICE);
        vm.snapshotGasLastCall("RewardDistributor", "claim.second");
    }

    /// @dev A relayer sends it for a fee, and both are paid: the dearest form of it.
    /// forge-config: default.isolate = true
    function test_gas_claimWithSignature() external {
        (address account, uint256 key) = makeAddrAndKey("account");
        (bytes32 root, bytes32[] memory proof) = bigTree(account, 10 ether);
        postActive(root, 200 ether);
        vm.prank(account);
        distributor.claim(root, 10 ether, proof, account);
        token.mint(STRANGER, 1);

        (root, proof) = bigTree(account, 20 ether);
        postActive(root, 300 ether);
        Claim memory signedClaim =
            Claim(account, root, 20 ether, account, address(0), 0.1 ether, type(uint64).max);
        bytes memory signature = signDigest(key, distributor.hashClaim(signedClaim));
        vm.prank(STRANGER);
        distributor.claimWithSignature(signedClaim, proof, signature);
        vm.snapshotGasLastCall("RewardDistributor", "claim.signature");
    }
}
