// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {IRewardDistributor} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {MerkleTree} from "../MerkleTree.sol";
import {ReentrantClaimer, ReentrantToken} from "../Mocks.sol";

contract ClaimTest is BaseTest {
    function claimAs(
        address account,
        bytes32 root,
        uint256 cumulative,
        bytes32[] memory proof
    ) private returns (uint256) {
        vm.prank(account);
        return distributor.claim(root, cumulative, proof, account);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        PAID
    //////////////////////////////////////////////////////////////////////////*/

    function test_paysToTheRecipient() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(30 ether, 70 ether);
        postActive(root, 100 ether);
        assertEq(distributor.claimable(ALICE, root, 30 ether, proof), 30 ether);

        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Claimed(ALICE, root, STRANGER, 30 ether);
        vm.prank(ALICE);
        assertEq(distributor.claim(root, 30 ether, proof, STRANGER), 30 ether);

        assertEq(token.balanceOf(STRANGER), 30 ether);
        assertEq(token.balanceOf(ALICE), 0);
        assertEq(distributor.claimed(ALICE), 30 ether);
        assertEq(distributor.paid(), 30 ether);
        assertEq(distributor.activeTotal(), 100 ether);
    }

    function test_paysOnlyTheDifferenceOfALaterRoot() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(30 ether, 70 ether);
        postActive(root, 100 ether);
        claimAs(ALICE, root, 30 ether, proof);

        (root, proof,) = treeOf(50 ether, 150 ether);
        postActive(root, 200 ether);
        assertEq(claimAs(ALICE, root, 50 ether, proof), 20 ether);
        assertEq(distributor.claimed(ALICE), 50 ether);
        assertEq(distributor.activeTotal(), 200 ether);
    }

    function test_earlierRootsStayClaimable() external {
        (bytes32 first, bytes32[] memory aliceProof,) = treeOf(30 ether, 70 ether);
        postActive(first, 100 ether);
        (bytes32 second,, bytes32[] memory bobProof) = treeOf(50 ether, 150 ether);
        postActive(second, 200 ether);

        assertEq(claimAs(BOB, second, 150 ether, bobProof), 150 ether);
        assertEq(claimAs(ALICE, first, 30 ether, aliceProof), 30 ether);
        assertEq(distributor.activeTotal(), 200 ether);
    }

    function test_aTreeOfOneHasAnEmptyProof() external {
        bytes32 root = MerkleTree.leaf(ALICE, 5);
        postActive(root, 5);
        assertEq(claimAs(ALICE, root, 5, new bytes32[](0)), 5);
    }

    function test_activeRootsStayClaimableDuringAPause() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(30 ether, 70 ether);
        postActive(root, 100 ether);
        vm.prank(GUARDIAN);
        distributor.pause();
        vm.warp(vm.getBlockTimestamp() + 5 days);
        claimAs(ALICE, root, 30 ether, proof);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_theRecipientIsZeroOrTheDistributor() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(30 ether, 70 ether);
        postActive(root, 100 ether);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.InvalidRecipient.selector, address(0)));
        distributor.claim(root, 30 ether, proof, address(0));
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.InvalidRecipient.selector, address(distributor))
        );
        distributor.claim(root, 30 ether, proof, address(distributor));
    }

    function test_revertWhen_theRootIsUnknown() external {
        bytes32 root = MerkleTree.leaf(ALICE, 5);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.UnknownRoot.selector, root));
        claimAs(ALICE, root, 5, new bytes32[](0));
    }

    function test_revertWhen_theRootIsPending() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(30 ether, 70 ether);
        postNext(root, 100 ether);
        uint256 activatesAt = distributor.head().activatesAt;
        vm.warp(activatesAt - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRewardDistributor.RootNotActive.selector, root, activatesAt, activatesAt - 1
            )
        );
        claimAs(ALICE, root, 30 ether, proof);

        vm.warp(activatesAt);
        claimAs(ALICE, root, 30 ether, proof);
    }

    function test_revertWhen_theRootWasPendingAtThePause() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(30 ether, 70 ether);
        postNext(root, 100 ether);
        uint256 activatesAt = distributor.head().activatesAt;
        uint256 from = activatesAt - 1;
        vm.warp(from);
        vm.prank(GUARDIAN);
        distributor.pause();

        vm.warp(from + 10 days - 1);
        assertFalse(distributor.isActive(root));
        bytes memory reason =
            abi.encodeWithSelector(IRewardDistributor.RootNotActive.selector, root, activatesAt, from);
        vm.expectRevert(reason);
        claimAs(ALICE, root, 30 ether, proof);
        vm.expectRevert(reason);
        distributor.claimable(ALICE, root, 30 ether, proof);

        vm.warp(from + 10 days);
        assertTrue(distributor.isActive(root));
        claimAs(ALICE, root, 30 ether, proof);
    }

    function test_revertWhen_theProofIsNotTheAccounts() external {
        (bytes32 root, bytes32[] memory aliceProof, bytes32[] memory bobProof) = treeOf(30 ether, 70 ether);
        postActive(root, 100 ether);

        refuseProof(BOB, root, 30 ether, aliceProof);
        refuseProof(ALICE, root, 31 ether, aliceProof);
        refuseProof(ALICE, root, 30 ether, bobProof);
        refuseProof(ALICE, root, 30 ether, new bytes32[](0));
        bytes32[] memory longer = new bytes32[](2);
        longer[0] = aliceProof[0];
        refuseProof(ALICE, root, 30 ether, longer);
    }

    function test_revertWhen_theTreeIsEmpty() external {
        postActive(0, 0);
        refuseProof(ALICE, 0, 1, new bytes32[](0));
    }

    function refuseProof(address account, bytes32 root, uint256 cumulative, bytes32[] memory proof) private {
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.InvalidProof.selector, root, account, cumulative)
        );
        claimAs(account, root, cumulative, proof);
    }

    function test_revertWhen_claimedAlready() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(30 ether, 70 ether);
        postActive(root, 100 ether);
        claimAs(ALICE, root, 30 ether, proof);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.NothingToClaim.selector, ALICE, 30 ether, 30 ether)
        );
        claimAs(ALICE, root, 30 ether, proof);
    }

    function test_revertWhen_anEarlierRootPromisesLess() external {
        (bytes32 first, bytes32[] memory firstProof,) = treeOf(30 ether, 70 ether);
        postActive(first, 100 ether);
        (bytes32 second, bytes32[] memory secondProof,) = treeOf(50 ether, 150 ether);
        postActive(second, 200 ether);
        claimAs(ALICE, second, 50 ether, secondProof);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.NothingToClaim.selector, ALICE, 30 ether, 50 ether)
        );
        claimAs(ALICE, first, 30 ether, firstProof);
    }

    function test_revertWhen_theTreePromisesMoreThanItsTotal() external {
        (bytes32 root, bytes32[] memory aliceProof, bytes32[] memory bobProof) = treeOf(60, 41);
        postActive(root, 100);
        claimAs(ALICE, root, 60, aliceProof);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.ActiveTotalExceeded.selector, 41, 40));
        claimAs(BOB, root, 41, bobProof);
    }

    /// @dev An amount so large that adding it to what was paid would wrap.
    function test_revertWhen_theTreePromisesAnything() external {
        (bytes32 root, bytes32[] memory aliceProof, bytes32[] memory bobProof) = treeOf(60, type(uint256).max);
        postActive(root, 100);
        claimAs(ALICE, root, 60, aliceProof);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.ActiveTotalExceeded.selector, type(uint256).max, 40)
        );
        claimAs(BOB, root, type(uint256).max, bobProof);
    }

    function test_reentryFindsTheClaimDone() external {
        ReentrantToken reentrant = new ReentrantToken();
        ProjectParams memory params = defaultParams();
        params.name = "reentrant";
        params.token = address(reentrant);
        distributor = newProject(address(this), params);
        reentrant.mint(address(distributor), 100);
        ReentrantClaimer claimer = new ReentrantClaimer(distributor);
        bytes32 root = MerkleTree.leaf(address(claimer), 10);
        postActive(root, 10);

        claimer.claim(root, 10, new bytes32[](0));

        assertEq(reentrant.balanceOf(address(claimer)), 10);
        assertEq(
            claimer.refusal(),
            abi.encodeWithSelector(IRewardDistributor.NothingToClaim.selector, address(claimer), 10, 10)
        );
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        FUZZ
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Random trees of 1 to 24 accounts over two days: each is paid what the trees say, in any
    /// order of claims, and all that is paid is what was committed.
    function testFuzz_everyoneIsPaidWhatTheTreesSay(uint256 seed, uint256 count) external {
        count = bound(count, 1, 24);
        uint256[] memory amounts = new uint256[](count);
        uint256 total;
        for (uint256 day; day < 2; ++day) {
            bytes32[] memory leaves = new bytes32[](count);
            for (uint256 i; i < count; ++i) {
                uint256 rise = uint256(keccak256(abi.encode(seed, day, i))) % (QUOTA / 24) + 1;
                amounts[i] += rise;
                total += rise;
                leaves[i] = MerkleTree.leaf(accountOf(i), amounts[i]);
            }
            bytes32[] memory nodes = MerkleTree.build(leaves);
            postActive(nodes[0], total);

            uint256 start = seed % count;
            for (uint256 k; k < count; ++k) {
                uint256 i = (start + k) % count;
                // Some leave out the first day.
                if (day == 0 && uint256(leaves[i]) % 3 == 0) continue;
                claimAs(accountOf(i), nodes[0], amounts[i], MerkleTree.proof(nodes, leaves[i]));
                assertEq(token.balanceOf(accountOf(i)), amounts[i]);
                assertLe(distributor.paid(), distributor.activeTotal());
            }
        }
        assertEq(distributor.paid(), total);
        assertEq(token.balanceOf(address(distributor)), FUNDS - total);
    }

    /// @dev Whatever a dishonest signer's tree promises, no more than its total is paid.
    function testFuzz_noMoreIsPaidThanTheTotal(uint256[4] memory promised, uint256 total) external {
        total = bound(total, 1, QUOTA);
        bytes32[] memory leaves = new bytes32[](promised.length);
        for (uint256 i; i < promised.length; ++i) {
            if (i % 2 == 0) promised[i] = bound(promised[i], 1, total);
            leaves[i] = MerkleTree.leaf(accountOf(i), promised[i]);
        }
        bytes32[] memory nodes = MerkleTree.build(leaves);
        postActive(nodes[0], total);
        for (uint256 i; i < promised.length; ++i) {
            vm.prank(accountOf(i));
            try distributor.claim(
                nodes[0], promised[i], MerkleTree.proof(nodes, leaves[i]), accountOf(i)
            ) returns (
                uint256 amount
            ) {
                assertEq(amount, promised[i]);
            } catch {}
        }
        assertLe(distributor.paid(), distributor.activeTotal());
        assertEq(distributor.activeTotal() == 0 ? 0 : total, distributor.activeTotal());
        assertEq(token.balanceOf(address(distributor)), FUNDS - distributor.paid());
    }

    /// @dev The root a proof leads to is the one OpenZeppelin's library computes.
    function testFuzz_proofsAreReadAsOpenZeppelinDoes(
        address account,
        uint256 cumulative,
        bytes32[] memory proof
    ) external {
        cumulative = bound(cumulative, 1, QUOTA);
        bytes32 root = MerkleProof.processProof(proof, MerkleTree.leaf(account, cumulative));
        postActive(root, cumulative);
        assertEq(distributor.claimable(account, root, cumulative, proof), cumulative);
    }

    /// @dev A proof with one altered bit leads nowhere.
    function testFuzz_anAlteredProofIsRefused(uint256 count, uint256 which, uint256 bit) external {
        count = bound(count, 2, 24);
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            leaves[i] = MerkleTree.leaf(accountOf(i), i + 1);
        }
        bytes32[] memory nodes = MerkleTree.build(leaves);
        postActive(nodes[0], count * (count + 1) / 2);

        which = bound(which, 0, count - 1);
        bytes32[] memory proof = MerkleTree.proof(nodes, leaves[which]);
        uint256 place = (bit >> 8) % proof.length;
        proof[place] = bytes32(uint256(proof[place]) ^ (uint256(1) << (bit & 0xff)));
        refuseProof(accountOf(which), nodes[0], which + 1, proof);
    }

    function accountOf(uint256 i) private pure returns (address) {
        // A small number.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x1000 + i));
    }
}
