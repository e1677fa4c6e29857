// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {Wallet1271} from "../Mocks.sol";

contract PostTest is BaseTest {
    bytes32 private constant ROOT = keccak256("root");
    bytes32 private constant NEXT_ROOT = keccak256("next root");

    /// @dev The first commit, at the second its day is over.
    function ready(bytes32 root, uint256 total) private returns (RewardCommit memory commit) {
        commit = nextCommit(root, total);
        warpToEndOf(commit);
    }

    function expectRefusal(RewardCommit memory commit, bytes memory reason) private {
        bytes memory signature = sign(commit);
        vm.expectRevert(reason);
        distributor.post(commit, signature);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      ACCEPTED
    //////////////////////////////////////////////////////////////////////////*/

    function test_becomesTheHead_whoeverSendsIt() external {
        RewardCommit memory commit = ready(ROOT, 100 ether);
        bytes32 commitHash = distributor.structHash(commit);
        uint64 activatesAt = uint64(vm.getBlockTimestamp()) + DELAY;
        bytes memory signature = sign(commit);

        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Posted(
            commit.epoch, ROOT, commitHash, 0, 0, 100 ether, commit.dataHash, activatesAt
        );
        vm.prank(STRANGER);
        distributor.post(commit, signature);

        assertEq(distributor.head().commitHash, commitHash);
        assertEq(distributor.head().epoch, CREATION_DAY);
        assertEq(distributor.head().total, 100 ether);
        assertEq(distributor.head().revision, 0);
        assertEq(distributor.head().activatesAt, activatesAt);
        assertEq(distributor.commitOf(ROOT).activatesAt, activatesAt);
        assertEq(distributor.commitOf(ROOT).epoch, CREATION_DAY);
        assertEq(distributor.commitOf(ROOT).total, 100 ether);
        assertFalse(distributor.isActive(ROOT));
        assertEq(distributor.activeTotal(), 0);

        vm.warp(activatesAt);
        assertTrue(distributor.isActive(ROOT));
    }

    function test_chains() external {
        postNext(ROOT, QUOTA);
        postNext(NEXT_ROOT, 2 * QUOTA);
        assertEq(distributor.head().epoch, CREATION_DAY + 1);
        assertEq(distributor.head().total, 2 * QUOTA);
    }

    function test_severalDaysCanBeCaughtUp() external {
        vm.warp((CREATION_DAY + 3) * 1 days);
        postNext(ROOT, 1);
        postNext(NEXT_ROOT, 2);
        postNext(keccak256("third"), 3);
        assertEq(distributor.head().epoch, CREATION_DAY + 2);
    }

    function test_emptyTreeBeforeAnybodyEarned() external {
        postNext(0, 0);
        postNext(0, 0);
        assertEq(distributor.head().epoch, CREATION_DAY + 1);
        postNext(ROOT, 1);
    }

    function test_unchangedRootKeepsItsEntry() external {
        RewardCommit memory first = postActive(ROOT, 100);
        uint64 activatesAt = distributor.commitOf(ROOT).activatesAt;

        RewardCommit memory second = postNext(ROOT, 100);

        assertEq(distributor.commitOf(ROOT).activatesAt, activatesAt);
        assertEq(distributor.commitOf(ROOT).epoch, first.epoch);
        assertTrue(distributor.isActive(ROOT));
        assertEq(distributor.head().epoch, second.epoch);
        assertGt(distributor.head().activatesAt, activatesAt);
    }

    function test_aChildIsNeverActiveBeforeItsParent() external {
        vm.prank(OWNER);
        distributor.raiseDelay(10 days);
        queueCall(abi.encodeCall(distributor.lowerDelay, (DELAY)));
        vm.warp(vm.getBlockTimestamp() + 10 days - 1 days);
        postNext(ROOT, 1);
        uint64 parents = distributor.head().activatesAt;
        vm.warp(vm.getBlockTimestamp() + 1 days);
        vm.prank(OWNER);
        distributor.lowerDelay(DELAY);

        postNext(NEXT_ROOT, 2);
        assertGt(parents, vm.getBlockTimestamp() + DELAY);
        assertEq(distributor.head().activatesAt, parents);
    }

    function test_fundsNeedOnlyCoverWhatIsOwed() external {
        (bytes32 root, bytes32[] memory proof,) = treeOf(600 ether, 400 ether);
        postActive(root, 1000 ether);
        vm.prank(ALICE);
        distributor.claim(root, 600 ether, proof, ALICE);
        vm.prank(address(distributor));
        assertTrue(token.transfer(STRANGER, FUNDS - 600 ether - 500 ether));

        RewardCommit memory commit = ready(NEXT_ROOT, 1100 ether + 1);
        expectRefusal(
            commit, abi.encodeWithSelector(IRewardDistributor.Underfunded.selector, 500 ether + 1, 500 ether)
        );
        postNext(NEXT_ROOT, 1100 ether);
    }

    function test_signerMayBeAContract() external {
        ProjectParams memory params = defaultParams();
        params.name = "safe";
        params.signer = address(new Wallet1271(signer));
        distributor = newProject(address(this), params);
        token.mint(address(distributor), FUNDS);

        RewardCommit memory commit = ready(ROOT, 1);
        bytes memory signature = sign(commit);
        distributor.post(commit, signature);
        assertEq(distributor.head().epoch, CREATION_DAY);

        commit = nextCommit(NEXT_ROOT, 2);
        warpToEndOf(commit);
        signature[0] ^= 0x01;
        vm.expectRevert(
            abi.encodeWithSelector(
                IRewardDistributor.InvalidSignature.selector, params.signer, distributor.hashCommit(commit)
            )
        );
        distributor.post(commit, signature);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_paused() external {
        RewardCommit memory commit = ready(ROOT, 1);
        vm.prank(OWNER);
        distributor.pause();
        uint64 until = uint64(vm.getBlockTimestamp()) + 10 days;
        expectRefusal(commit, abi.encodeWithSelector(IRewardDistributor.PostPaused.selector, until));

        vm.warp(until);
        distributor.post(commit, sign(commit));
    }

    function test_revertWhen_revisionDiffers() external {
        RewardCommit memory commit = ready(ROOT, 1);
        commit.revision = 1;
        expectRefusal(commit, abi.encodeWithSelector(IRewardDistributor.WrongRevision.selector, 1, 0));
    }

    function test_revertWhen_previousDiffers() external {
        RewardCommit memory commit = ready(ROOT, 1);
        commit.previous = keccak256("other");
        expectRefusal(
            commit,
            abi.encodeWithSelector(IRewardDistributor.WrongPrevious.selector, commit.previous, NO_COMMIT)
        );
    }

    function test_revertWhen_postedAlready() external {
        RewardCommit memory commit = postNext(ROOT, 1);
        bytes32 commitHash = distributor.structHash(commit);
        expectRefusal(
            commit, abi.encodeWithSelector(IRewardDistributor.WrongPrevious.selector, NO_COMMIT, commitHash)
        );
    }

    function test_revertWhen_aDayIsLeftOutOrRepeated() external {
        RewardCommit memory commit = ready(ROOT, 1);
        commit.epoch += 1;
        expectRefusal(
            commit,
            abi.encodeWithSelector(IRewardDistributor.WrongEpoch.selector, CREATION_DAY + 1, CREATION_DAY)
        );
        commit.epoch -= 2;
        expectRefusal(
            commit,
            abi.encodeWithSelector(IRewardDistributor.WrongEpoch.selector, CREATION_DAY - 1, CREATION_DAY)
        );
    }

    function test_revertWhen_theDayIsNotOver() external {
        RewardCommit memory commit = ready(ROOT, 1);
        uint256 endsAt = vm.getBlockTimestamp();
        vm.warp(endsAt - 1);
        expectRefusal(
            commit,
            abi.encodeWithSelector(IRewardDistributor.DayNotOver.selector, CREATION_DAY, endsAt, endsAt - 1)
        );
    }

    function test_revertWhen_theTotalFalls() external {
        postNext(ROOT, 100);
        RewardCommit memory commit = ready(NEXT_ROOT, 99);
        expectRefusal(commit, abi.encodeWithSelector(IRewardDistributor.TotalFell.selector, 99, 100));
    }

    function test_revertWhen_theQuotaIsExceeded() external {
        postNext(ROOT, 5);
        RewardCommit memory commit = ready(NEXT_ROOT, QUOTA + 6);
        expectRefusal(
            commit, abi.encodeWithSelector(IRewardDistributor.QuotaExceeded.selector, QUOTA + 1, QUOTA)
        );
    }

    function test_revertWhen_theTotalIsTooLarge() external {
        ProjectParams memory params = defaultParams();
        params.name = "large";
        params.dailyQuota = type(uint128).max;
        distributor = newProject(address(this), params);

        uint256 tooLarge = uint256(type(uint112).max) + 1;
        RewardCommit memory commit = ready(ROOT, tooLarge);
        expectRefusal(
            commit,
            abi.encodeWithSelector(IRewardDistributor.TotalTooLarge.selector, tooLarge, type(uint112).max)
        );

        token.mint(address(distributor), type(uint112).max);
        postNext(ROOT, type(uint112).max);
        assertEq(distributor.commitOf(ROOT).total, type(uint112).max);
    }

    function test_revertWhen_theEmptyTreeHasATotal() external {
        RewardCommit memory commit = ready(0, 1);
        expectRefusal(commit, abi.encodeWithSelector(IRewardDistributor.EmptyTreeWithTotal.selector, 1));
    }

    function test_revertWhen_aKnownRootHasAnotherTotal() external {
        postNext(ROOT, 100);
        RewardCommit memory commit = ready(ROOT, 101);
        expectRefusal(
            commit, abi.encodeWithSelector(IRewardDistributor.RootTotalMismatch.selector, ROOT, 101, 100)
        );
    }

    function test_revertWhen_underfunded() external {
        vm.prank(address(distributor));
        assertTrue(token.transfer(STRANGER, FUNDS - 99));
        RewardCommit memory commit = ready(ROOT, 100);
        expectRefusal(commit, abi.encodeWithSelector(IRewardDistributor.Underfunded.selector, 100, 99));
    }

    function test_revertWhen_theSignerIsDisabled() external {
        vm.prank(GUARDIAN);
        distributor.disableSigner();
        RewardCommit memory commit = ready(ROOT, 1);
        expectRefusal(commit, abi.encodeWithSelector(IDistributorControl.SignerIsDisabled.selector));
    }

    function test_revertWhen_anyFieldWasChangedAfterSigning() external {
        RewardCommit memory commit = ready(ROOT, 1);
        bytes memory signature = sign(commit);

        commit.dataHash = keccak256("other");
        refuseSignature(commit, signature);
        commit = nextCommit(ROOT, 2);
        refuseSignature(commit, signature);
        commit = nextCommit(NEXT_ROOT, 1);
        refuseSignature(commit, signature);
    }

    function test_revertWhen_signedForAnotherDistributor() external {
        ProjectParams memory params = defaultParams();
        params.name = "other";
        RewardDistributor other = newProject(address(this), params);
        RewardCommit memory commit = ready(ROOT, 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, other.hashCommit(commit));
        refuseSignature(commit, abi.encodePacked(r, s, v));
    }

    function test_revertWhen_signedForAnotherChain() external {
        RewardCommit memory commit = ready(ROOT, 1);
        vm.chainId(10);
        bytes memory signature = sign(commit);
        vm.chainId(1);
        refuseSignature(commit, signature);
    }

    function test_revertWhen_signedByAnother() external {
        RewardCommit memory commit = ready(ROOT, 1);
        (, uint256 otherKey) = makeAddrAndKey("other");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(otherKey, distributor.hashCommit(commit));
        refuseSignature(commit, abi.encodePacked(r, s, v));
    }

    function test_revertWhen_theSignatureIsMalformed() external {
        RewardCommit memory commit = ready(ROOT, 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, distributor.hashCommit(commit));
        uint256 n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

        refuseSignature(commit, "");
        refuseSignature(commit, abi.encodePacked(r, s));
        refuseSignature(commit, abi.encodePacked(r, s, v, uint8(0)));
        refuseSignature(commit, abi.encodePacked(r, s, uint8(29)));
        // High s: the other signature of the same key over the same digest.
        refuseSignature(commit, abi.encodePacked(r, bytes32(n - uint256(s)), v == 27 ? uint8(28) : uint8(27)));
    }

    function refuseSignature(RewardCommit memory commit, bytes memory signature) private {
        bytes32 digest = distributor.hashCommit(commit);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.InvalidSignature.selector, signer, digest));
        distributor.post(commit, signature);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       HASHES
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev The digest by EIP-712's text, not by the contract's code.
    function testFuzz_hashCommit(RewardCommit memory commit) external view {
        bytes32 structHash = keccak256(
            bytes.concat(
                keccak256(
                    "RewardCommit(uint64 epoch,uint32 revision,bytes32 previous,bytes32 root,uint256 total,bytes32 dataHash)"
                ),
                bytes32(uint256(commit.epoch)),
                bytes32(uint256(commit.revision)),
                commit.previous,
                commit.root,
                bytes32(commit.total),
                commit.dataHash
            )
        );
        bytes32 domain = keccak256(
            bytes.concat(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("NodeSystem"),
                keccak256("1"),
                bytes32(uint256(1)),
                bytes32(uint256(uint160(address(distributor))))
            )
        );
        assertEq(distributor.structHash(commit), structHash);
        assertEq(distributor.hashCommit(commit), keccak256(bytes.concat(hex"1901", domain, structHash)));
    }
}
