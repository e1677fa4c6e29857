// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
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
