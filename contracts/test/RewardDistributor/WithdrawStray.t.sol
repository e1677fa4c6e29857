// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {BaseTest} from "../Base.t.sol";
import {
    FalseToken,
    HookToken,
    PlainToken,
    SecondAddress,
    SharedToken,
    SilentToken
} from "../hostile/Tokens.sol";

contract WithdrawStrayTest is BaseTest {
    function take(address stray, address recipient, uint256 amount) private {
        vm.prank(OWNER);
        distributor.withdrawStrayToken(stray, recipient, amount);
    }

    function test_paysWhatCameByMistake() external {
        PlainToken stray = new PlainToken(6);
        stray.mint(address(distributor), 5);
        vm.expectEmit(address(distributor));
        emit IDistributorControl.StrayWithdrawn(address(stray), ALICE, 3);
        take(address(stray), ALICE, 3);
        assertEq(stray.balanceOf(ALICE), 3);
        assertEq(stray.balanceOf(address(distributor)), 2);
        assertEq(token.balanceOf(address(distributor)), FUNDS);
    }

    function test_paysATokenThatAnswersNothing() external {
        SilentToken stray = new SilentToken();
        stray.mint(address(distributor), 5);
        take(address(stray), ALICE, 5);
        assertEq(stray.balanceOf(ALICE), 5);
    }

    function test_revertWhen_notTheOwner() external {
        PlainToken stray = new PlainToken(6);
        stray.mint(address(distributor), 5);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotOwner.selector, GUARDIAN, OWNER));
        vm.prank(GUARDIAN);
        distributor.withdrawStrayToken(address(stray), GUARDIAN, 5);
    }

    function test_revertWhen_theRecipientIsZeroOrTheDistributor() external {
        PlainToken stray = new PlainToken(6);
        stray.mint(address(distributor), 5);
        address[2] memory bad = [address(0), address(distributor)];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDistributorControl.InvalidRecipient.selector, bad[i]));
            take(address(stray), bad[i], 5);
        }
    }

    /// @dev Not even what is owed to nobody: that waits for the timelock.
    function test_revertWhen_itIsTheProjectsToken() external {
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.NotStray.selector, address(token)));
        take(address(token), OWNER, 1);
    }

    /// @dev As TrueUSD had it: two contracts that move the same balances.
    function test_revertWhen_itIsTheProjectsTokenUnderAnotherAddress() external {
        SharedToken shared = new SharedToken();
        SecondAddress second = shared.SECOND();
        ProjectParams memory params = defaultParams();
        (params.name, params.token) = ("shared", address(shared));
        distributor = newProject(OWNER, params);
        shared.mint(address(distributor), 9);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.BalanceFell.selector, 9, 8));
        take(address(second), OWNER, 1);
        assertEq(shared.balanceOf(address(distributor)), 9);
    }

    function test_revertWhen_theTokenRefuses() external {
        FalseToken stray = new FalseToken();
        stray.mint(address(distributor), 5);
        stray.refuse(true);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, stray));
        take(address(stray), OWNER, 5);
    }

    /// @dev A token that calls claims meanwhile moves what is owed: then nothing is taken.
    function test_revertWhen_aClaimIsMadeMeanwhile() external {
        (bytes32 root, bytes32[] memory aliceProof,) = treeOf(30 ether, 70 ether);
        postActive(root, 100 ether);
        HookToken stray = new HookToken();
        stray.mint(address(distributor), 5);
        stray.setHook(address(this), abi.encodeCall(this.claimAsAlice, (root, aliceProof)));
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.BalanceFell.selector, FUNDS, FUNDS - 30 ether)
        );
        take(address(stray), OWNER, 5);
        assertEq(distributor.paid(), 0);
    }

    function claimAsAlice(bytes32 root, bytes32[] calldata proof) external {
        vm.prank(ALICE);
        distributor.claim(root, 30 ether, proof, ALICE);
    }
}
