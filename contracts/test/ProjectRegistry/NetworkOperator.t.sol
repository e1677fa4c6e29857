// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ProjectRegistry} from "../../src/ProjectRegistry.sol";
import {INetworkRegistry} from "../../src/interfaces/INetworkRegistry.sol";
import {IProjectRegistry} from "../../src/interfaces/IProjectRegistry.sol";
import {BaseTest} from "../Base.t.sol";

contract SetReceiptKeyTest is BaseTest {
    address private constant NETWORK = address(0);
    address private constant KEY = address(0x1234);
    address private constant OTHER_KEY = address(0x5678);

    uint64 private now_;
    address private project;

    function setUp() public override {
        super.setUp();
        now_ = uint64(vm.getBlockTimestamp());
        project = address(distributor);
    }

    function set(uint64 validFrom, uint64 validUntil) private {
        vm.prank(OPERATOR);
        registry.setReceiptKey(NETWORK, KEY, validFrom, validUntil);
    }

    function setOwn(address key, uint64 validFrom, uint64 validUntil) private {
        vm.prank(OWNER);
        registry.setReceiptKey(project, key, validFrom, validUntil);
    }

    function test_records() external {
        vm.expectEmit(address(registry));
        emit INetworkRegistry.ReceiptKeySet(NETWORK, KEY, now_, now_ + 100);
        set(now_, now_ + 100);

        (uint64 validFrom, uint64 validUntil) = registry.receiptKeyOf(NETWORK, KEY);
        assertEq(validFrom, now_);
        assertEq(validUntil, now_ + 100);
        assertFalse(registry.isReceiptKeyAt(NETWORK, KEY, now_ - 1));
        assertTrue(registry.isReceiptKeyAt(NETWORK, KEY, now_));
        assertTrue(registry.isReceiptKeyAt(NETWORK, KEY, now_ + 99));
        assertFalse(registry.isReceiptKeyAt(NETWORK, KEY, now_ + 100));
        assertFalse(registry.isReceiptKeyAt(NETWORK, STRANGER, now_));
        assertEq(registry.ownReceiptKeysFrom(NETWORK), 0);
    }

    function test_zeroBeginsNow_andKeepsWhatHasBegun() external {
        vm.expectEmit(address(registry));
        emit INetworkRegistry.ReceiptKeySet(NETWORK, KEY, now_, now_ + 100);
        set(0, now_ + 100);
        vm.warp(now_ + 50);
        vm.expectEmit(address(registry));
        emit INetworkRegistry.ReceiptKeySet(NETWORK, KEY, now_, now_ + 200);
        set(0, now_ + 200);
    }

    function test_aKeyCanBeEndedFromNowOn() external {
        set(now_, now_ + 100);
        vm.warp(now_ + 50);
        vm.expectEmit(address(registry));
        emit INetworkRegistry.ReceiptKeySet(NETWORK, KEY, now_, now_ + 50);
        set(0, 0);
        assertTrue(registry.isReceiptKeyAt(NETWORK, KEY, now_ + 49));
        assertFalse(registry.isReceiptKeyAt(NETWORK, KEY, now_ + 50));
    }

    function test_aKeyThatHasNotBegunCanBeMoved() external {
        set(now_ + 50, now_ + 100);
        set(now_ + 70, now_ + 80);
    }

    function test_revertWhen_aPastTimeWouldBecomeInvalid() external {
        set(now_, now_ + 100);
        vm.warp(now_ + 50);
        refuse(now_ + 1, now_ + 100);
        refuse(now_, now_ + 49);
        refuse(now_ + 60, now_ + 70);
    }

    function test_revertWhen_aPastTimeWouldBecomeValid() external {
        refuse(now_ - 1, now_ + 100);
        refuse(1, type(uint64).max);
        set(now_, now_ + 100);
        vm.warp(now_ + 50);
        refuse(now_ - 1, now_ + 100);
        // A key that has ended stays ended.
        vm.warp(now_ + 200);
        refuse(now_, now_ + 101);
        refuse(0, now_ + 300);
        set(now_, now_ + 100);
    }

    function refuse(uint64 validFrom, uint64 validUntil) private {
        vm.expectPartialRevert(INetworkRegistry.ReceiptKeyChangesPast.selector);
        set(validFrom, validUntil);
    }

    function test_revertWhen_aPastTimeWouldBecomeValid_namesIt() external {
        vm.expectRevert(
            abi.encodeWithSelector(
                INetworkRegistry.ReceiptKeyChangesPast.selector, KEY, now_ - 1, now_ + 100, now_
            )
        );
        set(now_ - 1, now_ + 100);
    }

    function test_revertWhen_neverValid() external {
        vm.expectRevert(abi.encodeWithSelector(INetworkRegistry.InvalidReceiptKey.selector, KEY, now_, now_));
        set(now_, now_);
        vm.expectRevert(abi.encodeWithSelector(INetworkRegistry.InvalidReceiptKey.selector, KEY, now_, now_));
        set(0, 0);
    }

    function test_revertWhen_theKeyIsZero() external {
        vm.expectRevert(
            abi.encodeWithSelector(INetworkRegistry.InvalidReceiptKey.selector, address(0), now_, now_ + 1)
        );
        vm.prank(OPERATOR);
        registry.setReceiptKey(NETWORK, address(0), now_, now_ + 1);
    }

    function test_revertWhen_notTheOperator() external {
        vm.expectRevert(
            abi.encodeWithSelector(INetworkRegistry.NotNetworkOperator.selector, STRANGER, OPERATOR)
        );
        vm.prank(STRANGER);
        registry.setReceiptKey(NETWORK, KEY, now_, now_ + 1);
    }

    function test_revertWhen_notTheProjectsOwner() external {
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.NotProjectOwner.selector, project, OPERATOR, OWNER)
        );
        vm.prank(OPERATOR);
        registry.setReceiptKey(project, KEY, now_, now_ + 1);
    }

    function test_revertWhen_theProjectIsUnknown() external {
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.UnknownProject.selector, STRANGER));
        registry.setReceiptKey(STRANGER, KEY, now_, now_ + 1);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                    A PROJECT'S OWN
    //////////////////////////////////////////////////////////////////////////*/

    function test_withoutOwnKeysTheNetworksCount() external {
        set(now_, now_ + 100);
        assertTrue(registry.isReceiptKeyAt(project, KEY, now_));
        assertEq(registry.ownReceiptKeysFrom(project), 0);
    }

    function test_anOwnKeyReplacesTheNetworks_fromItsBeginningOn() external {
        set(now_, now_ + 100);
        vm.expectEmit(address(registry));
        emit INetworkRegistry.ReceiptKeySet(project, OTHER_KEY, now_ + 50, now_ + 200);
        setOwn(OTHER_KEY, now_ + 50, now_ + 200);

        assertEq(registry.ownReceiptKeysFrom(project), now_ + 50);
        assertTrue(registry.isReceiptKeyAt(project, KEY, now_ + 49));
        assertFalse(registry.isReceiptKeyAt(project, OTHER_KEY, now_ + 49));
        assertFalse(registry.isReceiptKeyAt(project, KEY, now_ + 50));
        assertTrue(registry.isReceiptKeyAt(project, OTHER_KEY, now_ + 50));
        // For the network and other projects nothing changes.
        assertTrue(registry.isReceiptKeyAt(NETWORK, KEY, now_ + 50));
        assertFalse(registry.isReceiptKeyAt(NETWORK, OTHER_KEY, now_ + 50));
    }

    function test_theFirstOwnKeyToBeginDecides() external {
        setOwn(KEY, now_ + 50, now_ + 100);
        setOwn(OTHER_KEY, now_ + 60, now_ + 100);
        assertEq(registry.ownReceiptKeysFrom(project), now_ + 50);
        setOwn(OTHER_KEY, now_ + 40, now_ + 100);
        assertEq(registry.ownReceiptKeysFrom(project), now_ + 40);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       THE PAST
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Whatever is set later, for the network or the project, what counted at a past second counts,
    /// and what did not does not.
    function testFuzz_thePastStays(uint64[16] memory times, uint32[8] memory waits) external {
        for (uint256 i; i < 8; ++i) {
            uint64 probe = uint64(vm.getBlockTimestamp()) - 1 - times[i] % 1 days;
            bool network = registry.isReceiptKeyAt(NETWORK, KEY, probe);
            bool own = registry.isReceiptKeyAt(project, KEY, probe);
            (uint64 validFrom, uint64 validUntil) = (bounded(times[2 * i]), bounded(times[2 * i + 1]));
            bool ofProject = waits[i] & 1 == 1;
            vm.prank(ofProject ? OWNER : OPERATOR);
            try registry.setReceiptKey(ofProject ? project : NETWORK, KEY, validFrom, validUntil) {} catch {}
            assertEq(registry.isReceiptKeyAt(NETWORK, KEY, probe), network);
            assertEq(registry.isReceiptKeyAt(project, KEY, probe), own);
            vm.warp(vm.getBlockTimestamp() + waits[i] % 1 days);
        }
    }

    /// @dev Zero, which stands for the block's time, now and then; else within the days of the test.
    function bounded(uint64 time) private view returns (uint64) {
        return time % 5 == 0 ? 0 : now_ - 1 days + time % 6 days;
    }
}

