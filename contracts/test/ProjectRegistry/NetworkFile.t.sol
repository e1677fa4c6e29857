// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {INetworkRegistry, NetworkFile, NetworkGuard} from "../../src/interfaces/INetworkRegistry.sol";
import {BaseTest} from "../Base.t.sol";

contract NetworkFileTest is BaseTest {
    bytes32 private constant FIRST = keccak256("first");
    bytes32 private constant SECOND = keccak256("second");
    bytes32 private constant THIRD = keccak256("third");
    uint64 private constant WAIT = 7 days;

    uint64 private now_;

    function setUp() public override {
        super.setUp();
        now_ = uint64(vm.getBlockTimestamp());
    }

    function set(bytes32 fileHash) private {
        vm.prank(OPERATOR);
        registry.setNetworkFile(fileHash, "ipfs://network");
    }

    function appoint(address guardian) private {
        vm.prank(OPERATOR);
        registry.setNetworkGuardian(guardian);
    }

    function assertFiles(bytes32 current, bytes32 waiting) private view {
        (NetworkFile memory now__, NetworkFile memory next) = registry.networkFile();
        assertEq(now__.fileHash, current);
        assertEq(next.fileHash, waiting);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                         FILE
    //////////////////////////////////////////////////////////////////////////*/

    function test_theFirstFileIsTheNetworksAtOnce() external {
        assertFiles(0, 0);
        vm.expectEmit(address(registry));
        emit INetworkRegistry.NetworkFileSet(FIRST, "ipfs://network", now_);
        set(FIRST);
        assertFiles(FIRST, 0);
        (NetworkFile memory current,) = registry.networkFile();
        assertEq(current.uri, "ipfs://network");
        assertEq(current.from, now_);
    }

    function test_laterFilesWait() external {
        set(FIRST);
        vm.expectEmit(address(registry));
        emit INetworkRegistry.NetworkFileSet(SECOND, "ipfs://network", now_ + WAIT);
        set(SECOND);
        assertFiles(FIRST, SECOND);
        vm.warp(now_ + WAIT - 1);
        assertFiles(FIRST, SECOND);
        vm.warp(now_ + WAIT);
        assertFiles(SECOND, 0);
        set(THIRD);
        assertFiles(SECOND, THIRD);
    }

    function test_aWaitingFileIsReplaced_andWaitsAnew() external {
        set(FIRST);
        set(SECOND);
        vm.warp(now_ + WAIT - 1);
        set(THIRD);
        vm.warp(now_ + WAIT);
        assertFiles(FIRST, THIRD);
    }

    function test_operatorAndGuardianCancel() external {
        set(FIRST);
        appoint(GUARDIAN);
        address[2] memory callers = [OPERATOR, GUARDIAN];
        for (uint256 i; i < callers.length; ++i) {
            set(SECOND);
            vm.expectEmit(address(registry));
            emit INetworkRegistry.NetworkFileCancelled(SECOND, callers[i]);
            vm.prank(callers[i]);
            registry.cancelNetworkFile();
            assertFiles(FIRST, 0);
        }
    }

    function test_revertWhen_nothingWaits() external {
        set(FIRST);
        set(SECOND);
        vm.warp(now_ + WAIT);
        vm.expectRevert(INetworkRegistry.NoNetworkFileWaits.selector);
        vm.prank(OPERATOR);
        registry.cancelNetworkFile();
    }

    function test_revertWhen_cancelledByAnother() external {
        set(FIRST);
        set(SECOND);
        vm.expectRevert(
            abi.encodeWithSelector(
                INetworkRegistry.NotNetworkOperatorOrGuardian.selector, STRANGER, OPERATOR, address(0)
            )
        );
        vm.prank(STRANGER);
        registry.cancelNetworkFile();
    }

    function test_revertWhen_theHashIsZero() external {
        vm.expectRevert(abi.encodeWithSelector(INetworkRegistry.InvalidNetworkFile.selector, bytes32(0)));
        set(0);
    }

    function test_revertWhen_notTheOperator() external {
        bytes memory reason =
            abi.encodeWithSelector(INetworkRegistry.NotNetworkOperator.selector, STRANGER, OPERATOR);
        vm.startPrank(STRANGER);
        vm.expectRevert(reason);
        registry.setNetworkFile(FIRST, "");
        vm.expectRevert(reason);
        registry.setNetworkGuardian(STRANGER);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       GUARDIAN
    //////////////////////////////////////////////////////////////////////////*/

    function test_theFirstGuardianIsAppointedAtOnce() external {
        vm.expectEmit(address(registry));
        emit INetworkRegistry.NetworkGuardianSet(GUARDIAN, now_);
        appoint(GUARDIAN);
        assertEq(registry.networkGuard().guardian, GUARDIAN);
    }

    function test_aGuardianIsReplacedAfterAWait() external {
        appoint(GUARDIAN);
        vm.expectEmit(address(registry));
        emit INetworkRegistry.NetworkGuardianSet(ALICE, now_ + WAIT);
        appoint(ALICE);
        NetworkGuard memory guard = registry.networkGuard();
        assertEq(guard.guardian, GUARDIAN);
        assertEq(guard.next, ALICE);
        assertEq(guard.nextFrom, now_ + WAIT);
        vm.warp(now_ + WAIT);
        guard = registry.networkGuard();
        assertEq(guard.guardian, ALICE);
        assertEq(guard.nextFrom, 0);
    }

    function test_namingThePresentGuardianCallsAChangeOff() external {
        appoint(GUARDIAN);
        appoint(address(0));
        appoint(GUARDIAN);
        vm.warp(now_ + WAIT);
        assertEq(registry.networkGuard().guardian, GUARDIAN);
    }

    /// @dev A stolen operator's key replaces guardian and file: the guardian has 7 days to be heard for
    /// each, since it cancels the file as long as it is the guardian.
    function test_aStolenOperatorsKeyNeedsTwoWaits() external {
        set(FIRST);
        appoint(GUARDIAN);
        set(SECOND);
        appoint(STRANGER);
        vm.warp(now_ + WAIT - 1);
        vm.prank(GUARDIAN);
        registry.cancelNetworkFile();
        set(SECOND);
        vm.warp(now_ + 2 * WAIT - 2);
        assertFiles(FIRST, SECOND);
    }
}
