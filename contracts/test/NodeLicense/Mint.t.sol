// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {NodeLicense} from "../../src/NodeLicense.sol";
import {INodeLicense} from "../../src/interfaces/INodeLicense.sol";
import {BaseTest} from "../Base.t.sol";

contract MintTest is BaseTest {
    NodeLicense private licenses;

    function setUp() public override {
        super.setUp();
        licenses = new NodeLicense("Acme Node", "ACME", "https://acme.example/", OWNER, STRANGER);
    }

    function test_constructorKeepsItsParameters() external {
        vm.expectEmit();
        emit INodeLicense.MinterSet(address(0), STRANGER);
        vm.expectEmit();
        emit INodeLicense.BaseURISet("https://acme.example/");
        licenses = new NodeLicense("Acme Node", "ACME", "https://acme.example/", OWNER, STRANGER);
        assertEq(licenses.name(), "Acme Node");
        assertEq(licenses.symbol(), "ACME");
        assertEq(licenses.baseURI(), "https://acme.example/");
        assertEq(licenses.owner(), OWNER);
        assertEq(licenses.minter(), STRANGER);
        assertEq(licenses.totalSupply(), 0);
    }

    function test_mintsInSequence() external {
        vm.startPrank(STRANGER);
        vm.expectEmit(address(licenses));
        emit IERC721.Transfer(address(0), ALICE, 1);
        assertEq(licenses.mint(ALICE), 1);
        assertEq(licenses.mint(BOB), 2);
        assertEq(licenses.mintBatch(BOB, 3), 3);
        assertEq(licenses.mint(ALICE), 6);
        assertEq(licenses.totalSupply(), 6);
        assertEq(licenses.ownerOf(1), ALICE);
        for (uint256 id = 2; id <= 5; ++id) {
            assertEq(licenses.ownerOf(id), BOB);
        }
        assertEq(licenses.balanceOf(BOB), 4);
        assertEq(licenses.tokenURI(3), "https://acme.example/3");
    }

    function test_revertWhen_notTheMinter() external {
        bytes memory reason = abi.encodeWithSelector(INodeLicense.NotMinter.selector, OWNER, STRANGER);
        vm.startPrank(OWNER);
        vm.expectRevert(reason);
        licenses.mint(ALICE);
        vm.expectRevert(reason);
        licenses.mintBatch(ALICE, 1);
    }

    function test_revertWhen_theBatchIsEmpty() external {
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.EmptyBatch.selector, ALICE));
        vm.prank(STRANGER);
        licenses.mintBatch(ALICE, 0);
    }

    function test_revertWhen_toZero() external {
        bytes memory reason = abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(0));
        vm.startPrank(STRANGER);
        vm.expectRevert(reason);
        licenses.mint(address(0));
        vm.expectRevert(reason);
        licenses.mintBatch(address(0), 2);
    }

    function test_theOwnerSetsTheMinter() external {
        vm.expectEmit(address(licenses));
        emit INodeLicense.MinterSet(STRANGER, ALICE);
        vm.prank(OWNER);
        licenses.setMinter(ALICE);
        assertEq(licenses.minter(), ALICE);
        vm.prank(ALICE);
        licenses.mint(ALICE);
    }

    function test_theOwnerSetsTheBaseURI() external {
        vm.expectEmit(address(licenses));
        emit INodeLicense.BaseURISet("ipfs://x/");
        vm.prank(OWNER);
        licenses.setBaseURI("ipfs://x/");
        vm.prank(STRANGER);
        licenses.mint(ALICE);
        assertEq(licenses.tokenURI(1), "ipfs://x/1");
    }

    function test_revertWhen_notTheOwner() external {
        bytes memory reason = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, STRANGER);
        vm.startPrank(STRANGER);
        vm.expectRevert(reason);
        licenses.setMinter(STRANGER);
        vm.expectRevert(reason);
        licenses.setBaseURI("");
    }

    function test_ownershipTakesTwoSteps() external {
        vm.prank(OWNER);
        licenses.transferOwnership(ALICE);
        assertEq(licenses.owner(), OWNER);
        vm.prank(ALICE);
        licenses.acceptOwnership();
        assertEq(licenses.owner(), ALICE);
    }

    function test_supportsInterface() external view {
        assertTrue(licenses.supportsInterface(0x01ffc9a7)); // ERC-165
        assertTrue(licenses.supportsInterface(0x80ac58cd)); // ERC-721
        assertTrue(licenses.supportsInterface(0x5b5e139f)); // ERC-721 metadata
        assertTrue(licenses.supportsInterface(0xad092b5c)); // ERC-4907
        assertFalse(licenses.supportsInterface(0xffffffff));
    }
}