contract TransferNetworkOperatorTest is BaseTest {
    function test_constructorRecordsTheFirst() external {
        vm.expectEmit();
        emit INetworkRegistry.NetworkOperatorTransferred(address(0), ALICE);
        assertEq(new ProjectRegistry(ALICE).networkOperator(), ALICE);
    }

    function test_constructor_revertWhen_zero() external {
        vm.expectRevert(abi.encodeWithSelector(INetworkRegistry.InvalidNetworkOperator.selector, address(0)));
        new ProjectRegistry(address(0));
    }

    function test_takesTwoSteps() external {
        vm.expectEmit(address(registry));
        emit INetworkRegistry.NetworkOperatorTransferStarted(OPERATOR, ALICE);
        vm.prank(OPERATOR);
        registry.transferNetworkOperator(ALICE);
        assertEq(registry.pendingNetworkOperator(), ALICE);
        assertEq(registry.networkOperator(), OPERATOR);

        vm.expectEmit(address(registry));
        emit INetworkRegistry.NetworkOperatorTransferred(OPERATOR, ALICE);
        vm.prank(ALICE);
        registry.acceptNetworkOperator();
        assertEq(registry.networkOperator(), ALICE);
        assertEq(registry.pendingNetworkOperator(), address(0));
    }

    function test_revertWhen_notTheOperator() external {
        vm.expectRevert(abi.encodeWithSelector(INetworkRegistry.NotNetworkOperator.selector, ALICE, OPERATOR));
        vm.prank(ALICE);
        registry.transferNetworkOperator(ALICE);
    }

    function test_revertWhen_acceptedByAnother() external {
        vm.prank(OPERATOR);
        registry.transferNetworkOperator(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(INetworkRegistry.NotPendingNetworkOperator.selector, BOB, ALICE)
        );
        vm.prank(BOB);
        registry.acceptNetworkOperator();
    }
}
