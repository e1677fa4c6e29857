// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IProjectRegistry} from "../../src/interfaces/IProjectRegistry.sol";
import {IReleaseRegistry, WorkloadReleases} from "../../src/interfaces/IReleaseRegistry.sol";
import {BaseTest} from "../Base.t.sol";

/// @dev A project with a release key and a release delay of two days.
abstract contract ReleaseTest is BaseTest {
    uint64 internal constant RELEASE_DELAY = 2 days;
    uint64 internal constant WAIT = 7 days;
    string internal constant WORKLOAD = "render";

    address internal immutable RELEASER = makeAddr("release key");

    address internal project;

    function setUp() public virtual override {
        super.setUp();
        project = address(distributor);
        vm.prank(OWNER);
        registry.setReleaseKey(project, RELEASER, RELEASE_DELAY);
    }

    function hashOf(uint64 version) internal pure returns (bytes32) {
        return keccak256(abi.encode("release", version));
    }

    function announce(uint64 version) internal {
        vm.prank(RELEASER);
        registry.announce(project, WORKLOAD, version, hashOf(version));
    }

    function announceTombstone(uint64 version, bool removesVolumes) internal {
        vm.prank(RELEASER);
        registry.announceTombstone(project, WORKLOAD, version, removesVolumes);
    }

    function veto(uint64 version) internal {
        vm.prank(GUARDIAN);
        registry.veto(project, WORKLOAD, version);
    }

    function releases() internal view returns (WorkloadReleases memory) {
        return registry.releasesOf(project, WORKLOAD);
    }

    function time() internal view returns (uint64) {
        // Fits for longer than the sun will shine.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(vm.getBlockTimestamp());
    }

    /// @dev The four versions a node sees: runnable, announced, tombstone, announced tombstone.
    function assertSeen(
        uint64 runnable,
        uint64 announced,
        uint64 tombstone,
        uint64 nextTombstone
    ) internal view {
        WorkloadReleases memory seen = releases();
        assertEq(seen.runnable.version, runnable, "runnable");
        assertEq(seen.announced.version, announced, "announced");
        assertEq(seen.tombstone.version, tombstone, "tombstone");
        assertEq(seen.announcedTombstone.version, nextTombstone, "announced tombstone");
        assertEq(seen.timestamp, vm.getBlockTimestamp());
    }

    function notOwner(address caller) internal view returns (bytes memory) {
        return abi.encodeWithSelector(IProjectRegistry.NotProjectOwner.selector, project, caller, OWNER);
    }

    function notOwnerOrGuardian(address caller) internal view returns (bytes memory) {
        return abi.encodeWithSelector(
            IReleaseRegistry.NotProjectOwnerOrGuardian.selector, project, caller, OWNER, GUARDIAN
        );
    }
}
