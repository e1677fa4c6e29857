// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {TimelockTest} from "./TimelockBase.sol";

contract SetSignerTest is TimelockTest {
    function test_replaces() external {
        (address newSigner, uint256 newKey) = makeAddrAndKey("new signer");
        RewardCommit memory early = nextCommit(keccak256("root"), 1);
        bytes memory signature = sign(early);
        queueAndWait(setSignerCall(newSigner));
        vm.expectEmit(address(distributor));
        emit IDistributorControl.SignerSet(signer, newSigner, 1);
        vm.prank(OWNER);
        distributor.setSigner(newSigner);

        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.WrongRevision.selector, 0, 1));
        distributor.post(early, signature);
        signerKey = newKey;
        postNext(keccak256("root"), 1);
    }

    function test_enablesASignerAgain() external {
        RewardCommit memory early = nextCommit(keccak256("root"), 1);
        bytes memory signature = sign(early);
        vm.prank(GUARDIAN);
        distributor.disableSigner();
        queueAndWait(setSignerCall(signer));
        vm.expectEmit(address(distributor));
        emit IDistributorControl.SignerSet(address(0), signer, 2);
        executeCall(setSignerCall(signer));

        // What it signed before is of no use.
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.WrongRevision.selector, 0, 2));
        distributor.post(early, signature);
        postNext(keccak256("root"), 1);
    }

    function test_revertWhen_zero() external {
        queueAndWait(setSignerCall(address(0)));
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.InvalidSigner.selector, address(0)));
        vm.prank(OWNER);
        distributor.setSigner(address(0));
    }

    function test_revertWhen_notQueued() external {
        refuseUnqueued(setSignerCall(ALICE));
    }
}

contract SetGuardianTest is TimelockTest {
    function test_replacesAndGivesThePauseAgain() external {
        vm.prank(GUARDIAN);
        distributor.pause();
        queueAndWait(setGuardianCall(ALICE));
        vm.expectEmit(address(distributor));
        emit IDistributorControl.GuardianSet(GUARDIAN, ALICE);
        executeCall(setGuardianCall(ALICE));
        assertEq(distributor.guardian(), ALICE);
        assertFalse(distributor.guardianPauseSpent());
        vm.prank(ALICE);
        distributor.pause();
        assertTrue(distributor.guardianPauseSpent());
    }

    function test_zeroIsNone() external {
        makeCall(setGuardianCall(address(0)));
        assertEq(distributor.guardian(), address(0));
        vm.expectRevert(
            abi.encodeWithSelector(
                IDistributorControl.NotOwnerOrGuardian.selector, GUARDIAN, OWNER, address(0)
            )
        );
        vm.prank(GUARDIAN);
        distributor.pause();
    }

    function test_revertWhen_notQueued() external {
        refuseUnqueued(setGuardianCall(ALICE));
    }
}

contract RaiseQuotaTest is TimelockTest {
    function call(uint128 quota) private pure returns (bytes memory) {
        return abi.encodeCall(IDistributorControl.raiseQuota, (quota));
    }

    function test_raises() external {
        queueAndWait(call(QUOTA + 1));
        vm.expectEmit(address(distributor));
        emit IDistributorControl.QuotaRaised(QUOTA, QUOTA + 1);
        executeCall(call(QUOTA + 1));
        assertEq(distributor.dailyQuota(), QUOTA + 1);
        postNext(keccak256("root"), QUOTA + 1);
    }

    function test_revertWhen_notHigher() external {
        queueAndWait(call(QUOTA));
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.QuotaNotHigher.selector, QUOTA, QUOTA));
        vm.prank(OWNER);
        distributor.raiseQuota(QUOTA);
    }

    function test_revertWhen_notQueued() external {
        refuseUnqueued(call(QUOTA + 1));
    }
}

contract LowerDelayTest is TimelockTest {
    function call(uint64 value) private pure returns (bytes memory) {
        return abi.encodeCall(IDistributorControl.lowerDelay, (value));
    }

    function setUp() public override {
        super.setUp();
        vm.prank(OWNER);
        distributor.raiseDelay(5 days);
    }

    function test_lowers() external {
        queueAndWait(call(2 days));
        vm.expectEmit(address(distributor));
        emit IDistributorControl.DelayLowered(5 days, 2 days);
        executeCall(call(2 days));
        assertEq(distributor.delay(), 2 days);
    }

    function refuse(uint64 value, bytes memory reason) private {
        queueAndWait(call(value));
        vm.expectRevert(reason);
        vm.prank(OWNER);
        distributor.lowerDelay(value);
    }

    /// @dev Whoever relies on the delay hears of its end as long before.
    function test_waitsForTheDelayThatEnds() external {
        vm.prank(OWNER);
        distributor.raiseDelay(14 days);
        queueCall(call(2 days));
        (uint64 readyAt,) = distributor.queuedCall(call(2 days));
        assertEq(readyAt, time() + 14 days);
        queueCall(setSignerCall(ALICE));
        (readyAt,) = distributor.queuedCall(setSignerCall(ALICE));
        assertEq(readyAt, time() + TIMELOCK);
    }

    function test_revertWhen_notLower() external {
        refuse(5 days, abi.encodeWithSelector(IDistributorControl.DelayNotLower.selector, 5 days, 5 days));
    }

    function test_revertWhen_outOfBounds() external {
        refuse(
            24 hours - 1,
            abi.encodeWithSelector(
                IDistributorControl.DelayOutOfBounds.selector, 24 hours - 1, 24 hours, 14 days
            )
        );
    }

    function test_revertWhen_notQueued() external {
        refuseUnqueued(call(2 days));
    }
}

