// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {TimelockTest} from "./TimelockBase.sol";

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
