// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IProjectRegistry} from "../../src/interfaces/IProjectRegistry.sol";
import {IReleaseRegistry, ReleaseAuthority} from "../../src/interfaces/IReleaseRegistry.sol";
import {ReleaseTest} from "./ReleaseBase.t.sol";

contract SetReleaseKeyTest is ReleaseTest {
    function test_setsAtOnceUntilSomethingIsAnnounced() external {
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.ReleaseKeySet(project, ALICE, 3 days);
        vm.prank(OWNER);
        registry.setReleaseKey(project, ALICE, 3 days);
        ReleaseAuthority memory authority = registry.releaseAuthorityOf(project);
        assertEq(authority.releaseKey, ALICE);
        assertEq(authority.releaseDelay, 3 days);
        assertFalse(authority.inUse);
        assertEq(authority.nextReleaseKey, address(0));
        assertEq(authority.nextReleaseDelayFrom, 0);

        vm.prank(ALICE);
        registry.announce(project, WORKLOAD, 1, hashOf(1));
        assertTrue(registry.releaseAuthorityOf(project).inUse);
    }

    function test_dropsAWaitingDelay() external {
        vm.startPrank(OWNER);
        registry.queueReleaseDelay(project, 1 days);
        registry.setReleaseKey(project, ALICE, 3 days);
        vm.warp(time() + WAIT);
        assertEq(registry.releaseAuthorityOf(project).releaseDelay, 3 days);
    }

    function test_onTheDevChainTheDelayMayBeZero() external {
        vm.chainId(31_337);
        vm.prank(OWNER);
        registry.setReleaseKey(project, RELEASER, 0);
        announce(1);
        assertSeen(1, 1, 0, 0);
        announce(2);
        assertSeen(2, 2, 0, 0);
    }

    function test_revertWhen_somethingWasAnnounced() external {
        announce(1);
        vm.expectRevert(abi.encodeWithSelector(IReleaseRegistry.ReleaseKeyInUse.selector, project, RELEASER));
        vm.prank(OWNER);
        registry.setReleaseKey(project, ALICE, 3 days);
    }

    function test_revertWhen_zero() external {
        vm.expectRevert(abi.encodeWithSelector(IReleaseRegistry.InvalidReleaseKey.selector, address(0)));
        vm.prank(OWNER);
        registry.setReleaseKey(project, address(0), 3 days);
    }

    function test_revertWhen_theDelayIsOutOfBounds() external {
        vm.startPrank(OWNER);
        uint64[2] memory bad = [uint64(24 hours - 1), 14 days + 1];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IReleaseRegistry.ReleaseDelayOutOfBounds.selector, bad[i], 24 hours, 14 days
                )
            );
            registry.setReleaseKey(project, ALICE, bad[i]);
        }
        registry.setReleaseKey(project, ALICE, 24 hours);
        registry.setReleaseKey(project, ALICE, 14 days);
    }

    function test_revertWhen_calledByAnother() external {
        vm.expectRevert(notOwner(RELEASER));
        vm.prank(RELEASER);
        registry.setReleaseKey(project, ALICE, 3 days);
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.UnknownProject.selector, STRANGER));
        registry.setReleaseKey(STRANGER, ALICE, 3 days);
    }
}

