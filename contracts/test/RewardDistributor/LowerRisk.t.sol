// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";

contract DisableSignerTest is BaseTest {
    function test_endsAllSignaturesNotYetPosted() external {
        vm.expectEmit(address(distributor));
        emit IDistributorControl.SignerDisabled(GUARDIAN, signer, 1);
        vm.prank(GUARDIAN);
        distributor.disableSigner();
        assertEq(distributor.signer(), address(0));
        assertEq(distributor.head().revision, 1);
    }

    function test_doesNotTouchWhatWasPosted() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(1, 2);
        postNext(root, 3);
        vm.prank(OWNER);
        distributor.disableSigner();
        vm.warp(distributor.head().activatesAt);
        vm.prank(ALICE);
        distributor.claim(root, 1, proof, ALICE);
    }

    function test_revertWhen_calledByAnother() external {
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.NotOwnerOrGuardian.selector, STRANGER, OWNER, GUARDIAN)
        );
        vm.prank(STRANGER);
        distributor.disableSigner();
    }

    function test_revertWhen_disabledAlready() external {
        vm.startPrank(OWNER);
        distributor.disableSigner();
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.SignerIsDisabled.selector));
        distributor.disableSigner();
    }
}

contract LowerQuotaTest is BaseTest {
    // Days of a test fit.
    // forge-lint: disable-next-line(unsafe-typecast)
    uint64 private constant TOMORROW = uint64(CREATION_DAY) + 1;

    function test_lowers() external {
        vm.expectEmit(address(distributor));
        emit IDistributorControl.QuotaLowered(QUOTA, 5, TOMORROW);
        vm.prank(OWNER);
        distributor.lowerQuota(5);
        assertEq(distributor.quotaOf(TOMORROW - 1), QUOTA);
        assertEq(distributor.quotaOf(TOMORROW), 5);
        assertEq(distributor.dailyQuota(), QUOTA);

        // The present day's commit may add what it could when the day began.
        postNext(keccak256("root"), QUOTA);
        assertEq(distributor.dailyQuota(), 5);
        RewardCommit memory commit = nextCommit(keccak256("root 2"), QUOTA + 6);
        warpToEndOf(commit);
        bytes memory signature = sign(commit);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.QuotaExceeded.selector, 6, 5));
        distributor.post(commit, signature);
        postNext(keccak256("root 2"), QUOTA + 5);
    }

    /// @dev The signer signed within the quota; nobody makes that commit impossible afterwards.
    function test_aSignedCommitIsNotStranded() external {
        RewardCommit memory commit = nextCommit(keccak256("root"), QUOTA);
        warpToEndOf(commit);
        bytes memory signature = sign(commit);
        vm.prank(OWNER);
        distributor.lowerQuota(5);
        vm.warp(vm.getBlockTimestamp() + 5 days);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDistributorControl.EarlierDaysNotPosted.selector, TOMORROW - 1, TOMORROW + 1
            )
        );
        vm.prank(OWNER);
        distributor.lowerQuota(4);
        distributor.post(commit, signature);

        // The day on which it was lowered is missing still.
        postNext(keccak256("root 2"), 2 * QUOTA);
        vm.prank(OWNER);
        distributor.lowerQuota(4);
        assertEq(distributor.dailyQuota(), 5);
    }

    function test_isLoweredTwiceOnOneDay() external {
        vm.startPrank(OWNER);
        distributor.lowerQuota(5);
        distributor.lowerQuota(4);
        assertEq(distributor.quotaOf(TOMORROW - 1), QUOTA);
        assertEq(distributor.quotaOf(TOMORROW), 4);
    }

    function test_aRaiseDoesNotTouchTheDaysBefore() external {
        bytes memory call = abi.encodeCall(IDistributorControl.raiseQuota, (6));
        queueAndWait(call);
        uint64 from = uint64(vm.getBlockTimestamp() / 1 days + 1);
        vm.prank(OWNER);
        distributor.lowerQuota(5);
        executeCall(call);
        assertEq(distributor.quotaOf(from - 1), QUOTA);
        assertEq(distributor.quotaOf(from), 6);
    }

    function test_revertWhen_notLower() external {
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.QuotaNotLower.selector, QUOTA, QUOTA));
        vm.prank(OWNER);
        distributor.lowerQuota(QUOTA);
    }

    function test_revertWhen_calledByAnother() external {
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, GUARDIAN, OWNER));
        vm.prank(GUARDIAN);
        distributor.lowerQuota(5);
    }
}

