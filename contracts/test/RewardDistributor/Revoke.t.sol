// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {Head, IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";

contract RevokeTest is BaseTest {
    bytes32 private constant A = keccak256("a");
    bytes32 private constant B = keccak256("b");
    bytes32 private constant C = keccak256("c");

    RewardCommit private none;

    function one(RewardCommit memory commit) private pure returns (RewardCommit[] memory down) {
        down = new RewardCommit[](1);
        down[0] = commit;
    }

    function two(
        RewardCommit memory top,
        RewardCommit memory below
    ) private pure returns (RewardCommit[] memory down) {
        down = new RewardCommit[](2);
        (down[0], down[1]) = (top, below);
    }

    function revokeAs(address caller, RewardCommit[] memory down, RewardCommit memory newHead) private {
        vm.prank(caller);
        distributor.revoke(down, newHead);
    }

    function assertHead(RewardCommit memory commit, uint64 activatesAt, uint32 revision) private view {
        Head memory head = distributor.head();
        assertEq(head.commitHash, distributor.structHash(commit));
        assertEq(head.epoch, commit.epoch);
        assertEq(head.total, commit.total);
        assertEq(head.activatesAt, activatesAt);
        assertEq(head.revision, revision);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      TAKEN BACK
    //////////////////////////////////////////////////////////////////////////*/

    function test_goesBackToTheGivenCommit() external {
        RewardCommit memory a = postActive(A, 100);
        uint64 activatesAt = distributor.head().activatesAt;
        RewardCommit memory b = postNext(B, 200);
        bytes32 bHash = distributor.structHash(b);

        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Revoked(b.epoch, B, bHash, true);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.HeadRewound(GUARDIAN, distributor.structHash(a), a.epoch, 100, activatesAt, 1);
        revokeAs(GUARDIAN, one(b), a);

        assertHead(a, activatesAt, 1);
        assertEq(distributor.commitOf(B).activatesAt, 0);
        assertTrue(distributor.isActive(A));
    }

    function test_goesBackToTheBeginning() external {
        vm.warp((CREATION_DAY + 2) * 1 days);
        RewardCommit memory a = postNext(A, 100);
        RewardCommit memory b = postNext(B, 200);
        revokeAs(OWNER, two(b, a), none);

        Head memory head = distributor.head();
        assertEq(head.commitHash, NO_COMMIT);
        assertEq(head.epoch, CREATION_DAY - 1);
        assertEq(head.total, 0);
        assertEq(head.activatesAt, 0);
        assertEq(head.revision, 1);
        assertEq(distributor.commitOf(A).activatesAt, 0);
        assertEq(distributor.commitOf(B).activatesAt, 0);
        postNext(C, 300);
        assertEq(distributor.head().epoch, CREATION_DAY);
    }

    function test_oldSignaturesDoNotComeBack() external {
        RewardCommit memory a = postNext(A, 100);
        bytes memory signature = sign(a);
        revokeAs(OWNER, one(a), none);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.WrongRevision.selector, 0, 1));
        distributor.post(a, signature);

        RewardCommit memory again = postNext(A, 100);
        assertEq(again.revision, 1);
        assertEq(distributor.commitOf(A).epoch, CREATION_DAY);
    }

    function test_aRepeatedRootStaysWithTheCommitThatBroughtIt() external {
        RewardCommit memory a = postNext(A, 100);
        uint64 activatesAt = distributor.head().activatesAt;
        RewardCommit memory repeat = postNext(A, 100);

        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Revoked(repeat.epoch, A, distributor.structHash(repeat), false);
        revokeAs(OWNER, one(repeat), a);

        assertHead(a, activatesAt, 1);
        assertEq(distributor.commitOf(A).activatesAt, activatesAt);
    }

    function test_goesBackToARepeatAndBelowIt() external {
        RewardCommit memory a = postActive(A, 100);
        uint64 aActivatesAt = distributor.head().activatesAt;
        vm.warp(vm.getBlockTimestamp() + 1 days);
        RewardCommit memory repeat = postNext(A, 100);
        uint64 activatesAt = distributor.head().activatesAt;
        RewardCommit memory b = postNext(B, 200);

        revokeAs(OWNER, one(b), repeat);
        assertHead(repeat, activatesAt, 1);

        revokeAs(OWNER, one(repeat), a);
        assertHead(a, aActivatesAt, 2);
        assertTrue(distributor.isActive(A));
    }

    function test_duringAPauseWhatHadNotBegunIsPending() external {
        RewardCommit memory a = postNext(A, 100);
        vm.warp(distributor.head().activatesAt - 1);
        vm.prank(GUARDIAN);
        distributor.pause();
        vm.warp(vm.getBlockTimestamp() + 9 days);
        revokeAs(GUARDIAN, one(a), none);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        assertFalse(distributor.isActive(A));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_calledByAnother() external {
        RewardCommit memory a = postNext(A, 100);
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.NotOwnerOrGuardian.selector, signer, OWNER, GUARDIAN)
        );
        revokeAs(signer, one(a), none);
    }

    function test_revertWhen_nothingIsGiven() external {
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.NothingToRevoke.selector));
        revokeAs(OWNER, new RewardCommit[](0), none);
    }

    function test_revertWhen_nothingWasPosted() external {
        bytes32 given = distributor.structHash(none);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.NotInChain.selector, 0, given, NO_COMMIT));
        revokeAs(OWNER, one(none), none);
    }

    function test_revertWhen_notTheHead() external {
        RewardCommit memory a = postNext(A, 100);
        RewardCommit memory b = postNext(B, 200);
        bytes32 aHash = distributor.structHash(a);
        bytes32 bHash = distributor.structHash(b);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.NotInChain.selector, 0, aHash, bHash));
        revokeAs(OWNER, one(a), none);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.NotInChain.selector, 1, bHash, aHash));
        revokeAs(OWNER, two(b, b), none);
    }

    function test_revertWhen_theNewHeadIsNotBelow() external {
        postNext(A, 100);
        RewardCommit memory b = postNext(B, 200);
        bytes32 given = distributor.structHash(none);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.WrongNewHead.selector, given, b.previous));
        revokeAs(OWNER, one(b), none);
    }

    function test_revertWhen_active() external {
        RewardCommit memory a = postActive(A, 100);
        uint64 activatesAt = distributor.head().activatesAt;
        RewardCommit memory b = postNext(B, 200);
        bytes memory reason = abi.encodeWithSelector(
            IRewardDistributor.CommitActive.selector,
            distributor.structHash(a),
            activatesAt,
            vm.getBlockTimestamp()
        );
        vm.expectRevert(reason);
        revokeAs(OWNER, two(b, a), none);
    }

    function test_revertWhen_theRepeatIsActive() external {
        RewardCommit memory a = postActive(A, 100);
        RewardCommit memory repeat = postActive(A, 100);
        bytes memory reason = abi.encodeWithSelector(
            IRewardDistributor.CommitActive.selector,
            distributor.structHash(repeat),
            distributor.head().activatesAt,
            vm.getBlockTimestamp()
        );
        vm.expectRevert(reason);
        revokeAs(OWNER, one(repeat), a);
    }

    function test_revertWhen_activeSinceBeforeThePause() external {
        RewardCommit memory a = postActive(A, 100);
        uint64 activatesAt = distributor.head().activatesAt;
        bytes32 aHash = distributor.structHash(a);
        vm.prank(OWNER);
        distributor.pause();
        vm.warp(vm.getBlockTimestamp() + 1 days);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.CommitActive.selector, aHash, activatesAt, activatesAt)
        );
        revokeAs(OWNER, one(a), none);
    }
}
