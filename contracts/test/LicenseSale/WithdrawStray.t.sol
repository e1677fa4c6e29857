// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LicenseSale} from "../../src/LicenseSale.sol";
import {ILicenseSale} from "../../src/interfaces/ILicenseSale.sol";
import {HookToken, PlainToken, SharedToken} from "../hostile/Tokens.sol";
import {SaleBase} from "./SaleBase.sol";

contract WithdrawStrayTest is SaleBase {
    PlainToken private stray;

    function setUp() public override {
        super.setUp();
        setCodes();
        vm.startPrank(ALICE);
        sale.buy{value: 95 * UNIT}(orderWith(ALICE, 1, REFERRAL));
        tokenSale.buy(orderWith(ALICE, 1, REFERRAL));
        vm.stopPrank();
        stray = new PlainToken(6);
        stray.mint(address(sale), 5);
        stray.mint(address(tokenSale), 5);
    }

    function test_paysWhatCameByMistake() external {
        LicenseSale[2] memory sales = [sale, tokenSale];
        for (uint256 i; i < sales.length; ++i) {
            vm.expectEmit(address(sales[i]));
            emit ILicenseSale.StrayWithdrawn(address(stray), BOB, 3);
            vm.prank(OWNER);
            sales[i].withdrawStrayToken(address(stray), BOB, 3);
            assertEq(stray.balanceOf(BOB), 3 * (i + 1));
            assertEq(sales[i].proceeds(), 76 * UNIT);
            assertEq(sales[i].rewardsOwed(), 19 * UNIT);
        }
    }

    /// @dev In a sale for coins any token is stray, even one in which another sale is paid.
    function test_aSaleForCoinsHoldsNoTokens() external {
        token.mint(address(sale), 7);
        vm.prank(OWNER);
        sale.withdrawStrayToken(address(token), BOB, 7);
        assertEq(token.balanceOf(BOB), 1000 ether + 7);
    }

    function test_revertWhen_notTheOwner() external {
        expectNotOwner(DAVE);
        vm.prank(DAVE);
        sale.withdrawStrayToken(address(stray), DAVE, 5);
    }

    function test_revertWhen_theRecipientIsNone() external {
        address[2] memory bad = [address(0), address(sale)];
        vm.startPrank(OWNER);
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ILicenseSale.InvalidRecipient.selector, bad[i]));
            sale.withdrawStrayToken(address(stray), bad[i], 5);
        }
    }

    function test_revertWhen_itIsWhatTheSaleIsPaidIn() external {
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.NotStray.selector, address(token)));
        vm.prank(OWNER);
        tokenSale.withdrawStrayToken(address(token), OWNER, 1);
    }

    function test_revertWhen_itIsWhatTheSaleIsPaidInUnderAnotherAddress() external {
        SharedToken shared = new SharedToken();
        (, LicenseSale sharedSale) = newSale(address(shared), 0, 0);
        shared.mint(address(sharedSale), 9);
        address second = address(shared.SECOND());
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.BalanceFell.selector, 9, 8));
        vm.prank(OWNER);
        sharedSale.withdrawStrayToken(second, OWNER, 1);
    }

    /// @dev The token's hook claims dave's reward, which it may not while the sale pays.
    function test_refusesCallsBack() external {
        HookToken hook = new HookToken();
        hook.mint(address(sale), 5);
        hook.setHook(address(sale), abi.encodeCall(ILicenseSale.claimReward, (DAVE)));
        vm.prank(OWNER);
        sale.withdrawStrayToken(address(hook), OWNER, 5);
        assertEq(hook.refusals(), 1);
        assertEq(bytes4(hook.lastRefusal()), bytes4(keccak256("ReentrancyGuardReentrantCall()")));
    }
}
