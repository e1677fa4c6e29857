// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ProjectRegistry} from "../../src/ProjectRegistry.sol";
import {IProjectRegistry} from "../../src/interfaces/IProjectRegistry.sol";
import {BaseTest} from "../Base.t.sol";

contract SetReceiptKeyTest is BaseTest {
    address private constant KEY = address(0x1234);

    uint64 private now_;

    function setUp() public override {
        super.setUp();
        now_ = uint64(vm.getBlockTimestamp());
    }

    function set(uint64 validFrom, uint64 validUntil) private {
        vm.prank(OPERATOR);
        registry.setReceiptKey(KEY, validFrom, validUntil);
    }

    function test_records() external {
        vm.expectEmit(address(registry));
        emit IProjectRegistry.ReceiptKeySet(KEY, now_, now_ + 100);
        set(now_, now_ + 100);

        (uint64 validFrom, uint64 validUntil) = registry.receiptKeyOf(KEY);
        assertEq(validFrom, now_);
        assertEq(validUntil, now_ + 100);
        assertFalse(registry.isReceiptKeyAt(KEY, now_ - 1));
        assertTrue(registry.isReceiptKeyAt(KEY, now_));
        assertTrue(registry.isReceiptKeyAt(KEY, now_ + 99));
        assertFalse(registry.isReceiptKeyAt(KEY, now_ + 100));
        assertFalse(registry.isReceiptKeyAt(STRANGER, now_));
    }

    function test_aKeyCanBeEndedFromNowOn() external {
        set(now_ - 50, now_ + 100);
        set(now_ - 50, now_);
        assertTrue(registry.isReceiptKeyAt(KEY, now_ - 1));
        assertFalse(registry.isReceiptKeyAt(KEY, now_));
    }

    function test_aKeyThatHasNotBegunCanBeMoved() external {
        set(now_ + 50, now_ + 100);
        set(now_ + 70, now_ + 80);
    }

    function test_anEndedKeyCanBeExtended() external {
        set(now_ - 50, now_ - 10);
        set(now_ - 60, now_ + 10);
    }

    function test_revertWhen_aPastTimeWouldBecomeInvalid() external {
        set(now_ - 50, now_ + 100);
        refuse(now_ - 49, now_ + 100);
        refuse(now_ - 50, now_ - 1);
        refuse(now_ + 10, now_ + 20);
        vm.warp(now_ + 200);
        refuse(now_ - 50, now_ + 99);
        set(now_ - 50, now_ + 100);
    }

    function refuse(uint64 validFrom, uint64 validUntil) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.ReceiptKeyTakenBack.selector,
                KEY,
                validFrom,
                validUntil,
                vm.getBlockTimestamp()
            )
        );
        set(validFrom, validUntil);
    }

    function test_revertWhen_neverValid() external {
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.InvalidReceiptKey.selector, KEY, now_, now_));
        set(now_, now_);
    }

    function test_revertWhen_theKeyIsZero() external {
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.InvalidReceiptKey.selector, address(0), now_, now_ + 1)
        );
        vm.prank(OPERATOR);
        registry.setReceiptKey(address(0), now_, now_ + 1);
    }

    function test_revertWhen_notTheOperator() external {
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.NotNetworkOperator.selector, STRANGER, OPERATOR)
        );
        vm.prank(STRANGER);
        registry.setReceiptKey(KEY, now_, now_ + 1);
    }

    /// @dev Whatever is set later, a past second of validity stays one.
    function testFuzz_thePastStays(uint64[8] memory times, uint32[4] memory waits) external {
        for (uint256 i; i < 4; ++i) {
            uint64 probe = uint64(vm.getBlockTimestamp()) - 1;
            bool before = registry.isReceiptKeyAt(KEY, probe);
            uint64 validFrom = now_ - 1 days + times[2 * i] % 3 days;
            uint64 validUntil = now_ - 1 days + times[2 * i + 1] % 3 days;
            vm.prank(OPERATOR);
            try registry.setReceiptKey(KEY, validFrom, validUntil) {} catch {}
            if (before) assertTrue(registry.isReceiptKeyAt(KEY, probe));
            vm.warp(vm.getBlockTimestamp() + waits[i] % 1 days);
        }
    }
}

contract TransferNetworkOperatorTest is BaseTest {
    function test_constructorRecordsTheFirst() external {
        vm.expectEmit();
        emit IProjectRegistry.NetworkOperatorTransferred(address(0), ALICE);
        assertEq(new ProjectRegistry(ALICE).networkOperator(), ALICE);
    }

    function test_constructor_revertWhen_zero() external {
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.InvalidNetworkOperator.selector, address(0)));
        new ProjectRegistry(address(0));
    }

    function test_takesTwoSteps() external {
        vm.expectEmit(address(registry));
        emit IProjectRegistry.NetworkOperatorTransferStarted(OPERATOR, ALICE);
        vm.prank(OPERATOR);
        registry.transferNetworkOperator(ALICE);
        assertEq(registry.pendingNetworkOperator(), ALICE);
        assertEq(registry.networkOperator(), OPERATOR);

        vm.expectEmit(address(registry));
        emit IProjectRegistry.NetworkOperatorTransferred(OPERATOR, ALICE);
        vm.prank(ALICE);
        registry.acceptNetworkOperator();
        assertEq(registry.networkOperator(), ALICE);
        assertEq(registry.pendingNetworkOperator(), address(0));
    }

    function test_revertWhen_notTheOperator() external {
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.NotNetworkOperator.selector, ALICE, OPERATOR));
        vm.prank(ALICE);
        registry.transferNetworkOperator(ALICE);
    }

    function test_revertWhen_acceptedByAnother() external {
        vm.prank(OPERATOR);
        registry.transferNetworkOperator(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.NotPendingNetworkOperator.selector, BOB, ALICE)
        );
        vm.prank(BOB);
        registry.acceptNetworkOperator();
    }
}
