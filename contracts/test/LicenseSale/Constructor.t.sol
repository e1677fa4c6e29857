// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {LicenseSale} from "../../src/LicenseSale.sol";
import {ILicenseSale, SaleParams, SaleState, Tier} from "../../src/interfaces/ILicenseSale.sol";
import {SaleBase} from "./SaleBase.sol";

contract ConstructorTest is SaleBase {
    function params() private view returns (SaleParams memory) {
        return defaultParams(address(licenses), address(token), 7, keccak256("root"));
    }

    function refuse(SaleParams memory bad, bytes memory reason) private {
        vm.expectRevert(reason);
        new LicenseSale(bad);
    }

    function test_revertWhen_theOwnerIsZero() external {
        SaleParams memory bad = params();
        bad.owner = address(0);
        refuse(bad, abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
    }

    function test_revertWhen_theCollectionHasNoCode() external {
        SaleParams memory bad = params();
        bad.collection = ALICE;
        refuse(bad, abi.encodeWithSelector(ILicenseSale.InvalidCollection.selector, ALICE));
    }

    function test_revertWhen_thePaymentTokenHasNoCode() external {
        SaleParams memory bad = params();
        bad.paymentToken = ALICE;
        refuse(bad, abi.encodeWithSelector(ILicenseSale.InvalidPaymentToken.selector, ALICE));
    }

    function test_revertWhen_thereIsNoTierOrTooMany() external {
        SaleParams memory bad = params();
        bad.tiers = new Tier[](0);
        refuse(bad, abi.encodeWithSelector(ILicenseSale.InvalidTierCount.selector, 0, 100));
        bad.tiers = new Tier[](101);
        refuse(bad, abi.encodeWithSelector(ILicenseSale.InvalidTierCount.selector, 101, 100));
    }

    function test_revertWhen_aTierIsEmptyOrNotDearer() external {
        SaleParams memory bad = params();
        bad.tiers[1].count = 0;
        refuse(bad, abi.encodeWithSelector(ILicenseSale.InvalidTier.selector, 1, 200 * UNIT, 0, 100 * UNIT));
        bad = params();
        bad.tiers[0].count = 0;
        refuse(bad, abi.encodeWithSelector(ILicenseSale.InvalidTier.selector, 0, 100 * UNIT, 0, 0));
        bad = params();
        bad.tiers[2].price = bad.tiers[1].price;
        refuse(bad, abi.encodeWithSelector(ILicenseSale.InvalidTier.selector, 2, 200 * UNIT, 30, 200 * UNIT));
    }

    function test_revertWhen_theSaleEndsBeforeItStarts() external {
        SaleParams memory bad = params();
        bad.endsAt = bad.startsAt;
        refuse(bad, abi.encodeWithSelector(ILicenseSale.InvalidWindow.selector, START, START));
    }

    function test_keepsItsParameters() external {
        vm.expectEmit();
        emit ILicenseSale.SaleCreated(address(licenses), address(token), defaultTiers());
        vm.expectEmit();
        emit ILicenseSale.WindowSet(START, END);
        vm.expectEmit();
        emit ILicenseSale.WalletCapSet(7);
        vm.expectEmit();
        emit ILicenseSale.AllowlistSet(keccak256("root"));
        LicenseSale made = new LicenseSale(params());
        assertEq(made.owner(), OWNER);
        assertEq(abi.encode(made.tiers()), abi.encode(defaultTiers()));
        assertEq(
            abi.encode(made.state()),
            abi.encode(
                SaleState({
                    collection: address(licenses),
                    paymentToken: address(token),
                    startsAt: START,
                    endsAt: END,
                    paused: false,
                    walletCap: 7,
                    allowlistRoot: keccak256("root"),
                    sold: 0,
                    supply: SUPPLY,
                    price: 100 * UNIT,
                    leftAtPrice: 10,
                    proceeds: 0,
                    rewardsOwed: 0
                })
            )
        );
    }

    /// @dev The largest sale there can be: no sum overflows.
    function test_theLargestSale() external {
        SaleParams memory largest = params();
        largest.tiers = new Tier[](100);
        uint128 price = type(uint128).max - 100;
        for (uint256 i; i < 100; ++i) {
            largest.tiers[i] = Tier(price++, type(uint32).max);
        }
        LicenseSale made = new LicenseSale(largest);
        uint256 supply = 100 * uint256(type(uint32).max);
        assertEq(made.state().supply, supply);
        assertEq(abi.encode(made.tiers()), abi.encode(largest.tiers));
        (uint256 gross,) = made.quote(supply, "");
        // The mean price is half a unit above the fiftieth of these.
        assertEq(gross, supply * (uint256(type(uint128).max) - 51) + supply / 2);
    }

    function test_theFirstTierMayBeFree() external {
        SaleParams memory free = params();
        free.tiers[0].price = 0;
        assertEq(new LicenseSale(free).state().price, 0);
    }
}
