// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Test} from "forge-std/Test.sol";

import {NodeLicense} from "../../src/NodeLicense.sol";
import {INodeLicense, LicenseParams} from "../../src/interfaces/INodeLicense.sol";

/// @dev Two collections of one owner and one minter: `licenses` never expire, `terms` last a year.
abstract contract LicenseBase is Test {
    uint64 internal constant START = 1_800_000_000;
    uint64 internal constant TERM = 365 days;
    uint64 internal constant MAX_TERM = 36_525 days;

    address internal immutable OWNER = makeAddr("owner");
    address internal immutable MINTER = makeAddr("minter");
    address internal immutable ALICE = makeAddr("alice");
    address internal immutable BOB = makeAddr("bob");
    address internal immutable CAROL = makeAddr("carol");
    address internal immutable STRANGER = makeAddr("stranger");

    NodeLicense internal licenses;
    NodeLicense internal terms;

    function setUp() public virtual {
        vm.warp(START);
        licenses = new NodeLicense(defaultParams());
        LicenseParams memory params = defaultParams();
        params.term = TERM;
        terms = new NodeLicense(params);
    }

    function defaultParams() internal view returns (LicenseParams memory) {
        return LicenseParams({
            name: "Acme Node",
            symbol: "ACME",
            owner: OWNER,
            minter: MINTER,
            maxSupply: 0,
            term: 0,
            lockedUntil: 0,
            royaltyReceiver: address(0),
            royaltyBps: 0
        });
    }

    function mintTo(NodeLicense collection, address to, uint256 count) internal returns (uint256) {
        vm.prank(MINTER);
        return collection.mintBatch(to, count);
    }

    function expectNotOwner(address caller) internal {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
    }

    function expectNoLicense(uint256 tokenId) internal {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, tokenId));
    }

    function expectNotHolder(uint256 tokenId, address caller, address holder) internal {
        vm.expectRevert(
            abi.encodeWithSelector(INodeLicense.NotHolderOrApproved.selector, tokenId, caller, holder)
        );
    }
}
