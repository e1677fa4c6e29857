// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Test} from "forge-std/Test.sol";

import {LicenseSale} from "../../src/LicenseSale.sol";
import {NodeLicense} from "../../src/NodeLicense.sol";
import {DevToken} from "../../src/dev/DevToken.sol";
import {Code, Order, SaleParams, Tier} from "../../src/interfaces/ILicenseSale.sol";
import {LicenseParams} from "../../src/interfaces/INodeLicense.sol";
import {MerkleTree} from "../MerkleTree.sol";

/// @dev An open sale in the native coin and one in a token, each the minter of its own collection:
/// 10 licenses at 100, 20 at 200, 30 at 350, in units of a thousandth.
abstract contract SaleBase is Test {
    uint64 internal constant START = 1_800_000_000;
    uint64 internal constant END = START + 30 days;
    uint128 internal constant UNIT = 0.001 ether;
    uint256 internal constant SUPPLY = 60;

    string internal constant PROMO = "EARLY-BIRD";
    string internal constant REFERRAL = "dave sent me";

    address internal immutable OWNER = makeAddr("owner");
    address internal immutable ALICE = makeAddr("alice");
    address internal immutable BOB = makeAddr("bob");
    address internal immutable CAROL = makeAddr("carol");
    address internal immutable DAVE = makeAddr("dave");

    NodeLicense internal licenses;
    LicenseSale internal sale;

    DevToken internal token;
    NodeLicense internal tokenLicenses;
    LicenseSale internal tokenSale;

    function setUp() public virtual {
        vm.warp(START);
        (licenses, sale) = newSale(address(0), 0, 0);
        token = new DevToken("Dollar", "USD", address(this));
        (tokenLicenses, tokenSale) = newSale(address(token), 0, 0);
        address[4] memory buyers = [ALICE, BOB, CAROL, DAVE];
        for (uint256 i; i < buyers.length; ++i) {
            vm.deal(buyers[i], 1000 ether);
            token.mint(buyers[i], 1000 ether);
            vm.prank(buyers[i]);
            token.approve(address(tokenSale), type(uint256).max);
        }
    }

    function newSale(
        address paymentToken,
        uint32 walletCap,
        bytes32 allowlistRoot
    ) internal returns (NodeLicense collection, LicenseSale made) {
        collection = newCollection();
        made = new LicenseSale(defaultParams(address(collection), paymentToken, walletCap, allowlistRoot));
        vm.prank(OWNER);
        collection.setMinter(address(made));
    }

    function newCollection() internal returns (NodeLicense) {
        return new NodeLicense(
            LicenseParams({
                name: "Acme Node",
                symbol: "ACME",
                owner: OWNER,
                minter: address(0),
                maxSupply: 0,
                term: 0,
                lockedUntil: 0,
                royaltyReceiver: address(0),
                royaltyBps: 0
            })
        );
    }

    function defaultParams(
        address collection,
        address paymentToken,
        uint32 walletCap,
        bytes32 allowlistRoot
    ) internal view returns (SaleParams memory) {
        return SaleParams({
            collection: collection,
            owner: OWNER,
            paymentToken: paymentToken,
            startsAt: START,
            endsAt: END,
            walletCap: walletCap,
            allowlistRoot: allowlistRoot,
            tiers: defaultTiers()
        });
    }

    function defaultTiers() internal pure returns (Tier[] memory tiers) {
        tiers = new Tier[](3);
        tiers[0] = Tier(100 * UNIT, 10);
        tiers[1] = Tier(200 * UNIT, 20);
        tiers[2] = Tier(350 * UNIT, 30);
    }

    /// @dev What licenses `from + 1` to `to` cost: counted one by one, unlike the contract.
    function priceOf(uint256 from, uint256 to) internal pure returns (uint256 sum) {
        for (uint256 i = from; i < to; ++i) {
            sum += i < 10 ? 100 * UNIT : i < 30 ? 200 * UNIT : 350 * UNIT;
        }
    }

    function orderOf(address recipient, uint256 count) internal pure returns (Order memory order) {
        order.recipient = recipient;
        order.count = count;
        order.maxCost = type(uint256).max;
    }

    function orderWith(
        address recipient,
        uint256 count,
        string memory code
    ) internal pure returns (Order memory order) {
        order = orderOf(recipient, count);
        order.code = code;
    }

    function buyAs(address buyer, uint256 count, uint256 value) internal returns (uint256, uint256) {
        vm.prank(buyer);
        return sale.buy{value: value}(orderOf(buyer, count));
    }

    /// @dev In both sales: a plain discount of 10 percent, and one of 5 with 20 for dave.
    function setCodes() internal {
        setCode(PROMO, Code(address(0), 1000, 0, 40));
        setCode(REFERRAL, Code(DAVE, 500, 2000, 40));
    }

    function setCode(string memory text, Code memory code) internal {
        vm.startPrank(OWNER);
        sale.setCode(keccak256(bytes(text)), code);
        tokenSale.setCode(keccak256(bytes(text)), code);
        vm.stopPrank();
    }

    /// @dev An allowlist of alice and bob.
    function allowlistOf(
        uint256 alice,
        uint256 bob
    ) internal view returns (bytes32 root, bytes32[] memory aliceProof, bytes32[] memory bobProof) {
        bytes32[] memory leaves = new bytes32[](2);
        leaves[0] = MerkleTree.leaf(ALICE, alice);
        leaves[1] = MerkleTree.leaf(BOB, bob);
        bytes32[] memory nodes = MerkleTree.build(leaves);
        return (nodes[0], MerkleTree.proof(nodes, leaves[0]), MerkleTree.proof(nodes, leaves[1]));
    }

    function expectNotOwner(address caller) internal {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
    }
}
