// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {NodeLicense} from "../../src/NodeLicense.sol";
import {INodeLicense, LicenseParams} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

contract TransferTest is LicenseBase {
    uint64 private constant LOCKED_UNTIL = START + 100;

    function setUp() public override {
        super.setUp();
        LicenseParams memory params = defaultParams();
        params.lockedUntil = LOCKED_UNTIL;
        licenses = new NodeLicense(params);
        mintTo(licenses, BOB, 2);
    }

    function expectLocked(uint256 tokenId) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                INodeLicense.TransferLocked.selector, tokenId, licenses.lockedUntil(), vm.getBlockTimestamp()
            )
        );
    }

    function test_revertWhen_locked() external {
        vm.warp(LOCKED_UNTIL - 1);
        vm.prank(MINTER);
        assertEq(licenses.mint(BOB), 3);
        vm.prank(BOB);
        licenses.setApprovalForAll(ALICE, true);
        for (uint256 id = 1; id <= 3; ++id) {
            expectLocked(id);
            vm.prank(BOB);
            licenses.transferFrom(BOB, CAROL, id);
            expectLocked(id);
            vm.prank(ALICE);
            licenses.safeTransferFrom(BOB, CAROL, id);
            expectLocked(id);
            vm.prank(ALICE);
            licenses.safeTransferFrom(BOB, CAROL, id, "data");
        }
    }

    function test_transfersAfterTheLock() external {
        vm.warp(LOCKED_UNTIL);
        vm.prank(BOB);
        licenses.transferFrom(BOB, CAROL, 1);
        assertEq(licenses.ownerOf(1), CAROL);
        assertEq(licenses.ownerOf(2), BOB);
    }

    function test_shortensTheLock() external {
        vm.expectEmit(address(licenses));
        emit INodeLicense.TransferLockSet(START + 50);
        vm.expectEmit(address(licenses));
        emit IERC4906.BatchMetadataUpdate(1, 2);
        vm.prank(OWNER);
        licenses.shortenLock(START + 50);
        assertEq(licenses.lockedUntil(), START + 50);

        vm.warp(START + 49);
        expectLocked(1);
        vm.prank(BOB);
        licenses.transferFrom(BOB, CAROL, 1);
        vm.warp(START + 50);
        vm.prank(BOB);
        licenses.transferFrom(BOB, CAROL, 1);
    }

    function test_anEmptyCollectionHasNoRange() external {
        LicenseParams memory params = defaultParams();
        params.lockedUntil = LOCKED_UNTIL;
        licenses = new NodeLicense(params);
        vm.recordLogs();
        vm.prank(OWNER);
        licenses.shortenLock(0);
        assertEq(vm.getRecordedLogs().length, 1);
    }

    function test_revertWhen_theLockIsNotShortened() external {
        vm.startPrank(OWNER);
        uint64[2] memory bad = [LOCKED_UNTIL, LOCKED_UNTIL + 1];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(INodeLicense.LockNotShortened.selector, LOCKED_UNTIL, bad[i])
            );
            licenses.shortenLock(bad[i]);
        }
        licenses.shortenLock(0);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.LockNotShortened.selector, 0, 0));
        licenses.shortenLock(0);
    }

    function test_revertWhen_notTheOwner() external {
        expectNotOwner(BOB);
        vm.prank(BOB);
        licenses.shortenLock(0);
    }

    function test_revertWhen_notAuthorizedIsSaidBeforeTheLock() external {
        vm.expectRevert(
            abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, STRANGER, 1)
        );
        vm.prank(STRANGER);
        licenses.transferFrom(BOB, STRANGER, 1);
    }
}
