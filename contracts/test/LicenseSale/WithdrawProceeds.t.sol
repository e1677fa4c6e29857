// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ILicenseSale} from "../../src/interfaces/ILicenseSale.sol";
import {SaleBase} from "./SaleBase.sol";
import {Reentrant} from "./SaleMocks.sol";

contract WithdrawProceedsTest is SaleBase {
    function setUp() public override {
        super.setUp();
        setCodes();
        vm.startPrank(ALICE);
        sale.buy{value: 95 * UNIT}(orderWith(ALICE, 1, REFERRAL));
        tokenSale.buy(orderWith(ALICE, 1, REFERRAL));
        vm.stopPrank();
    }

    function test_revertWhen_notTheOwner() external {
        expectNotOwner(DAVE);
        vm.prank(DAVE);
        sale.withdrawProceeds(DAVE);
    }

    function test_revertWhen_theRecipientIsNone() external {
        vm.startPrank(OWNER);
        address[2] memory bad = [address(0), address(sale)];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ILicenseSale.InvalidRecipient.selector, bad[i]));
            sale.withdrawProceeds(bad[i]);
        }
    }

    function test_paysOnceAndLeavesTheRewards() external {
        vm.startPrank(OWNER);
        vm.expectEmit(address(sale));
        emit ILicenseSale.ProceedsWithdrawn(BOB, 76 * UNIT);
        assertEq(sale.withdrawProceeds(BOB), 76 * UNIT);
        assertEq(BOB.balance, 1000 ether + 76 * UNIT);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.NothingOwed.selector, OWNER));
        sale.withdrawProceeds(BOB);
        vm.stopPrank();
        vm.prank(DAVE);
        assertEq(sale.claimReward(DAVE), 19 * UNIT);
        assertEq(address(sale).balance, 0);
    }

    function test_paysTokens() external {
        vm.prank(OWNER);
        assertEq(tokenSale.withdrawProceeds(OWNER), 76 * UNIT);
        assertEq(token.balanceOf(OWNER), 76 * UNIT);
        assertEq(token.balanceOf(address(tokenSale)), 19 * UNIT);
    }

    function test_paysStrayTokensAndCoins() external {
        token.mint(address(tokenSale), 5);
        vm.deal(address(sale), address(sale).balance + 3);
        vm.startPrank(OWNER);
        assertEq(tokenSale.withdrawProceeds(OWNER), 76 * UNIT + 5);
        assertEq(sale.withdrawProceeds(OWNER), 76 * UNIT + 3);
    }

    function test_revertWhen_theRecipientRefuses() external {
        Reentrant refusing = new Reentrant(sale);
        refusing.prepare("", true);
        vm.startPrank(OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(ILicenseSale.CoinsRefused.selector, address(refusing), 76 * UNIT)
        );
        sale.withdrawProceeds(address(refusing));
        assertEq(sale.proceeds(), 76 * UNIT);
    }
}
