// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";

/// @dev A timelocked call, and words for it.
abstract contract TimelockTest is BaseTest {
    function setSignerCall(address newSigner) internal pure returns (bytes memory) {
        return abi.encodeCall(IDistributorControl.setSigner, (newSigner));
    }

    function setGuardianCall(address newGuardian) internal pure returns (bytes memory) {
        return abi.encodeCall(IDistributorControl.setGuardian, (newGuardian));
    }

    function time() internal view returns (uint64) {
        // Fits for longer than the sun will shine.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(vm.getBlockTimestamp());
    }

    /// @dev Refused because nobody queued the call, whoever the caller.
    function refuseUnqueued(bytes memory call) internal {
        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotQueued.selector, keccak256(call)));
        (bool reverted,) = address(distributor).call(call);
        assertTrue(reverted);
        vm.prank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, GUARDIAN, OWNER));
        (reverted,) = address(distributor).call(call);
        assertTrue(reverted);
    }
}

contract QueueTest is TimelockTest {
    function test_opensTheCallAfterTheTimelock() external {
        bytes memory call = setSignerCall(ALICE);
        bytes4 selector = IDistributorControl.setSigner.selector;
        uint64 readyAt = time() + TIMELOCK;
        vm.expectEmit(address(distributor));
        emit IDistributorControl.CallQueued(keccak256(call), selector, call, readyAt, readyAt + GRACE);
        queueCall(call);
        (uint64 from, uint64 until) = distributor.queuedCall(call);
        assertEq(from, readyAt);
        assertEq(until, readyAt + GRACE);

        vm.warp(readyAt - 1);
        vm.startPrank(OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDistributorControl.NotReady.selector, keccak256(call), readyAt, readyAt - 1
            )
        );
        distributor.setSigner(ALICE);
        vm.warp(readyAt);
        vm.expectEmit(address(distributor));
        emit IDistributorControl.CallExecuted(keccak256(call), selector);
        distributor.setSigner(ALICE);

        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotQueued.selector, keccak256(call)));
        distributor.setSigner(ALICE);
        (from, until) = distributor.queuedCall(call);
        assertEq(from + until, 0);
    }

    function test_closesItAfterTheGrace() external {
        bytes memory call = setSignerCall(ALICE);
        queueCall(call);
        uint64 expiresAt = time() + TIMELOCK + GRACE;
        vm.warp(expiresAt);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDistributorControl.QueueExpired.selector, keccak256(call), expiresAt, expiresAt
            )
        );
        vm.prank(OWNER);
        distributor.setSigner(ALICE);

        // It can be queued again, with its own wait.
        queueCall(call);
        vm.warp(expiresAt + TIMELOCK + GRACE - 1);
        vm.prank(OWNER);
        distributor.setSigner(ALICE);
        assertEq(distributor.signer(), ALICE);
    }

    function test_anotherArgumentIsAnotherCall() external {
        queueAndWait(setSignerCall(ALICE));
        refuseUnqueued(setSignerCall(BOB));
    }

    /// @dev Bytes behind the arguments change nothing: one call can neither wait twice nor escape a cancel.
    function test_bytesBehindTheArgumentsAreLeftOut() external {
        bytes[2] memory calls =
            [setSignerCall(ALICE), abi.encodeCall(IDistributorControl.withdrawUnallocated, (OWNER, 1))];
        for (uint256 i; i < calls.length; ++i) {
            bytes memory call = calls[i];
            bytes memory longer = bytes.concat(call, hex"00ff");
            bytes32 callHash = keccak256(call);
            uint64 readyAt = time() + TIMELOCK;
            vm.expectEmit(address(distributor));
            // The selector is what is meant.
            // forge-lint: disable-next-line(unsafe-typecast)
            emit IDistributorControl.CallQueued(callHash, bytes4(call), call, readyAt, readyAt + GRACE);
            queueCall(longer);
            (uint64 from,) = distributor.queuedCall(call);
            (uint64 longerFrom,) = distributor.queuedCall(longer);
            assertEq(from, readyAt);
            assertEq(longerFrom, readyAt);
            vm.expectRevert(
                abi.encodeWithSelector(IDistributorControl.QueuedAlready.selector, callHash, readyAt)
            );
            queueCall(call);

            vm.prank(GUARDIAN);
            distributor.cancel(bytes.concat(longer, hex"11"));
            refuseUnqueued(call);
            queueAndWait(call);
            executeCall(longer);
        }
    }

    /// @dev Such a call can be queued, but never made: its arguments are missing.
    function test_aCallThatIsTooShortIsNeverMade() external {
        bytes memory short = bytes.concat(IDistributorControl.setSigner.selector, hex"01");
        queueAndWait(short);
        vm.prank(OWNER);
        (bool success,) = address(distributor).call(short);
        assertFalse(success);
    }

    /// @dev A stolen owner key that sells the project cannot leave a call behind.
    function test_onlyTheOwnerOfTheDayMakesTheCall() external {
        queueCall(setSignerCall(ALICE));
        vm.prank(OWNER);
        registry.transferProject(address(distributor), BOB);
        vm.prank(BOB);
        registry.acceptProject(address(distributor));
        vm.warp(time() + TIMELOCK);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, OWNER, BOB));
        vm.prank(OWNER);
        distributor.setSigner(ALICE);
    }

    function test_revertWhen_queuedAlready() external {
        bytes memory call = setSignerCall(ALICE);
        queueCall(call);
        uint64 readyAt = time() + TIMELOCK;
        vm.warp(readyAt + GRACE - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.QueuedAlready.selector, keccak256(call), readyAt)
        );
        queueCall(call);
    }

    function test_revertWhen_theCallNeedNotWait() external {
        bytes[4] memory calls = [
            bytes(""),
            hex"12",
            abi.encodeCall(IDistributorControl.pause, ()),
            abi.encodeCall(IDistributorControl.lowerQuota, (1))
        ];
        for (uint256 i; i < calls.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IDistributorControl.NotTimelocked.selector, bytes4(calls[i]))
            );
            queueCall(calls[i]);
        }
    }

    function test_revertWhen_notTheOwner() external {
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, GUARDIAN, OWNER));
        vm.prank(GUARDIAN);
        distributor.queue(setSignerCall(ALICE));
    }
}