contract TimelockLengthTest is TimelockTest {
    function call(uint64 value) private pure returns (bytes memory) {
        return abi.encodeCall(IDistributorControl.lowerTimelock, (value));
    }

    function outOfBounds(uint64 value) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(IDistributorControl.TimelockOutOfBounds.selector, value, 2 days, 30 days);
    }

    function test_isRaisedAtOnce() external {
        bytes memory waiting = setSignerCall(ALICE);
        queueCall(waiting);
        (uint64 readyAt,) = distributor.queuedCall(waiting);
        vm.expectEmit(address(distributor));
        emit IDistributorControl.TimelockRaised(TIMELOCK, 30 days);
        vm.prank(OWNER);
        distributor.raiseTimelock(30 days);
        assertEq(distributor.timelock(), 30 days);

        // What is queued keeps its wait.
        (uint64 still,) = distributor.queuedCall(waiting);
        assertEq(still, readyAt);
        queueCall(setSignerCall(BOB));
        (readyAt,) = distributor.queuedCall(setSignerCall(BOB));
        assertEq(readyAt, time() + 30 days);
    }

    function test_isLoweredBehindItself() external {
        queueAndWait(call(2 days));
        vm.expectEmit(address(distributor));
        emit IDistributorControl.TimelockLowered(TIMELOCK, 2 days);
        executeCall(call(2 days));
        assertEq(distributor.timelock(), 2 days);
    }

    function test_onTheDevChainItMayBeZero() external {
        vm.chainId(31_337);
        makeCall(call(0));
        makeCall(setSignerCall(ALICE));
        assertEq(distributor.signer(), ALICE);
    }

    function test_revertWhen_notHigher() external {
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.TimelockNotHigher.selector, TIMELOCK, TIMELOCK)
        );
        vm.prank(OWNER);
        distributor.raiseTimelock(TIMELOCK);
    }

    function test_revertWhen_notLower() external {
        queueAndWait(call(TIMELOCK));
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.TimelockNotLower.selector, TIMELOCK, TIMELOCK)
        );
        vm.prank(OWNER);
        distributor.lowerTimelock(TIMELOCK);
    }

    function test_revertWhen_outOfBounds() external {
        vm.expectRevert(outOfBounds(30 days + 1));
        vm.prank(OWNER);
        distributor.raiseTimelock(30 days + 1);
        queueAndWait(call(2 days - 1));
        vm.expectRevert(outOfBounds(2 days - 1));
        vm.prank(OWNER);
        distributor.lowerTimelock(2 days - 1);
    }

    function test_revertWhen_notQueuedOrByAnother() external {
        refuseUnqueued(call(2 days));
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, GUARDIAN, OWNER));
        vm.prank(GUARDIAN);
        distributor.raiseTimelock(30 days);
    }
}

contract WithdrawUnallocatedTest is TimelockTest {
    function call(address recipient, uint256 amount) private pure returns (bytes memory) {
        return abi.encodeCall(IDistributorControl.withdrawUnallocated, (recipient, amount));
    }

    function refuse(address recipient, uint256 amount, bytes memory reason) private {
        queueAndWait(call(recipient, amount));
        vm.expectRevert(reason);
        vm.prank(OWNER);
        distributor.withdrawUnallocated(recipient, amount);
    }

    function test_takesWhatIsOwedToNobody() external {
        (bytes32 root, bytes32[] memory aliceProof, bytes32[] memory bobProof) = treeOf(30 ether, 70 ether);
        postActive(root, 100 ether);
        vm.prank(ALICE);
        distributor.claim(root, 30 ether, aliceProof, ALICE);
        assertEq(distributor.unallocated(), FUNDS - 100 ether);

        queueAndWait(call(STRANGER, FUNDS - 100 ether));
        vm.expectEmit(address(distributor));
        emit IDistributorControl.UnallocatedWithdrawn(STRANGER, FUNDS - 100 ether);
        executeCall(call(STRANGER, FUNDS - 100 ether));
        assertEq(token.balanceOf(STRANGER), FUNDS - 100 ether);
        assertEq(distributor.unallocated(), 0);

        vm.prank(BOB);
        distributor.claim(root, 70 ether, bobProof, BOB);
        assertEq(token.balanceOf(address(distributor)), 0);
    }

    function test_countsAtTheTimeOfTheCall() external {
        queueCall(call(OWNER, FUNDS));
        postNext(keccak256("root"), QUOTA);
        vm.warp(time() + TIMELOCK);
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.InsufficientUnallocated.selector, FUNDS, FUNDS - QUOTA)
        );
        vm.prank(OWNER);
        distributor.withdrawUnallocated(OWNER, FUNDS);
    }

    /// @dev A token that shrinks balances leaves less than is owed; then nothing is unallocated.
    function test_aShortfallLeavesNothing() external {
        postNext(keccak256("root"), 100);
        vm.prank(address(distributor));
        assertTrue(token.transfer(STRANGER, FUNDS - 99));
        assertEq(distributor.unallocated(), 0);
        refuse(OWNER, 1, abi.encodeWithSelector(IDistributorControl.InsufficientUnallocated.selector, 1, 0));
    }

    function test_revertWhen_theRecipientIsZeroOrTheDistributor() external {
        address[2] memory bad = [address(0), address(distributor)];
        for (uint256 i; i < 2; ++i) {
            refuse(bad[i], 1, abi.encodeWithSelector(IDistributorControl.InvalidRecipient.selector, bad[i]));
        }
    }

    function test_revertWhen_notQueued() external {
        refuseUnqueued(call(OWNER, 1));
    }
}
