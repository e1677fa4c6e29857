// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {IRewardDistributor} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {MerkleTree} from "../MerkleTree.sol";
import {ReentrantToken} from "../Mocks.sol";

/// @dev A contract that holds a license and can call nothing; it claims again while it is being paid.
contract Vault {
    bytes private _call;
    bytes public refusal;

    function callOnReceipt(bytes calldata call) external {
        _call = call;
    }

    function tokensReceived() external {
        (address to, bytes memory call) = abi.decode(_call, (address, bytes));
        (bool success, bytes memory reason) = to.call(call);
        if (!success) refusal = reason;
    }
}

contract ClaimForTest is BaseTest {
    address private account;

    function setUp() public override {
        super.setUp();
        account = address(new Vault());
        distributor = newProject("contracts", address(token));
        token.mint(address(distributor), FUNDS);
    }

    function newProject(string memory name, address paysIn) private returns (RewardDistributor) {
        ProjectParams memory params = defaultParams();
        (params.name, params.token, params.claimsForContracts) = (name, paysIn, true);
        return newProject(OWNER, params);
    }

    function refuse(address who, bytes memory reason) private {
        bytes32 root = MerkleTree.leaf(who, 5);
        postActive(root, 5);
        vm.expectRevert(reason);
        distributor.claimFor(who, root, 5, new bytes32[](0));
    }

    function test_paysTheAccountWhoeverSendsIt() external {
        assertTrue(distributor.claimsForContracts());
        bytes32 root = MerkleTree.leaf(account, 5);
        postActive(root, 7);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Claimed(account, root, account, 5);
        vm.prank(STRANGER);
        assertEq(distributor.claimFor(account, root, 5, new bytes32[](0)), 5);
        assertEq(token.balanceOf(account), 5);
        assertEq(distributor.claimed(account), 5);
        assertEq(distributor.paid(), 5);
        assertEq(distributor.activeTotal(), 7);

        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.NothingToClaim.selector, account, 5, 5));
        distributor.claimFor(account, root, 5, new bytes32[](0));
    }

    /// @dev What was claimed in one way is not paid in the other.
    function test_sharesTheBooksOfClaim() external {
        bytes32 root = MerkleTree.leaf(account, 5);
        postActive(root, 5);
        vm.prank(account);
        distributor.claim(root, 5, new bytes32[](0), ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.NothingToClaim.selector, account, 5, 5));
        distributor.claimFor(account, root, 5, new bytes32[](0));
    }

    function test_revertWhen_theProjectWasCreatedWithoutIt() external {
        ProjectParams memory params = defaultParams();
        params.name = "without";
        distributor = newProject(OWNER, params);
        token.mint(address(distributor), FUNDS);
        assertFalse(distributor.claimsForContracts());
        refuse(account, abi.encodeWithSelector(IRewardDistributor.ClaimForIsOff.selector));
    }

    function test_revertWhen_theAccountHasNoCode() external {
        refuse(ALICE, abi.encodeWithSelector(IRewardDistributor.NoCodeOfItsOwn.selector, ALICE));
    }

    /// @dev Its key can claim.
    function test_revertWhen_theCodeIsADelegation() external {
        vm.etch(ALICE, abi.encodePacked(hex"ef0100", account));
        assertEq(ALICE.code.length, 23);
        refuse(ALICE, abi.encodeWithSelector(IRewardDistributor.NoCodeOfItsOwn.selector, ALICE));
    }

    function test_revertWhen_theAccountIsTheDistributor() external {
        address self = address(distributor);
        refuse(self, abi.encodeWithSelector(IDistributorControl.InvalidRecipient.selector, self));
    }

    function test_revertWhen_theRootIsPendingOrTheProofIsWrong() external {
        bytes32 root = MerkleTree.leaf(account, 5);
        postNext(root, 5);
        vm.expectPartialRevert(IRewardDistributor.RootNotActive.selector);
        distributor.claimFor(account, root, 5, new bytes32[](0));
        vm.warp(distributor.head().activatesAt);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.InvalidProof.selector, root, account, 4));
        distributor.claimFor(account, root, 4, new bytes32[](0));
    }

    function test_aTokenThatCallsBackFindsItDone() external {
        ReentrantToken reentrant = new ReentrantToken();
        distributor = newProject("reentrant", address(reentrant));
        reentrant.mint(address(distributor), 100);
        bytes32 root = MerkleTree.leaf(account, 5);
        postActive(root, 10);
        bytes memory again = abi.encodeCall(distributor.claimFor, (account, root, 5, new bytes32[](0)));
        Vault(account).callOnReceipt(abi.encode(address(distributor), again));
        distributor.claimFor(account, root, 5, new bytes32[](0));
        assertEq(reentrant.balanceOf(account), 5);
        assertEq(
            Vault(account).refusal(),
            abi.encodeWithSelector(IRewardDistributor.NothingToClaim.selector, account, 5, 5)
        );
    }
}