contract QueueReleaseKeyTest is ReleaseTest {
    function setUp() public override {
        super.setUp();
        announce(1);
    }

    function queue(address key) private {
        vm.prank(OWNER);
        registry.queueReleaseKey(project, key);
    }

    function test_changesByItselfAfterSevenDays() external {
        uint64 from = time() + WAIT;
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.ReleaseKeyQueued(project, ALICE, from);
        queue(ALICE);
        ReleaseAuthority memory authority = registry.releaseAuthorityOf(project);
        assertEq(authority.nextReleaseKey, ALICE);
        assertEq(authority.nextReleaseKeyFrom, from);

        vm.warp(from - 1);
        announce(2);
        assertEq(releases().releaseKey, RELEASER);
        vm.warp(from);
        assertEq(releases().releaseKey, ALICE);
        authority = registry.releaseAuthorityOf(project);
        assertEq(authority.releaseKey, ALICE);
        assertEq(authority.nextReleaseKey, address(0));
        assertEq(authority.nextReleaseKeyFrom, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IReleaseRegistry.NotReleaseKey.selector, project, RELEASER, ALICE)
        );
        announce(3);
        vm.prank(ALICE);
        registry.announce(project, WORKLOAD, 3, hashOf(3));
        assertEq(registry.releaseAuthorityOf(project).releaseKey, ALICE);
    }

    function test_whatWasAnnouncedStays() external {
        queue(ALICE);
        vm.warp(time() + WAIT);
        assertSeen(1, 1, 0, 0);
    }

    function test_aNewOneBeginsAnotherWait() external {
        queue(ALICE);
        vm.warp(time() + WAIT - 1);
        queue(BOB);
        vm.warp(time() + WAIT - 1);
        assertEq(releases().releaseKey, RELEASER);
        vm.warp(time() + 1);
        assertEq(releases().releaseKey, BOB);
    }

    function test_ownerAndGuardianCancel() external {
        queue(ALICE);
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.ReleaseKeyCancelled(project, ALICE, GUARDIAN);
        vm.prank(GUARDIAN);
        registry.cancelReleaseKey(project);
        queue(BOB);
        vm.prank(OWNER);
        registry.cancelReleaseKey(project);
        vm.warp(time() + WAIT);
        assertEq(releases().releaseKey, RELEASER);
    }

    function test_revertWhen_nothingIsCancelled() external {
        bytes memory reason = abi.encodeWithSelector(IReleaseRegistry.NothingQueued.selector, project);
        vm.startPrank(OWNER);
        vm.expectRevert(reason);
        registry.cancelReleaseKey(project);
        registry.queueReleaseKey(project, ALICE);
        vm.warp(time() + WAIT);
        vm.expectRevert(reason);
        registry.cancelReleaseKey(project);
    }

    function test_revertWhen_zero() external {
        vm.expectRevert(abi.encodeWithSelector(IReleaseRegistry.InvalidReleaseKey.selector, address(0)));
        queue(address(0));
    }

    function test_revertWhen_calledByAnother() external {
        vm.expectRevert(notOwner(RELEASER));
        vm.prank(RELEASER);
        registry.queueReleaseKey(project, ALICE);
        vm.expectRevert(notOwnerOrGuardian(RELEASER));
        vm.prank(RELEASER);
        registry.cancelReleaseKey(project);
    }
}

contract QueueFirstReleaseKeyTest is ReleaseTest {
    function test_revertWhen_nothingWasAnnounced() external {
        vm.expectRevert(abi.encodeWithSelector(IReleaseRegistry.ReleaseKeyNotInUse.selector, project));
        vm.prank(OWNER);
        registry.queueReleaseKey(project, ALICE);
    }
}

contract DisableReleaseKeyTest is ReleaseTest {
    function test_endsAnnouncementsAtOnce() external {
        announce(1);
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.ReleaseKeyDisabled(project, RELEASER, GUARDIAN);
        vm.prank(GUARDIAN);
        registry.disableReleaseKey(project);

        vm.expectRevert(
            abi.encodeWithSelector(IReleaseRegistry.NotReleaseKey.selector, project, RELEASER, address(0))
        );
        announce(2);
        vm.warp(time() + RELEASE_DELAY);
        assertSeen(1, 1, 0, 0);
    }

    function test_aQueuedKeyStillComes() external {
        announce(1);
        vm.startPrank(OWNER);
        registry.queueReleaseKey(project, ALICE);
        registry.disableReleaseKey(project);
        vm.stopPrank();
        assertEq(releases().releaseKey, address(0));
        vm.warp(time() + WAIT);
        assertEq(releases().releaseKey, ALICE);
    }

    function test_revertWhen_thereIsNone() external {
        vm.startPrank(OWNER);
        registry.disableReleaseKey(project);
        vm.expectRevert(abi.encodeWithSelector(IReleaseRegistry.NoReleaseKey.selector, project));
        registry.disableReleaseKey(project);
    }

    function test_revertWhen_calledByAnother() external {
        vm.expectRevert(notOwnerOrGuardian(RELEASER));
        vm.prank(RELEASER);
        registry.disableReleaseKey(project);
    }
}

