// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {NodeLicense} from "../../src/NodeLicense.sol";
import {IERC5643} from "../../src/interfaces/IERC5643.sol";
import {INodeLicense, LicenseParams} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

contract MintTest is LicenseBase {
    function test_revertWhen_notTheMinter() external {
        bytes memory reason = abi.encodeWithSelector(INodeLicense.NotMinter.selector, OWNER, MINTER);
        vm.startPrank(OWNER);
        vm.expectRevert(reason);
        licenses.mint(ALICE);
        vm.expectRevert(reason);
        licenses.mintBatch(ALICE, 1);
    }

    function test_revertWhen_theBatchIsEmptyOrTooLarge() external {
        vm.startPrank(MINTER);
        uint256[3] memory bad = [0, 1001, type(uint256).max];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(INodeLicense.InvalidBatch.selector, bad[i], 1000));
            licenses.mintBatch(ALICE, bad[i]);
        }
        licenses.mintBatch(ALICE, 1000);
        assertEq(licenses.balanceOf(ALICE), 1000);
    }

    function test_revertWhen_overTheMaximum() external {
        LicenseParams memory params = defaultParams();
        params.maxSupply = 5;
        licenses = new NodeLicense(params);
        mintTo(licenses, ALICE, 3);
        vm.startPrank(MINTER);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.SupplyExceeded.selector, 3, 3, 5));
        licenses.mintBatch(ALICE, 3);
        licenses.mintBatch(ALICE, 2);
        vm.expectRevert(abi.encodeWithSelector(INodeLicense.SupplyExceeded.selector, 1, 5, 5));
        licenses.mint(ALICE);
    }

    function test_revertWhen_toZero() external {
        bytes memory reason = abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(0));
        vm.startPrank(MINTER);
        vm.expectRevert(reason);
        licenses.mint(address(0));
        vm.expectRevert(reason);
        licenses.mintBatch(address(0), 2);
    }

    function test_callsNoReceiver() external {
        // This test has no onERC721Received.
        mintTo(licenses, address(this), 1);
        mintTo(licenses, address(this), 2);
        assertEq(licenses.balanceOf(address(this)), 3);
    }

    function test_mintsInSequence() external {
        mintsInSequence(licenses);
    }

    function test_mintsInSequenceWithATerm() external {
        mintsInSequence(terms);
    }

    function test_tellsWhenEachExpires() external {
        for (uint256 id = 1; id <= 3; ++id) {
            vm.expectEmit(address(terms));
            emit IERC5643.SubscriptionUpdate(id, START + TERM);
        }
        mintTo(terms, ALICE, 3);
        assertEq(terms.expiresAt(3), START + TERM);

        vm.recordLogs();
        mintTo(licenses, ALICE, 3);
        assertEq(vm.getRecordedLogs().length, 3);
    }

    function mintsInSequence(NodeLicense collection) private {
        vm.startPrank(MINTER);
        vm.expectEmit(address(collection));
        emit IERC721.Transfer(address(0), ALICE, 1);
        assertEq(collection.mint(ALICE), 1);
        assertEq(collection.mint(BOB), 2);
        for (uint256 id = 3; id <= 5; ++id) {
            vm.expectEmit(address(collection));
            emit IERC721.Transfer(address(0), BOB, id);
        }
        assertEq(collection.mintBatch(BOB, 3), 3);
        assertEq(collection.mint(ALICE), 6);
        assertEq(collection.mintBatch(ALICE, 1), 7);
        assertEq(collection.mintBatch(CAROL, 2), 8);
        assertEq(collection.totalSupply(), 9);

        address[9] memory holders = [ALICE, BOB, BOB, BOB, BOB, ALICE, ALICE, CAROL, CAROL];
        for (uint256 id = 1; id <= 9; ++id) {
            assertEq(collection.ownerOf(id), holders[id - 1]);
        }
        assertEq(collection.balanceOf(ALICE), 3);
        assertEq(collection.balanceOf(BOB), 4);
        assertEq(collection.balanceOf(CAROL), 2);
        uint256[3] memory none = [0, 10, type(uint256).max];
        for (uint256 i; i < none.length; ++i) {
            expectNoLicense(none[i]);
            collection.ownerOf(none[i]);
        }
    }

    /// @dev Batches of any size, some licenses moved on: holders and balances as a plain list has them.
    function testFuzz_holdersAreThoseOfAPlainList(uint256 seed, bool withTerm) external {
        NodeLicense collection = withTerm ? terms : licenses;
        address[3] memory who = [ALICE, BOB, CAROL];
        address[] memory list = new address[](60);
        uint256 supply;
        while (supply < 40) {
            seed = uint256(keccak256(abi.encode(seed)));
            address to = who[seed % 3];
            uint256 count = (seed >> 8) % 20 + 1;
            mintTo(collection, to, count);
            for (uint256 i; i < count; ++i) {
                list[supply++] = to;
            }
            uint256 id = (seed >> 16) % supply + 1;
            address next = who[(seed >> 24) % 3];
            vm.prank(list[id - 1]);
            collection.transferFrom(list[id - 1], next, id);
            list[id - 1] = next;
        }

        assertEq(collection.totalSupply(), supply);
        uint256[3] memory counts;
        for (uint256 id = 1; id <= supply; ++id) {
            assertEq(collection.ownerOf(id), list[id - 1]);
            for (uint256 w; w < 3; ++w) {
                if (list[id - 1] == who[w]) ++counts[w];
            }
        }
        for (uint256 w; w < 3; ++w) {
            assertEq(collection.balanceOf(who[w]), counts[w]);
        }
    }
}
