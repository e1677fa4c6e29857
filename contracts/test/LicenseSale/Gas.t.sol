// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SaleBase} from "./SaleBase.sol";

/// @dev Gas of whole transactions (isolated, with their base cost and calldata) in the native coin, in
/// the steady state: others have bought before; the buyer is new. The figures are committed in
/// contracts/snapshots.
contract SaleGasTest is SaleBase {
    function setUp() public override {
        super.setUp();
        buyAs(BOB, 2, 1 ether);
    }

    /// forge-config: default.isolate = true
    function test_gas_mint1() external {
        vm.prank(ALICE);
        sale.buy{value: 100 * UNIT}(orderOf(ALICE, 1));
        vm.snapshotGasLastCall("LicenseSale", "mint1");
    }

    /// forge-config: default.isolate = true
    function test_gas_mint50() external {
        vm.prank(ALICE);
        sale.buy{value: 20 ether}(orderOf(ALICE, 50));
        vm.snapshotGasLastCall("LicenseSale", "mint50");
    }
}
