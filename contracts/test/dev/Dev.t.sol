// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {DelegateRegistry} from "../../src/dev/DelegateRegistry.sol";
import {Multicall3} from "../../src/dev/Multicall3.sol";
import {BaseTest} from "../Base.t.sol";

contract DevTokenTest is BaseTest {
    function test_theOwnerMints() external {
        token.mint(ALICE, 5);
        assertEq(token.balanceOf(ALICE), 5);
        assertEq(token.decimals(), 18);
        assertEq(token.name(), "Reward");
        assertEq(token.symbol(), "RWD");
    }

    function test_revertWhen_notTheOwner() external {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, ALICE));
        vm.prank(ALICE);
        token.mint(ALICE, 5);
    }
}

contract DelegateRegistryTest is BaseTest {
    bytes32 private constant OPERATE = keccak256("nodesys.operate.v1");
    address private constant CANONICAL = 0x00000000000000447e69651d841bD8D104Bed493;
    address private constant COLLECTION = address(0xc0);

    DelegateRegistry private delegates = DelegateRegistry(CANONICAL);

    function setUp() public override {
        super.setUp();
        vm.etch(CANONICAL, type(DelegateRegistry).runtimeCode);
        vm.startPrank(BOB);
    }

    function check(uint256 tokenId, bytes32 rights) private view returns (bool) {
        return delegates.checkDelegateForERC721(ALICE, BOB, COLLECTION, tokenId, rights);
    }

    function test_aTokensDelegationCoversItsRightsOnly() external {
        assertFalse(check(1, OPERATE));
        vm.expectEmit(CANONICAL);
        emit DelegateRegistry.DelegateERC721(BOB, ALICE, COLLECTION, 1, OPERATE, true);
        delegates.delegateERC721(ALICE, COLLECTION, 1, OPERATE, true);
        assertTrue(check(1, OPERATE));
        assertFalse(check(2, OPERATE));
        assertFalse(check(1, keccak256("other")));
        assertFalse(check(1, ""));
        assertFalse(delegates.checkDelegateForERC721(STRANGER, BOB, COLLECTION, 1, OPERATE));
        assertFalse(delegates.checkDelegateForERC721(ALICE, STRANGER, COLLECTION, 1, OPERATE));

        delegates.delegateERC721(ALICE, COLLECTION, 1, OPERATE, false);
        assertFalse(check(1, OPERATE));
    }

    function test_noRightsAreAllRights() external {
        delegates.delegateERC721(ALICE, COLLECTION, 1, "", true);
        assertTrue(check(1, OPERATE));
        assertTrue(check(1, ""));
    }

    function test_aContractsDelegationCoversItsTokens() external {
        vm.expectEmit(CANONICAL);
        emit DelegateRegistry.DelegateContract(BOB, ALICE, COLLECTION, OPERATE, true);
        delegates.delegateContract(ALICE, COLLECTION, OPERATE, true);
        assertTrue(check(7, OPERATE));
        assertFalse(delegates.checkDelegateForERC721(ALICE, BOB, address(0xc1), 7, OPERATE));
    }

    function test_aFullDelegationCoversEverything() external {
        vm.expectEmit(CANONICAL);
        emit DelegateRegistry.DelegateAll(BOB, ALICE, "", true);
        delegates.delegateAll(ALICE, "", true);
        assertTrue(check(7, OPERATE));
        assertTrue(delegates.checkDelegateForERC721(ALICE, BOB, address(0xc1), 7, ""));
    }

    function test_nobodyDelegatesForZero() external view {
        assertFalse(delegates.checkDelegateForERC721(ALICE, address(0), COLLECTION, 1, ""));
    }
}

contract Multicall3Test is BaseTest {
    Multicall3 private multicall = Multicall3(0xcA11bde05977b3631167028862bE2a173976CA11);

    function setUp() public override {
        super.setUp();
        vm.etch(address(multicall), type(Multicall3).runtimeCode);
    }

    function calls(bool allowFailure) private view returns (Multicall3.Call3[] memory list) {
        list = new Multicall3.Call3[](2);
        list[0] = Multicall3.Call3(address(token), false, abi.encodeCall(token.totalSupply, ()));
        list[1] = Multicall3.Call3(address(token), allowFailure, hex"deadbeef");
    }

    function test_answersInOrder() external {
        Multicall3.Result[] memory results = multicall.aggregate3(calls(true));
        assertTrue(results[0].success);
        assertEq(abi.decode(results[0].returnData, (uint256)), token.totalSupply());
        assertFalse(results[1].success);
    }

    function test_revertWhen_aCallFailsThatMustNot() external {
        vm.expectRevert(abi.encodeWithSelector(Multicall3.CallFailed.selector, 1, address(token), bytes("")));
        multicall.aggregate3(calls(false));
    }
}
