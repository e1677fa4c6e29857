// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {NodeLicense} from "../src/NodeLicense.sol";
import {ProjectRegistry} from "../src/ProjectRegistry.sol";
import {RewardDistributor} from "../src/RewardDistributor.sol";
import {DevToken} from "../src/dev/DevToken.sol";
import {LicenseParams} from "../src/interfaces/INodeLicense.sol";
import {ProjectParams} from "../src/interfaces/IProjectRegistry.sol";
import {RewardCommit} from "../src/interfaces/IRewardDistributor.sol";
import {MerkleTree} from "./MerkleTree.sol";

/// @dev What every test begins with: a registry and one funded project on a chain that is not the
/// dev chain, at noon of the project's first day.
abstract contract BaseTest is Test {
    uint256 internal constant CREATION_DAY = 20_000;
    uint128 internal constant QUOTA = 1000 ether;
    uint64 internal constant DELAY = 24 hours;
    uint64 internal constant TIMELOCK = 7 days;
    uint64 internal constant GRACE = 14 days;
    uint64 internal constant RESERVATION_WAIT = 5 minutes;
    uint64 internal constant RESERVATION_LASTS = 7 days;
    uint256 internal constant FUNDS = 1_000_000 ether;
    bytes32 internal constant NO_COMMIT = 0;

    address internal immutable OPERATOR = makeAddr("network operator");
    address internal immutable OWNER = makeAddr("owner");
    address internal immutable GUARDIAN = makeAddr("guardian");
    address internal immutable ALICE = makeAddr("alice");
    address internal immutable BOB = makeAddr("bob");
    address internal immutable STRANGER = makeAddr("stranger");

    address internal signer;
    uint256 internal signerKey;

    ProjectRegistry internal registry;
    DevToken internal token;
    RewardDistributor internal distributor;

    function setUp() public virtual {
        vm.chainId(1);
        vm.warp(CREATION_DAY * 1 days + 12 hours);
        (signer, signerKey) = makeAddrAndKey("signer");
        registry = new ProjectRegistry(OPERATOR);
        token = new DevToken("Reward", "RWD", address(this));
        distributor = newProject(OWNER, defaultParams());
        token.mint(address(distributor), FUNDS);
    }

    function defaultParams() internal view returns (ProjectParams memory) {
        return ProjectParams({
            name: "acme",
            token: address(token),
            signer: signer,
            guardian: GUARDIAN,
            dailyQuota: QUOTA,
            delay: DELAY,
            metadataURI: "ipfs://acme",
            claimsForContracts: false,
            userSalt: bytes32(0)
        });
    }

    /// @dev The project at its address, which was reserved as long ago as it has to be.
    function newProject(
        address creator,
        ProjectParams memory params
    ) internal returns (RewardDistributor project) {
        uint256 time = vm.getBlockTimestamp();
        vm.warp(time - RESERVATION_WAIT);
        registry.reserveProject(registry.projectAddress(creator, params));
        vm.warp(time);
        vm.prank(creator);
        project = RewardDistributor(registry.createProject(params));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                     TIMELOCK
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev The owner queues the call.
    function queueCall(bytes memory call) internal {
        vm.prank(OWNER);
        distributor.queue(call);
    }

    /// @dev The owner queues the call and waits until it may be made.
    function queueAndWait(bytes memory call) internal {
        queueCall(call);
        vm.warp(vm.getBlockTimestamp() + distributor.timelock());
    }

    /// @dev The owner makes the call.
    function executeCall(bytes memory call) internal {
        vm.prank(OWNER);
        (bool success, bytes memory reason) = address(distributor).call(call);
        if (!success) {
            assembly {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }

    /// @dev The owner queues the call, waits, and makes it.
    function makeCall(bytes memory call) internal {
        queueAndWait(call);
        executeCall(call);
    }

    function newLicense(address owner) internal returns (NodeLicense) {
        return new NodeLicense(
            LicenseParams({
                name: "Acme Node",
                symbol: "ACME",
                owner: owner,
                minter: owner,
                maxSupply: 0,
                term: 0,
                lockedUntil: 0,
                royaltyReceiver: address(0),
                royaltyBps: 0
            })
        );
    }

    /*//////////////////////////////////////////////////////////////////////////
                                 COMMITS AND TREES
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev The next commit of the chain with the given tree.
    function nextCommit(bytes32 root, uint256 total) internal view returns (RewardCommit memory) {
        return RewardCommit({
            epoch: distributor.head().epoch + 1,
            revision: distributor.head().revision,
            previous: distributor.head().commitHash,
            root: root,
            total: total,
            dataHash: keccak256(abi.encode("bundle", root, total))
        });
    }

    function sign(RewardCommit memory commit) internal view returns (bytes memory) {
        return signDigest(signerKey, distributor.hashCommit(commit));
    }

    function signDigest(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev Goes to the end of the commit's day, unless that has passed.
    function warpToEndOf(RewardCommit memory commit) internal {
        uint256 endsAt = (uint256(commit.epoch) + 1) * 1 days;
        if (vm.getBlockTimestamp() < endsAt) vm.warp(endsAt);
    }

    /// @dev Posts the next commit as soon as its day is over.
    function postNext(bytes32 root, uint256 total) internal returns (RewardCommit memory commit) {
        commit = nextCommit(root, total);
        warpToEndOf(commit);
        distributor.post(commit, sign(commit));
    }

    /// @dev Posts and waits until the commit is active.
    function postActive(bytes32 root, uint256 total) internal returns (RewardCommit memory commit) {
        commit = postNext(root, total);
        vm.warp(distributor.head().activatesAt);
    }

    /// @dev The tree of alice and bob with the given cumulative amounts.
    function treeOf(
        uint256 alice,
        uint256 bob
    ) internal view returns (bytes32 root, bytes32[] memory aliceProof, bytes32[] memory bobProof) {
        bytes32[] memory leaves = new bytes32[](2);
        leaves[0] = MerkleTree.leaf(ALICE, alice);
        leaves[1] = MerkleTree.leaf(BOB, bob);
        bytes32[] memory nodes = MerkleTree.build(leaves);
        root = nodes[0];
        aliceProof = MerkleTree.proof(nodes, leaves[0]);
        bobProof = MerkleTree.proof(nodes, leaves[1]);
    }
}
