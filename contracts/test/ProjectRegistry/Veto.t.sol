// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IProjectRegistry} from "../../src/interfaces/IProjectRegistry.sol";
import {IReleaseRegistry} from "../../src/interfaces/IReleaseRegistry.sol";
import {ReleaseTest} from "./ReleaseBase.t.sol";

contract VetoTest is ReleaseTest {
    function test_aVetoedReleaseNeverRuns() external {
        announce(1);
        announce(2);
        vm.expectEmit(address(registry));
        emit IReleaseRegistry.Vetoed(project, 2, GUARDIAN, WORKLOAD);
        veto(2);
        assertTrue(registry.releaseAt(project, WORKLOAD, 2).vetoed);
        assertSeen(0, 1, 0, 0);
        vm.warp(time() + RELEASE_DELAY);
        assertSeen(1, 1, 0, 0);
    }

    function test_aVetoedTombstoneNeverTakesEffect() external {
        announce(1);
        announceTombstone(2, true);
        vm.prank(OWNER);
        registry.veto(project, WORKLOAD, 2);
        assertTrue(registry.tombstoneAt(project, WORKLOAD, 2).vetoed);
        vm.warp(time() + RELEASE_DELAY);
        assertSeen(1, 1, 0, 0);
    }

    function test_theOthersKeepTheirOrder() external {
        announce(1);
        announce(2);
        announce(3);
        veto(2);
        assertSeen(0, 3, 0, 0);
        veto(1);
        vm.warp(time() + RELEASE_DELAY);
        assertSeen(3, 3, 0, 0);
    }

    function test_revertWhen_nothingWasAnnounced() external {
        vm.expectRevert(
            abi.encodeWithSelector(IReleaseRegistry.UnknownVersion.selector, project, WORKLOAD, 1)
        );
        veto(1);
    }

    function test_revertWhen_vetoedAlready() external {
        announce(1);
        veto(1);
        vm.expectRevert(abi.encodeWithSelector(IReleaseRegistry.VetoedAlready.selector, project, WORKLOAD, 1));
        veto(1);
    }

    function test_revertWhen_inEffect() external {
        announce(1);
        vm.warp(time() + RELEASE_DELAY);
        vm.expectRevert(
            abi.encodeWithSelector(IReleaseRegistry.VetoTooLate.selector, project, WORKLOAD, 1, time())
        );
        veto(1);
    }

    function test_revertWhen_calledByAnother() external {
        announce(1);
        vm.expectRevert(notOwnerOrGuardian(RELEASER));
        vm.prank(RELEASER);
        registry.veto(project, WORKLOAD, 1);
    }

    function test_revertWhen_theProjectIsUnknown() external {
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.UnknownProject.selector, STRANGER));
        registry.veto(STRANGER, WORKLOAD, 1);
    }
}
