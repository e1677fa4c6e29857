// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IERC4907} from "../../src/interfaces/IERC4907.sol";
import {INodeLicense} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

contract SetUserTest is LicenseBase {
    uint256 private constant ID = 1;

    address private carol = CAROL;
    uint64 private until;

    function setUp() public override {
        super.setUp();
        mintTo(licenses, BOB, 1);
        mintTo(terms, BOB, 1);
        until = uint64(vm.getBlockTimestamp()) + 1000;
    }

    function setUserAs(address caller, address user, uint64 expires) private {
        vm.prank(caller);
        licenses.setUser(ID, user, expires);
    }

    function assertNoUser() private view {
        assertEq(licenses.userOf(ID), address(0));
        assertEq(licenses.userExpires(ID), 0);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        RENTED
    //////////////////////////////////////////////////////////////////////////*/

    function test_rentsUpToAndIncludingTheLastSecond() external {
        assertNoUser();
        vm.expectEmit(address(licenses));
        emit IERC4907.UpdateUser(ID, carol, until);
        vm.expectEmit(address(licenses));
        emit IERC4906.MetadataUpdate(ID);
        setUserAs(BOB, carol, until);
        assertEq(licenses.userOf(ID), carol);
        assertEq(licenses.userExpires(ID), until);

        vm.warp(until);
        assertEq(licenses.userOf(ID), carol);
        vm.warp(until + 1);
        assertEq(licenses.userOf(ID), address(0));
        assertEq(licenses.userExpires(ID), until);
    }

    function test_approvedAccountsRentOut() external {
        vm.prank(BOB);
        licenses.approve(STRANGER, ID);
        setUserAs(STRANGER, carol, until);
        assertEq(licenses.userOf(ID), carol);
    }

    function test_operatorsRentOut() external {
        vm.prank(BOB);
        licenses.setApprovalForAll(STRANGER, true);
        setUserAs(STRANGER, carol, until);
        assertEq(licenses.userOf(ID), carol);
    }

    function test_theHolderExtendsForTheSameRenter() external {
        setUserAs(BOB, carol, until);
        setUserAs(BOB, carol, until + 1);
        assertEq(licenses.userExpires(ID), until + 1);
    }

    function test_theRenterEndsItEarly() external {
        setUserAs(BOB, carol, until);
        vm.expectEmit(address(licenses));
        emit IERC4907.UpdateUser(ID, address(0), 0);
        setUserAs(carol, address(0), 0);
        assertNoUser();
        setUserAs(BOB, ALICE, until);
    }

    function test_noUserHasNoTime() external {
        setUserAs(BOB, address(0), until);
        assertNoUser();
    }

    function test_anEndedRentalCanBeReplacedAndCleared() external {
        setUserAs(BOB, carol, until);
        vm.warp(until + 1);
        setUserAs(BOB, ALICE, until + 100);
        assertEq(licenses.userOf(ID), ALICE);
        vm.warp(until + 101);
        setUserAs(BOB, address(0), 0);
        assertNoUser();
    }

    function test_survivesATransfer() external {
        setUserAs(BOB, carol, until);
        vm.prank(BOB);
        licenses.transferFrom(BOB, ALICE, ID);
        assertEq(licenses.userOf(ID), carol);
        refuse(ALICE, address(0), 0, running());
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function running() private view returns (bytes memory) {
        return abi.encodeWithSelector(INodeLicense.RentalRunning.selector, ID, carol, until);
    }

    function refuse(address caller, address user, uint64 expires, bytes memory reason) private {
        vm.expectRevert(reason);
        setUserAs(caller, user, expires);
    }

    function test_revertWhen_theHolderEndsReplacesOrShortens() external {
        setUserAs(BOB, carol, until);
        refuse(BOB, address(0), 0, running());
        refuse(BOB, ALICE, until + 1, running());
        refuse(BOB, carol, until - 1, running());
        vm.warp(until);
        refuse(BOB, address(0), 0, running());
    }

    function test_revertWhen_theRenterDoesAnythingButEnd() external {
        setUserAs(BOB, carol, until);
        bytes memory reason = notAuthorized(carol);
        refuse(carol, carol, until + 1, reason);
        refuse(carol, ALICE, until, reason);
    }

    function test_revertWhen_theRentalIsOverAndTheFormerRenterCalls() external {
        setUserAs(BOB, carol, until);
        vm.warp(until + 1);
        refuse(carol, address(0), 0, notAuthorized(carol));
    }

    function test_revertWhen_neitherHolderNorApproved() external {
        refuse(STRANGER, STRANGER, until, notAuthorized(STRANGER));
        refuse(OWNER, OWNER, until, notAuthorized(OWNER));
    }

    function notAuthorized(address caller) private view returns (bytes memory) {
        return abi.encodeWithSelector(INodeLicense.NotHolderOrApproved.selector, ID, caller, BOB);
    }

    function test_revertWhen_overBeforeItBegins() external {
        uint64 past = uint64(vm.getBlockTimestamp()) - 1;
        refuse(BOB, carol, past, abi.encodeWithSelector(INodeLicense.RentalOver.selector, ID, past, past + 1));
    }

    function test_revertWhen_theRentalOutlastsTheLicense() external {
        uint64 expiry = terms.expiresAt(ID);
        vm.startPrank(BOB);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.RentalBeyondExpiry.selector, ID, expiry, expiry));
        terms.setUser(ID, carol, expiry);
        terms.setUser(ID, carol, expiry - 1);
        assertEq(terms.userOf(ID), carol);
        vm.warp(expiry - 1);
        assertEq(terms.userOf(ID), carol);
        vm.warp(expiry);
        assertEq(terms.userOf(ID), address(0));
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.RentalBeyondExpiry.selector, ID, expiry, expiry));
        terms.setUser(ID, carol, expiry);
    }

    function test_revertWhen_thereIsNoSuchLicense() external {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 2));
        vm.prank(BOB);
        licenses.setUser(2, carol, until);
        assertEq(licenses.userOf(2), address(0));
    }
}
