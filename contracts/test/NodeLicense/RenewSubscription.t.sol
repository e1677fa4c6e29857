// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";

import {IERC5643} from "../../src/interfaces/IERC5643.sol";
import {INodeLicense} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

contract RenewSubscriptionTest is LicenseBase {
    uint256 private constant ID = 2;

    function setUp() public override {
        super.setUp();
        mintTo(licenses, BOB, 3);
        mintTo(terms, BOB, 3);
    }

    function test_revertWhen_neitherOwnerNorMinter() external {
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.NotRenewer.selector, BOB, OWNER, MINTER));
        vm.prank(BOB);
        terms.renewSubscription(ID, 1);
    }

    function test_revertWhen_coinsAreSent() external {
        vm.deal(OWNER, 1);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.UnexpectedPayment.selector, OWNER, 1));
        vm.prank(OWNER);
        terms.renewSubscription{value: 1}(ID, 1);
    }

    function test_revertWhen_thereIsNoSuchLicense() external {
        vm.prank(OWNER);
        expectNoLicense(4);
        terms.renewSubscription(4, 1);
    }

    function test_revertWhen_thereIsNoTerm() external {
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.NeverExpires.selector, ID));
        vm.prank(OWNER);
        licenses.renewSubscription(ID, 1);
    }

    function test_revertWhen_theDurationIsZeroOrTooLong() external {
        uint64 longest = MAX_TERM - TERM;
        uint64[3] memory bad = [0, longest + 1, type(uint64).max];
        vm.startPrank(OWNER);
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    INodeLicense.InvalidRenewal.selector, ID, bad[i], START + TERM, MAX_TERM
                )
            );
            terms.renewSubscription(ID, bad[i]);
        }
        terms.renewSubscription(ID, longest);
        assertEq(terms.expiresAt(ID), START + MAX_TERM);
    }

    function test_renewsFromTheExpiry() external {
        vm.expectEmit(address(terms));
        emit IERC5643.SubscriptionUpdate(ID, START + TERM + 10);
        vm.expectEmit(address(terms));
        emit IERC4906.MetadataUpdate(ID);
        vm.prank(OWNER);
        terms.renewSubscription(ID, 10);
        assertEq(terms.expiresAt(ID), START + TERM + 10);
        assertEq(terms.expiresAt(ID - 1), START + TERM);
        assertEq(terms.expiresAt(ID + 1), START + TERM);
        vm.prank(MINTER);
        terms.renewSubscription(ID, 5);
        assertEq(terms.expiresAt(ID), START + TERM + 15);
    }

    function test_renewsAnExpiredLicenseFromNow() external {
        vm.warp(START + 3 * TERM);
        vm.prank(OWNER);
        terms.renewSubscription(ID, 10);
        assertEq(terms.expiresAt(ID), START + 3 * TERM + 10);
    }
}
