// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Code, ILicenseSale} from "../../src/interfaces/ILicenseSale.sol";
import {SaleBase} from "./SaleBase.sol";

contract OwnerTest is SaleBase {
    function test_revertWhen_notTheOwner() external {
        vm.startPrank(ALICE);
        expectNotOwner(ALICE);
        sale.setWindow(0, 1);
        expectNotOwner(ALICE);
        sale.raiseWalletCap(0);
        expectNotOwner(ALICE);
        sale.setAllowlist(0);
        expectNotOwner(ALICE);
        sale.setCode(keccak256("c"), Code(ALICE, 0, 1, 1));
        expectNotOwner(ALICE);
        sale.pause();
        expectNotOwner(ALICE);
        sale.resume();
        expectNotOwner(ALICE);
        sale.transferOwnership(ALICE);
        expectNotOwner(ALICE);
        sale.renounceOwnership();
    }

    /*//////////////////////////////////////////////////////////////////////////
                                 WINDOW, CAP, ALLOWLIST
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_theWindowIsNone() external {
        vm.startPrank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.InvalidWindow.selector, 5, 5));
        sale.setWindow(5, 5);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.InvalidWindow.selector, 6, 5));
        sale.setWindow(6, 5);
    }

    function test_movesTheWindow() external {
        vm.expectEmit(address(sale));
        emit ILicenseSale.WindowSet(START + 5, START + 6);
        vm.prank(OWNER);
        sale.setWindow(START + 5, START + 6);
        assertEq(sale.state().startsAt, START + 5);
        assertEq(sale.state().endsAt, START + 6);
    }

    function test_revertWhen_theCapIsNotRaised() external {
        vm.startPrank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.CapNotRaised.selector, 0, 9));
        sale.raiseWalletCap(9);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.CapNotRaised.selector, 0, 0));
        sale.raiseWalletCap(0);
        vm.stopPrank();
        (, sale) = newSale(address(0), 5, 0);
        vm.startPrank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.CapNotRaised.selector, 5, 5));
        sale.raiseWalletCap(5);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.CapNotRaised.selector, 5, 4));
        sale.raiseWalletCap(4);
    }

    function test_raisesTheCap() external {
        (, sale) = newSale(address(0), 5, 0);
        vm.startPrank(OWNER);
        vm.expectEmit(address(sale));
        emit ILicenseSale.WalletCapSet(6);
        sale.raiseWalletCap(6);
        assertEq(sale.state().walletCap, 6);
        sale.raiseWalletCap(0);
        assertEq(sale.state().walletCap, 0);
    }

    function test_setsTheAllowlist() external {
        vm.expectEmit(address(sale));
        emit ILicenseSale.AllowlistSet(keccak256("root"));
        vm.prank(OWNER);
        sale.setAllowlist(keccak256("root"));
        assertEq(sale.state().allowlistRoot, keccak256("root"));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        CODES
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_theCodeIsNone() external {
        bytes32 hash = keccak256("c");
        refuse(0, Code(DAVE, 1, 1, 1));
        refuse(hash, Code(DAVE, 5001, 1, 1));
        refuse(hash, Code(DAVE, 1, 3001, 1));
        refuse(hash, Code(DAVE, 1, 0, 1));
        refuse(hash, Code(address(0), 1, 1, 1));
        refuse(hash, Code(address(0), 0, 0, 1));
    }

    function refuse(bytes32 hash, Code memory code) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                ILicenseSale.InvalidCode.selector, hash, code.referrer, code.discountBps, code.rewardBps
            )
        );
        vm.prank(OWNER);
        sale.setCode(hash, code);
    }

    function test_setsCodes() external {
        bytes32 hash = keccak256("c");
        Code[3] memory good =
            [Code(DAVE, 5000, 3000, 7), Code(address(0), 1, 0, type(uint32).max), Code(DAVE, 0, 1, 0)];
        for (uint256 i; i < good.length; ++i) {
            Code memory code = good[i];
            vm.expectEmit(address(sale));
            emit ILicenseSale.CodeSet(
                hash, code.referrer, code.discountBps, code.rewardBps, code.licensesLeft
            );
            vm.prank(OWNER);
            sale.setCode(hash, code);
            assertEq(abi.encode(sale.codeOf(hash)), abi.encode(code));
        }
    }

    /*//////////////////////////////////////////////////////////////////////////
                                 PAUSE AND OWNERSHIP
    //////////////////////////////////////////////////////////////////////////*/

    function test_pausesAndResumes() external {
        vm.startPrank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.NotPaused.selector));
        sale.resume();
        vm.expectEmit(address(sale));
        emit ILicenseSale.SalePaused();
        sale.pause();
        assertTrue(sale.state().paused);
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.Paused.selector));
        sale.pause();
        vm.expectEmit(address(sale));
        emit ILicenseSale.SaleResumed();
        sale.resume();
        assertFalse(sale.state().paused);
        vm.stopPrank();
        buyAs(ALICE, 1, 100 ether);
    }

    function test_ownershipTakesTwoSteps() external {
        vm.prank(OWNER);
        sale.transferOwnership(ALICE);
        assertEq(sale.owner(), OWNER);
        vm.prank(ALICE);
        sale.acceptOwnership();
        assertEq(sale.owner(), ALICE);
    }

    function test_revertWhen_renounced() external {
        vm.expectRevert(abi.encodeWithSelector(ILicenseSale.OwnerNeeded.selector, OWNER));
        vm.prank(OWNER);
        sale.renounceOwnership();
    }
}
