// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {MerkleTree} from "../MerkleTree.sol";

/// @dev The scenario: the project has paid honestly, Bob has 60 of an active root still to claim,
/// and a day of 100 is committed and pending. At noon the thief has the signer's key. Each day it posts
/// a tree that gives all to itself, as much as the quota lets it. What it costs, with no one watching, with
/// a watcher of the owner's, and with the guardian; and what a stolen guardian can do.
contract StolenSignerTest is BaseTest {
    address private immutable THIEF = makeAddr("thief");

    bytes32 private activeRoot;
    bytes32[] private bobProof;
    RewardCommit private active;
    RewardCommit private pending;
    uint256 private stolenAt;

    function setUp() public override {
        super.setUp();
        bytes32[] memory aliceProof;
        (activeRoot, aliceProof, bobProof) = treeOf(40 ether, 60 ether);
        active = postActive(activeRoot, 100 ether);
        vm.prank(ALICE);
        distributor.claim(activeRoot, 40 ether, aliceProof, ALICE);
        (bytes32 pendingRoot,,) = treeOf(80 ether, 120 ether);
        pending = postNext(pendingRoot, 200 ether);
        vm.warp(vm.getBlockTimestamp() + 12 hours);
        stolenAt = vm.getBlockTimestamp();
    }

    /// @dev The thief's commit for the next day, as soon as the day is over: all the quota, to itself.
    function steal() private returns (RewardCommit memory commit) {
        uint256 total = distributor.head().total + QUOTA;
        // All that could ever be paid, in one leaf: the contract pays no more than the total.
        commit = postNext(MerkleTree.leaf(THIEF, total - distributor.paid()), total);
    }

    function loot(RewardCommit memory commit) private {
        uint256 all = commit.total - distributor.paid();
        vm.prank(THIEF);
        distributor.claim(commit.root, all, new bytes32[](0), THIEF);
    }

    function bobClaims() private {
        vm.prank(BOB);
        distributor.claim(activeRoot, 60 ether, bobProof, BOB);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                   NO ONE IS WATCHING
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Lost, once the delay has passed: all that is committed and unclaimed, plus one quota, and
    /// one quota more for each further day. Never more, and not before the delay.
    function test_unwatched_losesTheUnclaimedAndAQuotaADay() external {
        RewardCommit memory first = steal();
        uint256 postedAt = vm.getBlockTimestamp();
        assertGe(postedAt, stolenAt);
        vm.expectPartialRevert(IRewardDistributor.RootNotActive.selector);
        this.lootOutside(first);

        vm.warp(postedAt + DELAY);
        uint256 unclaimed = 200 ether - 40 ether;
        loot(first);
        assertEq(token.balanceOf(THIEF), unclaimed + QUOTA);

        // Bob's active root still stands, but what covered it is gone.
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.ActiveTotalExceeded.selector, 60 ether, 0));
        this.bobClaimsOutside();

        for (uint256 day = 2; day < 5; ++day) {
            uint256 total = distributor.head().total + QUOTA;
            RewardCommit memory next = postNext(MerkleTree.leaf(THIEF, total - 40 ether), total);
            vm.warp(distributor.head().activatesAt);
            vm.prank(THIEF);
            distributor.claim(next.root, total - 40 ether, new bytes32[](0), THIEF);
            assertEq(token.balanceOf(THIEF), unclaimed + day * QUOTA);
        }
        assertEq(token.balanceOf(address(distributor)), FUNDS - 40 ether - unclaimed - 4 * QUOTA);
    }

    function lootOutside(RewardCommit calldata commit) external {
        loot(commit);
    }

    function bobClaimsOutside() external {
        bobClaims();
    }

    /*//////////////////////////////////////////////////////////////////////////
                                  A WATCHER OF THE OWNER'S
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev It recomputes each post and has the whole delay for it. Nothing is lost: the owner disables
    /// the signer and revokes the thief's commits; the honest pending day stays.
    function test_watched_losesNothing() external {
        RewardCommit memory bad = steal();
        vm.warp(vm.getBlockTimestamp() + DELAY - 1);
        RewardCommit[] memory down = new RewardCommit[](1);
        down[0] = bad;
        vm.startPrank(OWNER);
        distributor.disableSigner();
        distributor.revoke(down, pending);
        vm.stopPrank();
        thiefIsDone(bad);
        bobClaims();

        // After the timelock a new signer goes on from the honest head.
        (address newSigner, uint256 newKey) = makeAddrAndKey("new signer");
        makeCall(abi.encodeCall(IDistributorControl.setSigner, (newSigner)));
        signerKey = newKey;
        (bytes32 root, bytes32[] memory aliceProof,) = treeOf(90 ether, 140 ether);
        postActive(root, 230 ether);
        vm.prank(ALICE);
        assertEq(distributor.claim(root, 90 ether, aliceProof, ALICE), 50 ether);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      THE GUARDIAN
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev With the owner away the guardian does the same, by itself and at once; a pause gives ten
    /// more days to whoever needs them.
    function test_guarded_losesNothing() external {
        vm.prank(OWNER);
        distributor.raiseDelay(3 days);
        RewardCommit memory first = steal();
        RewardCommit memory second = steal();
        vm.startPrank(GUARDIAN);
        distributor.pause();
        vm.warp(vm.getBlockTimestamp() + 10 days - 1);
        vm.stopPrank();
        vm.expectPartialRevert(IRewardDistributor.RootNotActive.selector);
        this.lootOutside(first);
        vm.startPrank(GUARDIAN);
        distributor.disableSigner();
        RewardCommit[] memory down = new RewardCommit[](2);
        (down[0], down[1]) = (second, first);
        distributor.revoke(down, pending);
        vm.stopPrank();
        vm.warp(vm.getBlockTimestamp() + 1);
        thiefIsDone(first);
        bobClaims();
    }

    /// @dev Neither what it posted nor what it signed and kept back is of any use.
    function thiefIsDone(RewardCommit memory posted) private {
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.UnknownRoot.selector, posted.root));
        this.lootOutside(posted);
        RewardCommit memory next = nextCommit(posted.root, posted.total);
        warpToEndOf(next);
        bytes memory signature = sign(next);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.SignerIsDisabled.selector));
        distributor.post(next, signature);
        signature = sign(posted);
        vm.expectPartialRevert(IRewardDistributor.WrongRevision.selector);
        distributor.post(posted, signature);
        assertEq(token.balanceOf(THIEF), 0);
    }

    /// @dev A pause alone puts off: each day that ends meanwhile is posted after it, with its own quota.
    function test_afterAPauseAloneItHasTheBacklog() external {
        vm.prank(GUARDIAN);
        distributor.pause();
        (, uint64 until) = distributor.pauseWindow();
        vm.warp(until);
        uint256 total = distributor.head().total;
        for (uint256 i; i < 10; ++i) {
            steal();
        }
        assertEq(vm.getBlockTimestamp(), until);
        assertEq(distributor.head().total, total + 10 * QUOTA);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                   THE STOLEN GUARDIAN
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev It revokes, disables, pauses and cancels what it can. What is active is paid all the while;
    /// its pause ends by itself and does not come again; and it cannot keep its office.
    function test_aStolenGuardianOnlyDelays() external {
        bytes memory replacement = abi.encodeCall(IDistributorControl.setGuardian, (STRANGER));
        RewardCommit[] memory down = new RewardCommit[](1);
        down[0] = pending;
        vm.startPrank(GUARDIAN);
        distributor.revoke(down, active);
        distributor.disableSigner();
        distributor.pause();
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.GuardianPauseSpent.selector, GUARDIAN));
        distributor.pause();
        vm.stopPrank();
        bobClaims();

        bytes memory signerCall = abi.encodeCall(IDistributorControl.setSigner, (signer));
        queueCall(replacement);
        queueCall(signerCall);
        vm.startPrank(GUARDIAN);
        distributor.cancel(signerCall);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.GuardianReplacement.selector, GUARDIAN));
        distributor.cancel(replacement);
        vm.stopPrank();

        // With the guardian replaced, the signer is back a timelock later, and the days are caught up.
        vm.warp(vm.getBlockTimestamp() + TIMELOCK);
        executeCall(replacement);
        makeCall(signerCall);
        assertFalse(distributor.isPaused());
        assertLe(vm.getBlockTimestamp(), stolenAt + 2 * TIMELOCK);
        postNext(pending.root, 200 ether);
        vm.warp(distributor.head().activatesAt);
        (, bytes32[] memory aliceProof,) = treeOf(80 ether, 120 ether);
        vm.prank(ALICE);
        distributor.claim(pending.root, 80 ether, aliceProof, ALICE);
        assertEq(token.balanceOf(ALICE), 80 ether);
    }
}
