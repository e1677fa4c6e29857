// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {Claim, IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {MerkleTree} from "../MerkleTree.sol";
import {
    BlockingToken,
    FalseToken,
    FeeToken,
    HookToken,
    NoZeroToken,
    PlainToken,
    RebasingToken,
    SilentToken,
    SurchargeToken
} from "./Tokens.sol";

/// @dev Projects that pay in tokens which do not behave. Whatever the token does, the books stay right
/// and no other project is touched.
contract HostileTokenTest is BaseTest {
    uint256 private constant OWED = 100 ether;

    bytes32 private root;
    bytes32[] private aliceProof;
    bytes32[] private bobProof;

    /// @dev From here on `distributor` is a project that pays in the token, with an active root that owes
    /// alice 40 and bob 60.
    function use(address hostile) private {
        ProjectParams memory params = defaultParams();
        (params.name, params.token) = ("hostile", hostile);
        distributor = newProject(OWNER, params);
        PlainToken(hostile).mint(address(distributor), OWED);
        (root, aliceProof, bobProof) = treeOf(40 ether, 60 ether);
        postActive(root, OWED);
    }

    function aliceClaims() private returns (uint256) {
        vm.prank(ALICE);
        return distributor.claim(root, 40 ether, aliceProof, ALICE);
    }

    function bobClaims() private returns (uint256) {
        vm.prank(BOB);
        return distributor.claim(root, 60 ether, bobProof, BOB);
    }

    function assertBooks(uint256 paid) private view {
        assertEq(distributor.paid(), paid);
        assertLe(paid, distributor.activeTotal());
    }

    /*//////////////////////////////////////////////////////////////////////////
                                   AMOUNTS THAT CHANGE
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev The recipient bears the token's fee; the distributor's books are of what it sent.
    function test_feeOnTransfer_isTheRecipients() external {
        FeeToken hostile = new FeeToken();
        use(address(hostile));
        aliceClaims();
        bobClaims();
        assertEq(hostile.balanceOf(ALICE), 36 ether);
        assertEq(hostile.balanceOf(BOB), 54 ether);
        assertEq(hostile.balanceOf(address(distributor)), 0);
        assertBooks(OWED);
    }

    /// @dev A surcharge eats into what others are owed. The last claim waits until someone refills, and
    /// no further commit is posted until then.
    function test_surcharge_stopsPostsUntilRefilled() external {
        SurchargeToken hostile = new SurchargeToken();
        use(address(hostile));
        aliceClaims();
        vm.expectRevert();
        this.bobClaimsOutside();
        assertEq(distributor.claimed(BOB), 0);
        assertEq(distributor.unallocated(), 0);

        RewardCommit memory commit = nextCommit(keccak256("next"), OWED + 1);
        warpToEndOf(commit);
        bytes memory signature = sign(commit);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.Underfunded.selector, 60 ether + 1, 56 ether)
        );
        distributor.post(commit, signature);

        hostile.mint(address(distributor), 10 ether);
        bobClaims();
        assertBooks(OWED);
    }

    function bobClaimsOutside() external {
        bobClaims();
    }

    /// @dev As long as the balance is too small the last claims wait; nothing is booked as paid.
    function test_rebasing_downDelaysAndUpIsUnallocated() external {
        RebasingToken hostile = new RebasingToken();
        use(address(hostile));
        hostile.rebase(900);
        aliceClaims();
        vm.expectRevert();
        this.bobClaimsOutside();
        assertBooks(40 ether);
        assertEq(distributor.unallocated(), 0);

        hostile.rebase(2000);
        bobClaims();
        assertBooks(OWED);
        assertEq(distributor.unallocated(), hostile.balanceOf(address(distributor)));
        assertGt(distributor.unallocated(), 0);
    }

    function test_sixAndThirtyDecimals() external {
        PlainToken six = new PlainToken(6);
        (root, aliceProof,) = treeOf(4e6, 6e6);
        payIn(six, 10e6, 4e6);
        // Thirty decimals: a thousand tokens fit the ledger's 112 bits with room to spare.
        PlainToken thirty = new PlainToken(30);
        (root, aliceProof,) = treeOf(400e30, 600e30);
        payIn(thirty, 1000e30, 400e30);
    }

    function payIn(PlainToken paysIn, uint128 total, uint256 alices) private {
        ProjectParams memory params = defaultParams();
        (params.token, params.dailyQuota) = (address(paysIn), total);
        params.name = paysIn.decimals() == 6 ? "six" : "thirty";
        distributor = newProject(address(this), params);
        paysIn.mint(address(distributor), total);
        postActive(root, total);
        vm.prank(ALICE);
        assertEq(distributor.claim(root, alices, aliceProof, ALICE), alices);
        assertEq(paysIn.balanceOf(ALICE), alices);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                    ODD ANSWERS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev A transfer that answers false is a failed claim, which can be made again.
    function test_falseIsARefusal() external {
        FalseToken hostile = new FalseToken();
        use(address(hostile));
        hostile.refuse(true);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(hostile)));
        this.bobClaimsOutside();
        assertBooks(0);
        assertEq(distributor.claimed(BOB), 0);
        hostile.refuse(false);
        assertEq(bobClaims(), 60 ether);
    }

    function test_noAnswerIsConsent() external {
        SilentToken hostile = new SilentToken();
        use(address(hostile));
        aliceClaims();
        assertEq(hostile.balanceOf(ALICE), 40 ether);
        assertBooks(40 ether);
    }

    /// @dev The distributor never moves nothing: not to a relayer without a fee, not to a recipient whose
    /// whole amount is the fee.
    function test_nothingIsNeverMoved() external {
        NoZeroToken hostile = new NoZeroToken();
        use(address(hostile));
        (address account, uint256 key) = makeAddrAndKey("account");
        uint256[2] memory fees = [uint256(0), 10 ether];
        for (uint256 i; i < 2; ++i) {
            hostile.mint(address(distributor), 10 ether);
            root = MerkleTree.leaf(account, (i + 1) * 10 ether);
            postActive(root, OWED + (i + 1) * 10 ether);
            Claim memory signedClaim =
                Claim(account, root, (i + 1) * 10 ether, account, address(0), fees[i], type(uint64).max);
            bytes memory signature = signDigest(key, distributor.hashClaim(signedClaim));
            distributor.claimWithSignature(signedClaim, new bytes32[](0), signature);
        }
        assertEq(hostile.balanceOf(account), 10 ether);
        assertEq(hostile.balanceOf(address(this)), 10 ether);
    }

    /// @dev A blocked account names another recipient; the others are not held up.
    function test_aBlockedAccountNamesAnotherRecipient() external {
        BlockingToken hostile = new BlockingToken();
        use(address(hostile));
        hostile.setBlocked(BOB, true);
        vm.expectRevert(abi.encodeWithSelector(BlockingToken.Blocked.selector, BOB));
        this.bobClaimsOutside();
        aliceClaims();
        vm.prank(BOB);
        distributor.claim(root, 60 ether, bobProof, STRANGER);
        assertEq(hostile.balanceOf(STRANGER), 60 ether);
        assertBooks(OWED);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      REENTRY
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Called back in the middle of a payment, every function finds the payment done.
    function test_reentryFindsThePaymentDone() external {
        HookToken hostile = new HookToken();
        use(address(hostile));
        (address account, uint256 key) = makeAddrAndKey("account");
        hostile.mint(address(distributor), 50 ether);
        root = MerkleTree.leaf(account, 50 ether);
        postActive(root, OWED + 50 ether);
        Claim memory signedClaim =
            Claim(account, root, 50 ether, account, address(0), 5 ether, type(uint64).max);
        bytes memory signature = signDigest(key, distributor.hashClaim(signedClaim));
        hostile.setHook(
            address(distributor),
            abi.encodeCall(distributor.claimWithSignature, (signedClaim, new bytes32[](0), signature))
        );
        distributor.claimWithSignature(signedClaim, new bytes32[](0), signature);

        // Both transfers called back, and both times nothing was left to claim.
        assertEq(hostile.calls(), 2);
        assertEq(hostile.refusals(), 2);
        assertEq(
            hostile.lastRefusal(),
            abi.encodeWithSelector(IRewardDistributor.NothingToClaim.selector, account, 50 ether, 50 ether)
        );
        assertEq(hostile.balanceOf(account), 45 ether);
        assertEq(hostile.balanceOf(address(distributor)), OWED);
        assertBooks(50 ether);
    }

    /// @dev A token that is the owner too cannot withdraw again while it is being withdrawn.
    function test_reentryIntoAWithdrawal() external {
        HookToken hostile = new HookToken();
        use(address(hostile));
        hostile.mint(address(distributor), 50 ether);
        vm.prank(OWNER);
        registry.transferProject(address(distributor), address(hostile));
        vm.prank(address(hostile));
        registry.acceptProject(address(distributor));
        bytes memory call = abi.encodeCall(IDistributorControl.withdrawUnallocated, (STRANGER, 50 ether));
        vm.prank(address(hostile));
        distributor.queue(call);
        vm.warp(vm.getBlockTimestamp() + TIMELOCK);
        hostile.setHook(address(distributor), call);
        vm.prank(address(hostile));
        distributor.withdrawUnallocated(STRANGER, 50 ether);
        assertEq(hostile.refusals(), 1);
        assertEq(
            hostile.lastRefusal(),
            abi.encodeWithSelector(IDistributorControl.NotQueued.selector, keccak256(call))
        );
        assertEq(hostile.balanceOf(address(distributor)), OWED);
    }

    /// @dev The token may post the next commit while a claim is paid: it is judged by the books after it.
    function test_reentryIntoPost() external {
        HookToken hostile = new HookToken();
        use(address(hostile));
        RewardCommit memory commit = nextCommit(keccak256("next"), OWED + 1);
        warpToEndOf(commit);
        bytes memory signature = sign(commit);
        hostile.setHook(address(distributor), abi.encodeCall(distributor.post, (commit, signature)));
        aliceClaims();
        assertEq(
            hostile.lastRefusal(),
            abi.encodeWithSelector(IRewardDistributor.Underfunded.selector, 60 ether + 1, 60 ether)
        );
    }
}