contract ReleaseDelayTest is ReleaseTest {
    function test_isRaisedAtOnceAndDropsALowerOneThatWaits() external {
        vm.startPrank(OWNER);
        registry.queueReleaseDelay(project, 1 days);
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.ReleaseDelayRaised(project, RELEASE_DELAY, 5 days);
        registry.raiseReleaseDelay(project, 5 days);
        vm.stopPrank();
        announce(1);
        assertEq(releases().announced.runnableAt, time() + 5 days);
        vm.warp(time() + WAIT);
        assertEq(releases().releaseDelay, 5 days);
    }

    function test_isLoweredByItselfAfterSevenDays() external {
        uint64 from = time() + WAIT;
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.ReleaseDelayQueued(project, 1 days, from);
        vm.prank(OWNER);
        registry.queueReleaseDelay(project, 1 days);
        ReleaseAuthority memory authority = registry.releaseAuthorityOf(project);
        assertEq(authority.nextReleaseDelay, 1 days);
        assertEq(authority.nextReleaseDelayFrom, from);
        vm.warp(from - 1);
        assertEq(releases().releaseDelay, RELEASE_DELAY);
        vm.warp(from);
        assertEq(releases().releaseDelay, 1 days);
        announce(1);
        assertEq(releases().announced.runnableAt, time() + 1 days);
    }

    function test_ownerAndGuardianCancel() external {
        vm.prank(OWNER);
        registry.queueReleaseDelay(project, 1 days);
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.ReleaseDelayCancelled(project, 1 days, GUARDIAN);
        vm.prank(GUARDIAN);
        registry.cancelReleaseDelay(project);
        vm.warp(time() + WAIT);
        assertEq(releases().releaseDelay, RELEASE_DELAY);
    }

    function test_revertWhen_nothingIsCancelled() external {
        vm.expectRevert(abi.encodeWithSelector(IReleaseRegistry.NothingQueued.selector, project));
        vm.prank(OWNER);
        registry.cancelReleaseDelay(project);
    }

    function test_revertWhen_notHigherOrNotLower() external {
        vm.startPrank(OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(
                IReleaseRegistry.ReleaseDelayNotHigher.selector, RELEASE_DELAY, RELEASE_DELAY
            )
        );
        registry.raiseReleaseDelay(project, RELEASE_DELAY);
        vm.expectRevert(
            abi.encodeWithSelector(
                IReleaseRegistry.ReleaseDelayNotLower.selector, RELEASE_DELAY, RELEASE_DELAY
            )
        );
        registry.queueReleaseDelay(project, RELEASE_DELAY);
    }

    function test_revertWhen_outOfBounds() external {
        vm.startPrank(OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(
                IReleaseRegistry.ReleaseDelayOutOfBounds.selector, 14 days + 1, 24 hours, 14 days
            )
        );
        registry.raiseReleaseDelay(project, 14 days + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IReleaseRegistry.ReleaseDelayOutOfBounds.selector, 24 hours - 1, 24 hours, 14 days
            )
        );
        registry.queueReleaseDelay(project, 24 hours - 1);
    }

    function test_revertWhen_calledByAnother() external {
        vm.startPrank(RELEASER);
        vm.expectRevert(notOwner(RELEASER));
        registry.raiseReleaseDelay(project, 5 days);
        vm.expectRevert(notOwner(RELEASER));
        registry.queueReleaseDelay(project, 1 days);
        vm.expectRevert(notOwnerOrGuardian(RELEASER));
        registry.cancelReleaseDelay(project);
    }
}
