// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ILicenseSale} from "../../src/interfaces/ILicenseSale.sol";
import {SaleBase} from "./SaleBase.sol";

contract QuoteTest is SaleBase {
    function test_revertWhen_theCountIsZeroOrMoreThanIsLeft() external {
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.InvalidCount.selector, 0));
        sale.quote(0, "");
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.NotEnoughLeft.selector, 61, 60));
        sale.quote(61, "");
    }

    function test_revertWhen_theCodeIsUnknownOrSpent() external {
        setCodes();
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.UnknownCode.selector, keccak256("early-bird")));
        sale.quote(1, "early-bird");
        vm.expectRevert(
            abi.encodeWithSelector(ILicenseSale.CodeSpent.selector, keccak256(bytes(PROMO)), 41, 40)
        );
        sale.quote(41, PROMO);
    }

    function test_quotes() external {
        setCodes();
        (uint256 gross, uint256 discount) = sale.quote(31, REFERRAL);
        assertEq(gross, 5350 * UNIT);
        assertEq(discount, 5350 * UNIT / 20);
        (gross, discount) = sale.quote(31, "");
        assertEq(gross, 5350 * UNIT);
        assertEq(discount, 0);
        assertEq(sale.state().sold, 0);

        // Also before the sale and to those who may not buy.
        vm.warp(START - 1);
        (gross,) = sale.quote(1, "");
        assertEq(gross, 100 * UNIT);
    }
}
