// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {LicenseSale} from "../../src/LicenseSale.sol";
import {Code, ILicenseSale, Order, SaleParams} from "../../src/interfaces/ILicenseSale.sol";
import {SaleBase} from "./SaleBase.sol";
import {CallingCollection, OddToken, Oddity, Reentrant} from "./SaleMocks.sol";

contract HostileTest is SaleBase {
    OddToken private odd;

    function oddSale(Oddity oddity) private {
        odd = new OddToken(oddity);
        (licenses, sale) = newSale(address(odd), 0, 0);
        vm.prank(OWNER);
        sale.setCode(keccak256(bytes(REFERRAL)), Code(DAVE, 500, 2000, 40));
        odd.mint(ALICE, 1000 ether);
        vm.prank(ALICE);
        odd.approve(address(sale), type(uint256).max);
    }

    function refuse(bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(ALICE);
        sale.buy(orderOf(ALICE, 1));
        assertEq(licenses.totalSupply(), 0);
        assertEq(sale.state().sold, 0);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        TOKENS
    //////////////////////////////////////////////////////////////////////////*/

    function test_refusesATokenThatDoesNotBringTheCost() external {
        uint256 cost = 100 * UNIT;
        bytes4 notExact = ILicenseSale.PaymentNotExact.selector;
        oddSale(Oddity.TakesAFee);
        refuse(abi.encodeWithSelector(notExact, cost, 0, cost - 1));
        oddSale(Oddity.AddsABonus);
        refuse(abi.encodeWithSelector(notExact, cost, 0, cost + 1));
        oddSale(Oddity.TakesFromTheReceiver);
        odd.mint(address(sale), 5);
        refuse(abi.encodeWithSelector(notExact, cost, 5, 0));
    }

    function test_refusesATokenThatAnswersFalse() external {
        oddSale(Oddity.AnswersFalse);
        refuse(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(odd)));
    }

    function test_refusesWithoutAllowanceOrBalance() external {
        oddSale(Oddity.None);
        vm.prank(ALICE);
        odd.approve(address(sale), 1);
        refuse(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientAllowance.selector, address(sale), 1, 100 * UNIT
            )
        );
        vm.prank(ALICE);
        odd.approve(address(sale), type(uint256).max);
        odd.burnFrom(ALICE, 1000 ether - 1);
        refuse(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, ALICE, 1, 100 * UNIT));
    }

    function test_worksWithATokenThatAnswersNothing() external {
        oddSale(Oddity.AnswersNothing);
        wholeSale();
    }

    function test_worksWithSixDecimals() external {
        oddSale(Oddity.None);
        assertEq(odd.decimals(), 6);
        wholeSale();
    }

    function wholeSale() private {
        vm.prank(ALICE);
        sale.buy(orderWith(ALICE, 1, REFERRAL));
        vm.prank(DAVE);
        assertEq(sale.claimReward(DAVE), 19 * UNIT);
        vm.prank(OWNER);
        assertEq(sale.withdrawProceeds(OWNER), 76 * UNIT);
        assertEq(odd.balanceOf(DAVE), 19 * UNIT);
        assertEq(odd.balanceOf(OWNER), 76 * UNIT);
        assertEq(odd.balanceOf(address(sale)), 0);
    }

    function test_transfersNothingWhenNothingIsDue() external {
        odd = new OddToken(Oddity.RevertsOnZero);
        licenses = newCollection();
        SaleParams memory params = defaultParams(address(licenses), address(odd), 0, 0);
        params.tiers[0].price = 0;
        sale = new LicenseSale(params);
        vm.prank(OWNER);
        licenses.setMinter(address(sale));
        vm.prank(ALICE);
        (, uint256 cost) = sale.buy(orderOf(ALICE, 10));
        assertEq(cost, 0);
        assertEq(licenses.balanceOf(ALICE), 10);
    }

    function test_aBlocklistStopsWhomItConcerns() external {
        oddSale(Oddity.None);
        odd.setBlocked(ALICE, true);
        refuse(abi.encodeWithSelector(OddToken.Blocked.selector, ALICE));
        odd.setBlocked(ALICE, false);
        vm.prank(ALICE);
        sale.buy(orderWith(ALICE, 1, REFERRAL));

        odd.setBlocked(DAVE, true);
        vm.expectRevert(abi.encodeWithSelector(OddToken.Blocked.selector, DAVE));
        vm.prank(DAVE);
        sale.claimReward(DAVE);
        vm.prank(DAVE);
        assertEq(sale.claimReward(CAROL), 19 * UNIT);
        vm.prank(OWNER);
        assertEq(sale.withdrawProceeds(OWNER), 76 * UNIT);
    }

    function test_rewardsComeBeforeProceedsWhenATokenRebases() external {
        oddSale(Oddity.None);
        vm.prank(ALICE);
        sale.buy(orderWith(ALICE, 1, REFERRAL));
        odd.burnFrom(address(sale), 76 * UNIT);
        assertEq(sale.proceeds(), 0);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.NothingOwed.selector, OWNER));
        vm.prank(OWNER);
        sale.withdrawProceeds(OWNER);
        odd.burnFrom(address(sale), 1);
        assertEq(sale.proceeds(), 0);
        odd.mint(address(sale), 1);
        vm.prank(DAVE);
        assertEq(sale.claimReward(DAVE), 19 * UNIT);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REENTRY
    //////////////////////////////////////////////////////////////////////////*/

    bytes private entered =
        abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);

    /// @dev All that a reentrant account may try.
    function attempts(address account) private pure returns (bytes[3] memory) {
        return [
            abi.encodeCall(LicenseSale.buy, (orderOf(account, 1))),
            abi.encodeCall(LicenseSale.claimReward, (account)),
            abi.encodeCall(LicenseSale.withdrawProceeds, (account))
        ];
    }

    /// @dev Makes the account owner and referrer of the sale, so that only the guard can stop it.
    function empower(Reentrant account) private {
        vm.startPrank(OWNER);
        sale.setCode(keccak256(bytes(REFERRAL)), Code(address(account), 500, 2000, 40));
        sale.transferOwnership(address(account));
        vm.stopPrank();
        account.acceptOwnership();
    }

    function test_aRefundCannotReenter() external {
        Reentrant buyer = new Reentrant(sale);
        empower(buyer);
        bytes[3] memory all = attempts(address(buyer));
        for (uint256 i; i < all.length; ++i) {
            vm.prank(ALICE);
            sale.buy{value: 95 * UNIT}(orderWith(ALICE, 1, REFERRAL));
            buyer.prepare(all[i], false);
            buyer.buy{value: 101 * UNIT}(orderOf(address(buyer), 1));
            assertEq(buyer.refusal(), entered);
            assertEq(address(buyer).balance, (i + 1) * UNIT);
        }
        assertEq(licenses.totalSupply(), 6);
        assertEq(sale.proceeds() + sale.rewardsOwed(), address(sale).balance);
        assertEq(address(sale).balance, 3 * 195 * UNIT);
    }

    function test_aClaimOrWithdrawalCannotReenter() external {
        Reentrant account = new Reentrant(sale);
        empower(account);
        bytes[3] memory all = attempts(address(account));
        for (uint256 i; i < all.length; ++i) {
            vm.prank(ALICE);
            sale.buy{value: 95 * UNIT}(orderWith(ALICE, 1, REFERRAL));
            account.prepare(all[i], false);
            account.claimReward(address(account));
            assertEq(account.refusal(), entered);
            assertEq(address(account).balance, (i * 95 + 19) * UNIT);
            account.prepare(all[i], false);
            account.withdrawProceeds(address(account));
            assertEq(account.refusal(), entered);
            assertEq(address(account).balance, (i + 1) * 95 * UNIT);
        }
        assertEq(address(sale).balance, 0);
    }

    function test_aTokensHooksCannotReenter() external {
        Oddity[2] memory both = [Oddity.CallsTheSender, Oddity.CallsTheReceiver];
        for (uint256 k; k < both.length; ++k) {
            odd = new OddToken(both[k]);
            (licenses, sale) = newSale(address(odd), 0, 0);
            // The hook calls contracts, so the sale must be one that it can call, or be left out.
            vm.mockCall(address(sale), abi.encodeWithSignature("onToken()"), "");
            Reentrant account = new Reentrant(sale);
            empower(account);
            account.approve(odd);
            odd.mint(address(account), 1000 ether);
            odd.mint(ALICE, 1000 ether);
            vm.startPrank(ALICE);
            odd.approve(address(sale), type(uint256).max);
            sale.buy(orderWith(ALICE, 1, REFERRAL));
            vm.stopPrank();

            bytes[3] memory all = attempts(address(account));
            for (uint256 i; i < all.length; ++i) {
                account.prepare(all[i], false);
                if (both[k] == Oddity.CallsTheSender) {
                    account.buy(orderOf(address(account), 1));
                } else if (i != 1) {
                    account.withdrawProceeds(address(account));
                    vm.prank(ALICE);
                    sale.buy(orderWith(ALICE, 1, REFERRAL));
                } else {
                    account.claimReward(address(account));
                }
                assertEq(account.refusal(), entered);
            }
            assertEq(sale.proceeds() + sale.rewardsOwed(), odd.balanceOf(address(sale)));
        }
    }

    function test_aCollectionCannotReenter() external {
        address calling = address(new CallingCollection());
        sale = new LicenseSale(defaultParams(calling, address(0), 0, 0));
        Reentrant buyer = new Reentrant(sale);
        empower(buyer);
        bytes[3] memory all = attempts(address(buyer));
        for (uint256 i; i < all.length; ++i) {
            buyer.prepare(all[i], false);
            buyer.buy{value: 100 * UNIT}(orderOf(address(buyer), 1));
            assertEq(buyer.refusal(), entered);
        }
        assertEq(sale.state().sold, 3);
    }

    function test_aBuyerThatTakesNoRefundPaysExactly() external {
        Reentrant buyer = new Reentrant(sale);
        buyer.prepare("", true);
        Order memory order = orderOf(address(buyer), 1);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.CoinsRefused.selector, address(buyer), 1));
        buyer.buy{value: 100 * UNIT + 1}(order);
        buyer.buy{value: 100 * UNIT}(order);
        assertEq(licenses.balanceOf(address(buyer)), 1);
    }
}
