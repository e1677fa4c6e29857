// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC5643} from "../../src/interfaces/IERC5643.sol";
import {INodeLicense} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

contract CancelSubscriptionTest is LicenseBase {
    uint256 private constant ID = 2;

    function setUp() public override {
        super.setUp();
        mintTo(licenses, BOB, 3);
        mintTo(terms, BOB, 3);
    }

    function test_revertWhen_coinsAreSent() external {
        vm.deal(BOB, 1);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.UnexpectedPayment.selector, BOB, 1));
        vm.prank(BOB);
        terms.cancelSubscription{value: 1}(ID);
    }

    function test_revertWhen_thereIsNoSuchLicense() external {
        expectNoLicense(4);
        terms.cancelSubscription(4);
    }

    function test_revertWhen_thereIsNoTerm() external {
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.NeverExpires.selector, ID));
        vm.prank(BOB);
        licenses.cancelSubscription(ID);
    }

    function test_revertWhen_neitherHolderNorApproved() external {
        expectNotHolder(ID, OWNER, BOB);
        vm.prank(OWNER);
        terms.cancelSubscription(ID);
    }

    function test_revertWhen_expired() external {
        vm.warp(START + TERM);
        vm.expectRevert(
            abi.encodeWithSelector(INodeLicense.LicenseExpired.selector, ID, START + TERM, START + TERM)
        );
        vm.prank(BOB);
        terms.cancelSubscription(ID);
    }

    function test_revertWhen_aRentalRuns() external {
        vm.startPrank(BOB);
        terms.setUser(ID, CAROL, START + 10);
        vm.warp(START + 10);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.RentalRunning.selector, ID, CAROL, START + 10));
        terms.cancelSubscription(ID);
        vm.warp(START + 11);
        terms.cancelSubscription(ID);
        assertEq(terms.expiresAt(ID), START + 11);
    }

    function test_letsItExpireNow() external {
        vm.prank(BOB);
        terms.approve(ALICE, ID);
        vm.expectEmit(address(terms));
        emit IERC5643.SubscriptionUpdate(ID, START);
        vm.prank(ALICE);
        terms.cancelSubscription(ID);
        assertEq(terms.expiresAt(ID), START);
        assertTrue(terms.isRenewable(ID));

        vm.warp(START + 5);
        vm.prank(OWNER);
        terms.renewSubscription(ID, 10);
        assertEq(terms.expiresAt(ID), START + 15);
    }
}
