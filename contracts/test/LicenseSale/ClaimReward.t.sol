// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ILicenseSale} from "../../src/interfaces/ILicenseSale.sol";
import {SaleBase} from "./SaleBase.sol";
import {Reentrant} from "./SaleMocks.sol";

contract ClaimRewardTest is SaleBase {
    function setUp() public override {
        super.setUp();
        setCodes();
        // 100 units less 5 percent, of which 20 percent: 19 units.
        vm.startPrank(ALICE);
        sale.buy{value: 95 * UNIT}(orderWith(ALICE, 1, REFERRAL));
        tokenSale.buy(orderWith(ALICE, 1, REFERRAL));
        vm.stopPrank();
    }

    function test_revertWhen_theRecipientIsNone() external {
        vm.startPrank(DAVE);
        address[2] memory bad = [address(0), address(sale)];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ILicenseSale.InvalidRecipient.selector, bad[i]));
            sale.claimReward(bad[i]);
        }
    }

    function test_revertWhen_nothingIsOwed() external {
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.NothingOwed.selector, ALICE));
        vm.prank(ALICE);
        sale.claimReward(ALICE);
    }

    function test_paysOnce() external {
        vm.prank(OWNER);
        sale.pause();
        vm.warp(END + 1);
        vm.startPrank(DAVE);
        vm.expectEmit(address(sale));
        emit ILicenseSale.RewardClaimed(DAVE, BOB, 19 * UNIT);
        assertEq(sale.claimReward(BOB), 19 * UNIT);
        assertEq(BOB.balance, 1000 ether + 19 * UNIT);
        assertEq(sale.rewardOf(DAVE), 0);
        assertEq(sale.rewardsOwed(), 0);
        assertEq(sale.proceeds(), 76 * UNIT);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.NothingOwed.selector, DAVE));
        sale.claimReward(BOB);
    }

    function test_paysTokens() external {
        vm.prank(DAVE);
        assertEq(tokenSale.claimReward(DAVE), 19 * UNIT);
        assertEq(token.balanceOf(DAVE), 1000 ether + 19 * UNIT);
        assertEq(tokenSale.proceeds(), 76 * UNIT);
    }

    function test_whenRefusedAnotherRecipientIsPaid() external {
        Reentrant refusing = new Reentrant(sale);
        refusing.prepare("", true);
        vm.startPrank(DAVE);
        vm.expectRevert(
            abi.encodeWithSelector(ILicenseSale.CoinsRefused.selector, address(refusing), 19 * UNIT)
        );
        sale.claimReward(address(refusing));
        assertEq(sale.rewardOf(DAVE), 19 * UNIT);
        sale.claimReward(CAROL);
        assertEq(CAROL.balance, 1000 ether + 19 * UNIT);
    }
}
