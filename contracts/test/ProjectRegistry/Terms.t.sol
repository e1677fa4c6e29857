// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IProjectRegistry} from "../../src/interfaces/IProjectRegistry.sol";
import {BaseTest} from "../Base.t.sol";

contract TermsTest is BaseTest {
    bytes32 private constant HASH = keccak256("terms");
    // Days of a test fit.
    // forge-lint: disable-next-line(unsafe-typecast)
    uint64 private constant TODAY = uint64(CREATION_DAY);

    function refuse(bytes32 termsHash, uint64 fromDay) private {
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.InvalidTerms.selector, termsHash, fromDay, TODAY)
        );
        vm.prank(OWNER);
        registry.announceTerms(address(distributor), termsHash, fromDay);
    }

    function test_announces() external {
        vm.expectEmit(address(registry));
        emit IProjectRegistry.TermsAnnounced(address(distributor), HASH, TODAY + 1);
        vm.prank(OWNER);
        registry.announceTerms(address(distributor), HASH, TODAY + 1);
    }

    function test_revertWhen_theDayHasBegun() external {
        refuse(HASH, TODAY);
        refuse(HASH, 0);
        // To its last second.
        vm.warp((CREATION_DAY + 1) * 1 days - 1);
        refuse(HASH, TODAY);
    }

    function test_revertWhen_theHashIsZero() external {
        refuse(0, TODAY + 1);
    }

    function test_revertWhen_notTheProjectsOwner() external {
        address project = address(distributor);
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.NotProjectOwner.selector, project, GUARDIAN, OWNER)
        );
        vm.prank(GUARDIAN);
        registry.announceTerms(project, HASH, TODAY + 1);
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.UnknownProject.selector, STRANGER));
        registry.announceTerms(STRANGER, HASH, TODAY + 1);
    }
}
