// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {INodeLicense} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

contract OwnerTest is LicenseBase {
    /*//////////////////////////////////////////////////////////////////////////
                                        MINTER
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_notTheOwnerSetsTheMinter() external {
        expectNotOwner(MINTER);
        vm.prank(MINTER);
        licenses.setMinter(ALICE);
    }

    function test_setsTheMinter() external {
        vm.expectEmit(address(licenses));
        emit INodeLicense.MinterSet(MINTER, ALICE);
        vm.prank(OWNER);
        licenses.setMinter(ALICE);
        assertEq(licenses.minter(), ALICE);
        vm.prank(ALICE);
        licenses.mint(ALICE);
        assertEq(licenses.totalSupply(), 1);

        vm.prank(OWNER);
        licenses.setMinter(address(0));
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.NotMinter.selector, ALICE, address(0)));
        vm.prank(ALICE);
        licenses.mint(ALICE);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       ROYALTY
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_notTheOwnerSetsTheRoyalty() external {
        expectNotOwner(MINTER);
        vm.prank(MINTER);
        licenses.setRoyalty(MINTER, 1);
    }

    function test_revertWhen_theRoyaltyIsNone() external {
        vm.startPrank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.InvalidRoyalty.selector, ALICE, 1001, 1000));
        licenses.setRoyalty(ALICE, 1001);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.InvalidRoyalty.selector, address(0), 1, 1000));
        licenses.setRoyalty(address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.InvalidRoyalty.selector, ALICE, 0, 1000));
        licenses.setRoyalty(ALICE, 0);
    }

    function test_setsTheRoyalty() external {
        vm.startPrank(OWNER);
        vm.expectEmit(address(licenses));
        emit INodeLicense.RoyaltySet(ALICE, 250);
        licenses.setRoyalty(ALICE, 250);
        (address receiver, uint256 amount) = licenses.royaltyInfo(1, 79);
        assertEq(receiver, ALICE);
        assertEq(amount, 1);
        licenses.setRoyalty(address(0), 0);
        (receiver, amount) = licenses.royaltyInfo(1, 1 ether);
        assertEq(receiver, address(0));
        assertEq(amount, 0);
    }

    function testFuzz_theRoyaltyOfAnyPrice(uint256 price, uint16 bps) external {
        bps = uint16(bound(bps, 1, 1000));
        vm.prank(OWNER);
        licenses.setRoyalty(ALICE, bps);
        (, uint256 amount) = licenses.royaltyInfo(1, price);
        assertEq(amount, price / 10_000 * bps + price % 10_000 * bps / 10_000);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                OWNERSHIP AND INTERFACES
    //////////////////////////////////////////////////////////////////////////*/

    function test_ownershipTakesTwoSteps() external {
        vm.prank(OWNER);
        licenses.transferOwnership(ALICE);
        assertEq(licenses.owner(), OWNER);
        vm.prank(ALICE);
        licenses.acceptOwnership();
        assertEq(licenses.owner(), ALICE);
    }

    function test_supportsInterface() external view {
        bytes4[6] memory ids = [
            bytes4(0x01ffc9a7), // ERC-165
            0x80ac58cd, // ERC-721
            0x5b5e139f, // ERC-721 metadata
            0xad092b5c, // ERC-4907
            0x2a55205a, // ERC-2981
            0x49064906 // ERC-4906
        ];
        for (uint256 i; i < ids.length; ++i) {
            assertTrue(licenses.supportsInterface(ids[i]));
            assertTrue(terms.supportsInterface(ids[i]));
        }
        assertFalse(licenses.supportsInterface(0x8c65f84d)); // ERC-5643
        assertTrue(terms.supportsInterface(0x8c65f84d));
        assertFalse(licenses.supportsInterface(0xffffffff));
    }
}
