// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LicenseSale} from "../../src/LicenseSale.sol";
import {NodeLicense} from "../../src/NodeLicense.sol";
import {Code, ILicenseSale, Order, SaleParams} from "../../src/interfaces/ILicenseSale.sol";
import {INodeLicense} from "../../src/interfaces/INodeLicense.sol";
import {SaleBase} from "./SaleBase.sol";

contract BuyTest is SaleBase {
    bytes32 private immutable PROMO_HASH = keccak256(bytes(PROMO));

    function refuse(address buyer, Order memory order, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(buyer);
        sale.buy{value: 100 ether}(order);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_paused() external {
        vm.prank(OWNER);
        sale.pause();
        refuse(ALICE, orderOf(ALICE, 1), abi.encodeWithSelector(ILicenseSale.Paused.selector));
    }

    function test_revertWhen_outsideTheWindow() external {
        vm.warp(START - 1);
        refuse(
            ALICE,
            orderOf(ALICE, 1),
            abi.encodeWithSelector(ILicenseSale.NotStarted.selector, START, START - 1)
        );
        vm.warp(END);
        refuse(ALICE, orderOf(ALICE, 1), abi.encodeWithSelector(ILicenseSale.Ended.selector, END, END));
        vm.warp(END - 1);
        buyAs(ALICE, 1, 100 ether);
    }

    function test_revertWhen_theRecipientIsNone() external {
        address[2] memory bad = [address(0), address(sale)];
        for (uint256 i; i < bad.length; ++i) {
            refuse(
                ALICE,
                orderOf(bad[i], 1),
                abi.encodeWithSelector(ILicenseSale.InvalidRecipient.selector, bad[i])
            );
        }
    }

    function test_revertWhen_theCountIsZeroOrMoreThanIsLeft() external {
        refuse(ALICE, orderOf(ALICE, 0), abi.encodeWithSelector(ILicenseSale.InvalidCount.selector, 0));
        buyAs(BOB, 1, 100 ether);
        uint256[2] memory bad = [uint256(60), type(uint256).max];
        for (uint256 i; i < bad.length; ++i) {
            refuse(
                ALICE,
                orderOf(ALICE, bad[i]),
                abi.encodeWithSelector(ILicenseSale.NotEnoughLeft.selector, bad[i], 59)
            );
        }
    }

    function test_revertWhen_theCodeIsUnknown() external {
        bytes32 hash = keccak256("nonsense");
        refuse(
            ALICE,
            orderWith(ALICE, 1, "nonsense"),
            abi.encodeWithSelector(ILicenseSale.UnknownCode.selector, hash)
        );
    }

    function test_revertWhen_theCodeIsSpent() external {
        setCodes();
        vm.prank(BOB);
        sale.buy{value: 100 ether}(orderWith(BOB, 39, PROMO));
        assertEq(sale.codeOf(PROMO_HASH).licensesLeft, 1);
        refuse(
            ALICE,
            orderWith(ALICE, 2, PROMO),
            abi.encodeWithSelector(ILicenseSale.CodeSpent.selector, PROMO_HASH, 2, 1)
        );
        vm.prank(OWNER);
        sale.setCode(PROMO_HASH, Code(address(0), 1000, 0, 0));
        refuse(
            ALICE,
            orderWith(ALICE, 1, PROMO),
            abi.encodeWithSelector(ILicenseSale.CodeSpent.selector, PROMO_HASH, 1, 0)
        );
    }

    function test_revertWhen_referredToOneself() external {
        setCodes();
        bytes memory reason = abi.encodeWithSelector(ILicenseSale.SelfReferral.selector, DAVE);
        refuse(DAVE, orderWith(ALICE, 1, REFERRAL), reason);
        refuse(ALICE, orderWith(DAVE, 1, REFERRAL), reason);
    }

    function test_revertWhen_aboveTheWalletCap() external {
        (licenses, sale) = newSale(address(0), 5, 0);
        buyAs(ALICE, 3, 100 ether);
        // Other recipients do not help.
        refuse(
            ALICE,
            orderOf(BOB, 3),
            abi.encodeWithSelector(ILicenseSale.WalletCapExceeded.selector, ALICE, 3, 3, 5)
        );
        buyAs(ALICE, 2, 100 ether);
        refuse(
            ALICE,
            orderOf(ALICE, 1),
            abi.encodeWithSelector(ILicenseSale.WalletCapExceeded.selector, ALICE, 5, 1, 5)
        );
        buyAs(BOB, 5, 100 ether);
    }

    function test_revertWhen_notOnTheAllowlist() external {
        (bytes32 root, bytes32[] memory aliceProof, bytes32[] memory bobProof) = allowlistOf(3, 4);
        (licenses, sale) = newSale(address(0), 0, root);
        Order memory order = orderOf(ALICE, 1);
        order.allowance = 3;
        bytes memory reason = abi.encodeWithSelector(ILicenseSale.NotOnAllowlist.selector, ALICE, 3, root);
        refuse(ALICE, order, reason);
        order.proof = bobProof;
        refuse(ALICE, order, reason);
        order.proof = new bytes32[](300);
        order.proof[0] = aliceProof[0];
        refuse(ALICE, order, reason);
        order.proof = aliceProof;
        order.allowance = 4;
        refuse(ALICE, order, abi.encodeWithSelector(ILicenseSale.NotOnAllowlist.selector, ALICE, 4, root));
        order.allowance = 3;
        refuse(CAROL, order, abi.encodeWithSelector(ILicenseSale.NotOnAllowlist.selector, CAROL, 3, root));
    }

    function test_revertWhen_theAllowanceIsExceeded() external {
        (bytes32 root, bytes32[] memory proof,) = allowlistOf(3, 4);
        (licenses, sale) = newSale(address(0), 0, root);
        Order memory order = orderOf(ALICE, 2);
        (order.allowance, order.proof) = (3, proof);
        vm.prank(ALICE);
        sale.buy{value: 100 ether}(order);
        refuse(ALICE, order, abi.encodeWithSelector(ILicenseSale.AllowanceExceeded.selector, ALICE, 2, 2, 3));
        order.count = 1;
        vm.prank(ALICE);
        sale.buy{value: 100 ether}(order);
        assertEq(sale.bought(ALICE), 3);
    }

    function test_theWalletCapHoldsBesidesTheAllowance() external {
        (bytes32 root, bytes32[] memory proof,) = allowlistOf(3, 4);
        (licenses, sale) = newSale(address(0), 2, root);
        Order memory order = orderOf(ALICE, 3);
        (order.allowance, order.proof) = (3, proof);
        refuse(ALICE, order, abi.encodeWithSelector(ILicenseSale.WalletCapExceeded.selector, ALICE, 0, 3, 2));
    }

    function test_revertWhen_theCostIsAboveTheMaximum() external {
        Order memory order = orderOf(ALICE, 11);
        order.maxCost = 1200 * UNIT - 1;
        refuse(
            ALICE,
            order,
            abi.encodeWithSelector(ILicenseSale.CostAboveMax.selector, 1200 * UNIT, 1200 * UNIT - 1)
        );
        order.maxCost = 1200 * UNIT;
        vm.prank(ALICE);
        sale.buy{value: 100 ether}(order);
    }

    function test_revertWhen_notTheMinter() external {
        vm.prank(OWNER);
        licenses.setMinter(BOB);
        refuse(
            ALICE,
            orderOf(ALICE, 1),
            abi.encodeWithSelector(INodeLicense.NotMinter.selector, address(sale), BOB)
        );
        assertEq(ALICE.balance, 1000 ether);
    }

    function test_revertWhen_theCoinsDoNotCoverTheCost() external {
        vm.expectRevert(
            abi.encodeWithSelector(ILicenseSale.PaymentTooLow.selector, 100 * UNIT - 1, 100 * UNIT)
        );
        vm.prank(ALICE);
        sale.buy{value: 100 * UNIT - 1}(orderOf(ALICE, 1));
    }

    function test_revertWhen_coinsAreSentToATokenSale() external {
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.UnexpectedPayment.selector, 1));
        vm.prank(ALICE);
        tokenSale.buy{value: 1}(orderOf(ALICE, 1));
    }

    function test_revertWhen_coinsAreSentWithoutAnOrder() external {
        vm.prank(ALICE);
        (bool success,) = address(sale).call{value: 1}("");
        assertFalse(success);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                         SOLD
    //////////////////////////////////////////////////////////////////////////*/

    function test_sellsAcrossTiersForExactlyTheSum() external {
        vm.expectEmit(address(sale));
        emit ILicenseSale.Sold(ALICE, BOB, 0, 1, 33, 6050 * UNIT, 0, address(0), 0);
        vm.prank(ALICE);
        (uint256 first, uint256 cost) = sale.buy{value: 10 ether}(orderOf(BOB, 33));
        assertEq(first, 1);
        // 10 at 100, 20 at 200, 3 at 350.
        assertEq(cost, 6050 * UNIT);
        assertEq(ALICE.balance, 1000 ether - 6050 * UNIT);
        assertEq(address(sale).balance, 6050 * UNIT);
        assertEq(sale.proceeds(), 6050 * UNIT);
        assertEq(licenses.balanceOf(BOB), 33);
        assertEq(sale.state().price, 350 * UNIT);
        assertEq(sale.state().leftAtPrice, 27);

        (first,) = buyAs(BOB, 27, 27 * 350 * UNIT);
        assertEq(first, 34);
        assertEq(sale.state().sold, SUPPLY);
        assertEq(sale.state().price, 0);
        assertEq(sale.state().leftAtPrice, 0);
    }

    function test_aTierThatIsSoldOutEndsWithItsLastLicense() external {
        (, uint256 cost) = buyAs(ALICE, 10, 100 ether);
        assertEq(cost, 1000 * UNIT);
        assertEq(sale.state().price, 200 * UNIT);
        assertEq(sale.state().leftAtPrice, 20);
        (, cost) = buyAs(ALICE, 1, 100 ether);
        assertEq(cost, 200 * UNIT);
    }

    function test_sellsForTokens() external {
        vm.expectEmit(address(tokenSale));
        emit ILicenseSale.Sold(ALICE, ALICE, 0, 1, 11, 1200 * UNIT, 0, address(0), 0);
        vm.prank(ALICE);
        (, uint256 cost) = tokenSale.buy(orderOf(ALICE, 11));
        assertEq(cost, 1200 * UNIT);
        assertEq(token.balanceOf(ALICE), 1000 ether - 1200 * UNIT);
        assertEq(token.balanceOf(address(tokenSale)), 1200 * UNIT);
        assertEq(tokenSale.proceeds(), 1200 * UNIT);
        assertEq(tokenLicenses.balanceOf(ALICE), 11);
    }

    function test_aCodeTakesTheDiscountOff() external {
        setCodes();
        vm.expectEmit(address(sale));
        emit ILicenseSale.Sold(ALICE, ALICE, PROMO_HASH, 1, 11, 1200 * UNIT, 120 * UNIT, address(0), 0);
        vm.prank(ALICE);
        (, uint256 cost) = sale.buy{value: 1080 * UNIT}(orderWith(ALICE, 11, PROMO));
        assertEq(cost, 1080 * UNIT);
        assertEq(sale.codeOf(PROMO_HASH).licensesLeft, 29);
        assertEq(sale.rewardsOwed(), 0);
    }

    function test_aReferralOwesTheReward() external {
        setCodes();
        bytes32 hash = keccak256(bytes(REFERRAL));
        // 5 percent off 1200 is 1140; 20 percent of that is 228.
        vm.expectEmit(address(tokenSale));
        emit ILicenseSale.Sold(ALICE, BOB, hash, 1, 11, 1200 * UNIT, 60 * UNIT, DAVE, 228 * UNIT);
        vm.prank(ALICE);
        (, uint256 cost) = tokenSale.buy(orderWith(BOB, 11, REFERRAL));
        assertEq(cost, 1140 * UNIT);
        assertEq(tokenSale.rewardOf(DAVE), 228 * UNIT);
        assertEq(tokenSale.rewardsOwed(), 228 * UNIT);
        assertEq(tokenSale.proceeds(), 912 * UNIT);
    }

    function test_theAllowlistCountsWhatWasBoughtUnderACap() external {
        (licenses, sale) = newSale(address(0), 5, 0);
        buyAs(ALICE, 2, 100 ether);
        (bytes32 root, bytes32[] memory proof,) = allowlistOf(3, 4);
        vm.prank(OWNER);
        sale.setAllowlist(root);
        Order memory order = orderOf(ALICE, 2);
        (order.allowance, order.proof) = (3, proof);
        refuse(ALICE, order, abi.encodeWithSelector(ILicenseSale.AllowanceExceeded.selector, ALICE, 2, 2, 3));
    }

    function test_withoutAnAllowlistAProofIsNotRead() external {
        Order memory order = orderOf(ALICE, 1);
        order.proof = new bytes32[](3);
        vm.prank(ALICE);
        sale.buy{value: 100 ether}(order);
        assertEq(licenses.balanceOf(ALICE), 1);
    }

    function test_withoutACapAndAnAllowlistNothingIsCounted() external {
        buyAs(ALICE, 2, 100 ether);
        assertEq(sale.bought(ALICE), 0);
        (bytes32 root, bytes32[] memory proof,) = allowlistOf(3, 4);
        vm.prank(OWNER);
        sale.setAllowlist(root);
        Order memory order = orderOf(BOB, 3);
        (order.allowance, order.proof) = (3, proof);
        vm.prank(ALICE);
        sale.buy{value: 100 ether}(order);
        assertEq(sale.bought(ALICE), 3);
        assertEq(sale.bought(BOB), 0);
        order.count = 1;
        refuse(ALICE, order, abi.encodeWithSelector(ILicenseSale.AllowanceExceeded.selector, ALICE, 3, 1, 3));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                         FUZZ
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Two purchases cost what one by one would, whatever the border between them, and the same
    /// as one purchase of all.
    function testFuzz_costsExactlyTheSum(uint256 first, uint256 second) external {
        first = bound(first, 1, SUPPLY - 1);
        second = bound(second, 1, SUPPLY - first);
        (uint256 together,) = sale.quote(first + second, "");
        (, uint256 cost) = buyAs(ALICE, first, 100 ether);
        assertEq(cost, priceOf(0, first));
        (uint256 quoted,) = sale.quote(second, "");
        (, uint256 secondCost) = buyAs(BOB, second, 100 ether);
        assertEq(secondCost, priceOf(first, first + second));
        assertEq(secondCost, quoted);
        assertEq(together, cost + secondCost);
        assertEq(address(sale).balance, together);
        assertEq(ALICE.balance + BOB.balance, 2000 ether - together);
    }

    /// @dev Odd prices and every allowed rate: the discount and the reward are rounded down, and the
    /// parts add up.
    function testFuzz_roundsDown(
        uint128 price,
        uint16 discountBps,
        uint16 rewardBps,
        uint256 count
    ) external {
        discountBps = uint16(bound(discountBps, 0, 5000));
        rewardBps = uint16(bound(rewardBps, 1, 3000));
        count = bound(count, 1, 10);
        price = uint128(bound(price, 0, type(uint128).max - 2));
        NodeLicense collection = newCollection();
        LicenseSale odd = saleAt(collection, price);
        vm.prank(OWNER);
        odd.setCode(keccak256("c"), Code(DAVE, discountBps, rewardBps, 10));

        uint256 gross = price * count;
        uint256 discount = gross * discountBps / 10_000;
        vm.deal(ALICE, gross);
        vm.prank(ALICE);
        (, uint256 cost) = odd.buy{value: gross}(orderWith(ALICE, count, "c"));
        assertEq(cost, gross - discount);
        assertEq(ALICE.balance, discount);
        assertEq(odd.rewardOf(DAVE), cost * rewardBps / 10_000);
        assertEq(odd.proceeds() + odd.rewardOf(DAVE), cost);
        assertGe(odd.proceeds(), cost * 7000 / 10_000);
    }

    function saleAt(NodeLicense collection, uint128 price) private returns (LicenseSale odd) {
        odd = new LicenseSale(paramsAt(collection, price));
        vm.prank(OWNER);
        collection.setMinter(address(odd));
    }

    function paramsAt(NodeLicense collection, uint128 price) private view returns (SaleParams memory params) {
        params = defaultParams(address(collection), address(0), 0, 0);
        for (uint128 i; i < 3; ++i) {
            params.tiers[i].price = price + i;
        }
    }
}
