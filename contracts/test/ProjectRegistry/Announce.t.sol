// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IProjectRegistry} from "../../src/interfaces/IProjectRegistry.sol";
import {IReleaseRegistry, Release, Tombstone} from "../../src/interfaces/IReleaseRegistry.sol";
import {WorkloadReleases} from "../../src/interfaces/IReleaseRegistry.sol";
import {ReleaseTest} from "./ReleaseBase.t.sol";

contract AnnounceTest is ReleaseTest {
    /*//////////////////////////////////////////////////////////////////////////
                                      ANNOUNCED
    //////////////////////////////////////////////////////////////////////////*/

    function test_becomesRunnableAfterTheDelay() external {
        uint64 runnableAt = time() + RELEASE_DELAY;
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.ReleaseAnnounced(project, 1, hashOf(1), WORKLOAD, runnableAt);
        announce(1);

        WorkloadReleases memory seen = releases();
        assertEq(seen.timestamp, time());
        assertEq(seen.releaseKey, RELEASER);
        assertEq(seen.releaseDelay, RELEASE_DELAY);
        assertEq(seen.runnable.version, 0);
        assertEq(seen.runnable.releaseHash, 0);
        assertEq(seen.announced.version, 1);
        assertEq(seen.announced.releaseHash, hashOf(1));
        assertEq(seen.announced.announcedAt, time());
        assertEq(seen.announced.runnableAt, runnableAt);
        assertFalse(seen.announced.vetoed);

        vm.warp(runnableAt - 1);
        assertSeen(0, 1, 0, 0);
        vm.warp(runnableAt);
        assertSeen(1, 1, 0, 0);
        assertEq(releases().runnable.releaseHash, hashOf(1));
    }

    function test_theNewestRunnableReleaseCounts() external {
        announce(1);
        vm.warp(time() + 1 days);
        announce(5);
        assertSeen(0, 5, 0, 0);
        vm.warp(time() + 1 days);
        assertSeen(1, 5, 0, 0);
        announce(6);
        assertSeen(1, 6, 0, 0);
        vm.warp(time() + 1 days);
        assertSeen(5, 6, 0, 0);
        vm.warp(time() + 1 days);
        assertSeen(6, 6, 0, 0);
        assertEq(registry.newestVersion(project, WORKLOAD), 6);
    }

    function test_everyVersionStaysReadable() external {
        announce(1);
        uint64 firstAt = time();
        vm.warp(time() + 3 days);
        announce(2);
        Release memory first = registry.releaseAt(project, WORKLOAD, 1);
        assertEq(first.version, 1);
        assertEq(first.releaseHash, hashOf(1));
        assertEq(first.announcedAt, firstAt);
        assertEq(first.runnableAt, firstAt + RELEASE_DELAY);
        assertEq(registry.releaseAt(project, WORKLOAD, 3).version, 0);
        assertEq(registry.releaseAt(project, "other", 1).version, 0);
        assertEq(registry.tombstoneAt(project, WORKLOAD, 1).version, 0);
    }

    function test_workloadsAndProjectsAreApart() external {
        announce(7);
        vm.prank(RELEASER);
        registry.announce(project, "other", 1, hashOf(1));
        assertSeen(0, 7, 0, 0);
        assertEq(registry.releasesOf(project, "other").announced.version, 1);
        assertEq(registry.releasesOf(STRANGER, WORKLOAD).announced.version, 0);
    }

    /// @dev After the delay was lowered a version would overtake the one before.
    function test_aLoweredDelayKeepsTheOrder() external {
        announce(1);
        vm.prank(OWNER);
        registry.queueReleaseDelay(project, 1 days);
        vm.warp(time() + WAIT - 1);
        announce(2);
        uint64 secondAt = time() + RELEASE_DELAY;
        vm.warp(time() + 1);
        announce(3);
        assertEq(releases().announced.runnableAt, secondAt);
        vm.warp(secondAt);
        announce(4);
        assertEq(releases().announced.runnableAt, secondAt + 1 days);
        assertSeen(3, 4, 0, 0);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      TOMBSTONES
    //////////////////////////////////////////////////////////////////////////*/

    function test_aTombstoneCoversVersionsUpToItsOwn() external {
        announce(1);
        vm.warp(time() + RELEASE_DELAY);
        uint64 effectiveAt = time() + RELEASE_DELAY;
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.TombstoneAnnounced(project, 2, WORKLOAD, true, effectiveAt);
        announceTombstone(2, true);
        announce(3);

        assertSeen(1, 3, 0, 2);
        vm.warp(effectiveAt - 1);
        assertSeen(1, 3, 0, 2);
        vm.warp(effectiveAt);
        assertSeen(3, 3, 2, 2);
        Tombstone memory tombstone = releases().tombstone;
        assertTrue(tombstone.removesVolumes);
        assertEq(tombstone.announcedAt, effectiveAt - RELEASE_DELAY);
        assertEq(tombstone.effectiveAt, effectiveAt);
        assertFalse(tombstone.vetoed);
        assertEq(registry.tombstoneAt(project, WORKLOAD, 2).version, 2);
        assertEq(registry.releaseAt(project, WORKLOAD, 2).version, 0);
    }

    function test_aTombstoneLeavesNothingRunnable() external {
        announce(1);
        announceTombstone(2, false);
        vm.warp(time() + RELEASE_DELAY);
        assertSeen(0, 1, 2, 2);
        assertFalse(releases().tombstone.removesVolumes);

        // Written into place by the next announcement, it reads the same.
        announceTombstone(3, true);
        assertSeen(0, 1, 2, 3);
        vm.warp(time() + RELEASE_DELAY);
        assertSeen(0, 1, 3, 3);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function refuse(bytes memory reason, string memory workload, uint64 version) private {
        vm.expectRevert(reason);
        vm.prank(RELEASER);
        registry.announce(project, workload, version, hashOf(version));
        vm.expectRevert(reason);
        vm.prank(RELEASER);
        registry.announceTombstone(project, workload, version, false);
    }

    function test_revertWhen_notTheReleaseKey() external {
        bytes memory reason =
            abi.encodeWithSelector(IReleaseRegistry.NotReleaseKey.selector, project, OWNER, RELEASER);
        vm.startPrank(OWNER);
        vm.expectRevert(reason);
        registry.announce(project, WORKLOAD, 1, hashOf(1));
        vm.expectRevert(reason);
        registry.announceTombstone(project, WORKLOAD, 1, false);
    }

    function test_revertWhen_theProjectIsUnknown() external {
        bytes memory reason = abi.encodeWithSelector(IProjectRegistry.UnknownProject.selector, STRANGER);
        vm.expectRevert(reason);
        registry.announce(STRANGER, WORKLOAD, 1, hashOf(1));
        vm.expectRevert(reason);
        registry.announceTombstone(STRANGER, WORKLOAD, 1, true);
    }

    function test_revertWhen_theHashIsZero() external {
        vm.expectRevert(abi.encodeWithSelector(IReleaseRegistry.InvalidReleaseHash.selector, bytes32(0)));
        vm.prank(RELEASER);
        registry.announce(project, WORKLOAD, 1, 0);
    }

    function test_revertWhen_theWorkloadsNameBreaksTheGrammar() external {
        refuse(abi.encodeWithSelector(IProjectRegistry.InvalidName.selector, "No"), "No", 1);
        refuse(abi.encodeWithSelector(IProjectRegistry.InvalidName.selector, ""), "", 1);
    }

    function test_revertWhen_theVersionDoesNotRise() external {
        refuse(abi.encodeWithSelector(IReleaseRegistry.VersionNotHigher.selector, 0, 0), WORKLOAD, 0);
        announce(2);
        refuse(abi.encodeWithSelector(IReleaseRegistry.VersionNotHigher.selector, 2, 2), WORKLOAD, 2);
        refuse(abi.encodeWithSelector(IReleaseRegistry.VersionNotHigher.selector, 1, 2), WORKLOAD, 1);
        announceTombstone(3, false);
        refuse(abi.encodeWithSelector(IReleaseRegistry.VersionNotHigher.selector, 3, 3), WORKLOAD, 3);
        veto(3);
        refuse(abi.encodeWithSelector(IReleaseRegistry.VersionNotHigher.selector, 3, 3), WORKLOAD, 3);
    }

    /// @dev Else one announcement of a stolen key could use up the numbers for good.
    function test_revertWhen_theVersionLeaps() external {
        uint64 leap = 2 ** 48 - 1;
        refuse(
            abi.encodeWithSelector(IReleaseRegistry.VersionTooHigh.selector, leap + 1, leap),
            WORKLOAD,
            leap + 1
        );
        announce(leap);
        uint64 most = type(uint64).max;
        refuse(
            abi.encodeWithSelector(IReleaseRegistry.VersionTooHigh.selector, most, 2 * leap), WORKLOAD, most
        );
        announce(2 * leap);
    }

    function test_revertWhen_tooManyArePending() external {
        for (uint64 version = 1; version <= 32; ++version) {
            announce(version);
        }
        refuse(
            abi.encodeWithSelector(IReleaseRegistry.TooManyPending.selector, project, WORKLOAD, 32),
            WORKLOAD,
            33
        );
        veto(16);
        announce(33);
        assertSeen(0, 33, 0, 0);
        vm.warp(time() + RELEASE_DELAY);
        assertSeen(33, 33, 0, 0);
        announce(34);
        assertSeen(33, 34, 0, 0);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                         FUZZ
    //////////////////////////////////////////////////////////////////////////*/

    struct Step {
        uint8 action;
        uint32 wait;
        uint8 which;
    }

    /// @dev Whatever is announced, vetoed and waited for, the one call says what a walk over every
    /// version says.
    function testFuzz_oneCallTellsWhatEveryVersionTells(Step[] memory steps) external {
        uint64 newest;
        for (uint256 i; i < steps.length && i < 32; ++i) {
            vm.warp(time() + steps[i].wait % 1 days);
            uint256 action = steps[i].action % 4;
            if (action < 2) announce(++newest);
            else if (action == 2) announceTombstone(++newest, steps[i].which % 2 == 0);
            else if (newest != 0) vetoIfPending(1 + uint64(steps[i].which) % newest);
            compareWithWalk(newest);
        }
    }

    function vetoIfPending(uint64 version) private {
        Release memory release = registry.releaseAt(project, WORKLOAD, version);
        Tombstone memory tombstone = registry.tombstoneAt(project, WORKLOAD, version);
        if (release.vetoed || tombstone.vetoed) return;
        if (release.runnableAt + tombstone.effectiveAt > time()) veto(version);
    }

    function compareWithWalk(uint64 newest) private view {
        (uint64 runnable, uint64 announced, uint64 tombstone, uint64 nextTombstone) = (0, 0, 0, 0);
        for (uint64 version = 1; version <= newest; ++version) {
            Release memory release = registry.releaseAt(project, WORKLOAD, version);
            Tombstone memory removal = registry.tombstoneAt(project, WORKLOAD, version);
            assertEq(release.version + removal.version, version);
            if (release.version != 0 && !release.vetoed) {
                announced = version;
                if (release.runnableAt <= time()) runnable = version;
            }
            if (removal.version != 0 && !removal.vetoed) {
                nextTombstone = version;
                if (removal.effectiveAt <= time()) tombstone = version;
            }
        }
        assertSeen(runnable > tombstone ? runnable : 0, announced, tombstone, nextTombstone);
    }
}