contract CancelTest is TimelockTest {
    function test_theGuardianCancelsAllButItsReplacement() external {
        bytes[5] memory calls = [
            setSignerCall(ALICE),
            abi.encodeCall(IDistributorControl.raiseQuota, (QUOTA + 1)),
            abi.encodeCall(IDistributorControl.lowerDelay, (1)),
            abi.encodeCall(IDistributorControl.lowerTimelock, (1)),
            abi.encodeCall(IDistributorControl.withdrawUnallocated, (OWNER, 1))
        ];
        for (uint256 i; i < calls.length; ++i) {
            queueCall(calls[i]);
            vm.expectEmit(address(distributor));
            emit IDistributorControl.CallCancelled(keccak256(calls[i]), bytes4(calls[i]), GUARDIAN);
            vm.prank(GUARDIAN);
            distributor.cancel(calls[i]);
            refuseUnqueued(calls[i]);
        }

        queueCall(setGuardianCall(ALICE));
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.GuardianReplacement.selector, GUARDIAN));
        vm.prank(GUARDIAN);
        distributor.cancel(setGuardianCall(ALICE));
    }

    function test_theOwnerCancelsAll() external {
        queueCall(setGuardianCall(ALICE));
        vm.prank(OWNER);
        distributor.cancel(setGuardianCall(ALICE));
        refuseUnqueued(setGuardianCall(ALICE));
    }

    /// @dev Then the owner decides, since it is the guardian that would be replaced by itself.
    function test_anOwnerThatIsTheGuardianCancelsToo() external {
        makeCall(setGuardianCall(OWNER));
        queueCall(setGuardianCall(ALICE));
        vm.prank(OWNER);
        distributor.cancel(setGuardianCall(ALICE));
    }

    function test_revertWhen_notQueued() external {
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.NotQueued.selector, keccak256(setSignerCall(ALICE)))
        );
        vm.prank(GUARDIAN);
        distributor.cancel(setSignerCall(ALICE));
    }

    function test_revertWhen_calledByAnother() external {
        queueCall(setSignerCall(ALICE));
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.NotOwnerOrGuardian.selector, STRANGER, OWNER, GUARDIAN)
        );
        vm.prank(STRANGER);
        distributor.cancel(setSignerCall(ALICE));
    }
}

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