contract RaiseDelayTest is BaseTest {
    function test_raises() external {
        vm.expectEmit(address(distributor));
        emit IDistributorControl.DelayRaised(DELAY, 2 days);
        vm.prank(OWNER);
        distributor.raiseDelay(2 days);
        assertEq(distributor.delay(), 2 days);

        postNext(keccak256("root"), 1);
        assertEq(distributor.head().activatesAt, vm.getBlockTimestamp() + 2 days);
    }

    function test_revertWhen_notHigher() external {
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.DelayNotHigher.selector, DELAY, DELAY));
        vm.prank(OWNER);
        distributor.raiseDelay(DELAY);
    }

    function test_revertWhen_outOfBounds() external {
        vm.expectRevert(
            abi.encodeWithSelector(
                IDistributorControl.DelayOutOfBounds.selector, 14 days + 1, 24 hours, 14 days
            )
        );
        vm.prank(OWNER);
        distributor.raiseDelay(14 days + 1);
    }

    function test_revertWhen_calledByAnother() external {
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, GUARDIAN, OWNER));
        vm.prank(GUARDIAN);
        distributor.raiseDelay(2 days);
    }

    /// @dev The owner is the registry's, also after the project changed hands.
    function test_theOwnerIsTheRegistrys() external {
        vm.prank(OWNER);
        registry.transferProject(address(distributor), STRANGER);
        vm.prank(STRANGER);
        registry.acceptProject(address(distributor));

        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, OWNER, STRANGER));
        vm.prank(OWNER);
        distributor.raiseDelay(2 days);
        vm.prank(STRANGER);
        distributor.raiseDelay(2 days);
    }
}

contract PauseTest is BaseTest {
    function test_endsByItself() external {
        uint64 from = uint64(vm.getBlockTimestamp());
        vm.expectEmit(address(distributor));
        emit IDistributorControl.Paused(GUARDIAN, from, from + 10 days);
        vm.prank(GUARDIAN);
        distributor.pause();

        (uint64 begins, uint64 until) = distributor.pauseWindow();
        assertEq(begins, from);
        assertEq(until, from + 10 days);
        assertTrue(distributor.guardianPauseSpent());
        vm.warp(until - 1);
        assertTrue(distributor.isPaused());
        assertEq(distributor.activeUntil(), from);
        vm.warp(until);
        assertFalse(distributor.isPaused());
        assertEq(distributor.activeUntil(), until);
    }

    function test_theOwnerExtendsAndKeepsTheBeginning() external {
        uint64 from = uint64(vm.getBlockTimestamp());
        vm.prank(GUARDIAN);
        distributor.pause();
        vm.warp(from + 9 days);
        vm.expectEmit(address(distributor));
        emit IDistributorControl.Paused(OWNER, from, from + 19 days);
        vm.prank(OWNER);
        distributor.pause();
        assertEq(distributor.activeUntil(), from);
    }

    function test_aLaterPauseBeginsAnew() external {
        vm.startPrank(OWNER);
        distributor.pause();
        vm.warp(vm.getBlockTimestamp() + 10 days);
        distributor.pause();
        assertEq(distributor.activeUntil(), vm.getBlockTimestamp());
    }

    function test_revertWhen_theGuardianHasPaused_untilTheOwnerRenews() external {
        vm.prank(GUARDIAN);
        distributor.pause();
        vm.warp(vm.getBlockTimestamp() + 20 days);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.GuardianPauseSpent.selector, GUARDIAN));
        vm.prank(GUARDIAN);
        distributor.pause();

        vm.expectEmit(address(distributor));
        emit IDistributorControl.GuardianPauseRenewed(GUARDIAN);
        vm.prank(OWNER);
        distributor.renewGuardianPause();
        vm.prank(GUARDIAN);
        distributor.pause();
        assertTrue(distributor.isPaused());
    }

    function test_anOwnerThatIsTheGuardianPausesAgain() external {
        makeCall(abi.encodeCall(IDistributorControl.setGuardian, (OWNER)));
        vm.startPrank(OWNER);
        distributor.pause();
        assertFalse(distributor.guardianPauseSpent());
        vm.warp(vm.getBlockTimestamp() + 20 days);
        distributor.pause();
        assertTrue(distributor.isPaused());
    }

    function test_revertWhen_calledByAnother() external {
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.NotOwnerOrGuardian.selector, STRANGER, OWNER, GUARDIAN)
        );
        vm.prank(STRANGER);
        distributor.pause();
    }

    function test_renew_revertWhen_notSpent() external {
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.GuardianPauseNotSpent.selector, GUARDIAN));
        vm.prank(OWNER);
        distributor.renewGuardianPause();
    }

    function test_renew_revertWhen_calledByAnother() external {
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, GUARDIAN, OWNER));
        vm.prank(GUARDIAN);
        distributor.renewGuardianPause();
    }
}
