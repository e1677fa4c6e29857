// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Test} from "forge-std/Test.sol";

import {ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {Claim, Entry, Head, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {DistributorHarness, OwnerOfAll, PlainBalances, SignsEverything, TouchesAnother} from "./Harness.sol";

/// @dev Symbolic proofs, run by halmos (`scripts/test symbolic`); forge does not run `check_`.
/// Every argument, and the state before the call as far as it is set, is any value at all. What bounds
/// the proofs: proofs of the length named in each, and the solver's timeout, which counts as unproven.
contract DistributorProofs is Test {
    /// @dev Noon of a day far from zero.
    uint256 private constant TIME = 20_000 days + 12 hours;
    address private constant OWNER = address(0xa11ce);
    address private constant DELEGATES = address(0xde1e);

    PlainBalances private token;
    DistributorHarness private distributor;

    function setUp() public {
        vm.warp(TIME);
        token = new PlainBalances();
        address signer = address(new SignsEverything());
        distributor = new DistributorHarness(
            new OwnerOfAll(OWNER),
            ProjectParams("proof", address(token), signer, address(2), 1, 24 hours, "", true, 0)
        );
    }

    /// @dev A claim in any state.
    struct Case {
        address account;
        address recipient;
        uint256 cumulative;
        uint256 before;
        uint112 activeTotal;
        uint112 paid;
        uint32 pausedUntil;
        uint64 activatesAt;
        uint112 total;
        uint256 balance;
    }

    function _prepare(Case memory c, bytes32 root) private {
        // The invariant that every call keeps: no more is paid than the active total.
        vm.assume(c.paid <= c.activeTotal);
        vm.assume(c.recipient != address(distributor));
        distributor.setLedger(c.activeTotal, c.paid, c.pausedUntil);
        distributor.setEntry(root, Entry(c.activatesAt, 1, c.total));
        distributor.setClaimed(c.account, c.before);
        token.setBalance(address(distributor), c.balance);
        token.setBalance(c.recipient, 0);
    }

    function _checkOneClaim(Case memory c, bytes32[] memory proof) private {
        bytes32 root = distributor.rootOf(c.account, c.cumulative, proof);
        _prepare(c, root);
        vm.prank(c.account);
        (bool success,) = address(distributor)
            .call(abi.encodeCall(distributor.claim, (root, c.cumulative, proof, c.recipient)));
        if (success) _assertPaid(c);
    }

    function _assertPaid(Case memory c) private view {
        // It paid the difference, once, to the recipient, and no more than was left of the active total.
        uint256 amount = c.cumulative - c.before;
        uint256 most = c.total > c.activeTotal ? c.total : c.activeTotal;
        assert(c.cumulative > c.before);
        assert(amount <= most - c.paid);
        assert(distributor.claimed(c.account) == c.cumulative);
        assert(distributor.paid() == c.paid + amount);
        assert(distributor.activeTotal() == most);
        assert(distributor.paid() <= distributor.activeTotal());
        (, uint64 until) = distributor.pauseWindow();
        assert(until == c.pausedUntil);
        assert(token.balanceOf(c.recipient) == amount);
        assert(token.balanceOf(address(distributor)) == c.balance - amount);
        assert(c.activatesAt != 0 && c.activatesAt <= block.timestamp);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        CLAIMS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Bound: an empty proof.
    function check_claim_paysTheDifferenceAndNoMore(Case memory c) external {
        _checkOneClaim(c, new bytes32[](0));
    }

    /// @dev Bound: a proof of one hash.
    function check_claim_paysTheDifferenceAndNoMore_proofOfOne(Case memory c, bytes32 sibling) external {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = sibling;
        _checkOneClaim(c, proof);
    }

    /// @dev After a claim no claim of the same account for as much or less is paid, against any root.
    /// Bound: empty proofs.
    function check_claim_neverPaysTwice(Case memory c, uint256 again, Entry memory other) external {
        bytes32[] memory proof = new bytes32[](0);
        bytes32 root = distributor.rootOf(c.account, c.cumulative, proof);
        _prepare(c, root);
        bytes32 otherRoot = distributor.rootOf(c.account, again, proof);
        if (otherRoot != root) distributor.setEntry(otherRoot, other);
        vm.prank(c.account);
        distributor.claim(root, c.cumulative, proof, c.recipient);

        vm.assume(again <= c.cumulative);
        vm.prank(c.account);
        (bool success,) = address(distributor)
            .call(abi.encodeCall(distributor.claim, (otherRoot, again, proof, c.recipient)));
        assert(!success);
    }

    /// @dev A claim changes no other account's.
    function check_claim_touchesNobodyElse(Case memory c, address other, uint256 others) external {
        vm.assume(other != c.account);
        bytes32[] memory proof = new bytes32[](0);
        bytes32 root = distributor.rootOf(c.account, c.cumulative, proof);
        _prepare(c, root);
        distributor.setClaimed(other, others);
        vm.prank(c.account);
        distributor.claim(root, c.cumulative, proof, c.recipient);
        assert(distributor.claimed(other) == others);
    }

    /// @dev `claimFor`, by anyone: the same, and to the account itself. Bound: an empty proof.
    function check_claimFor_paysTheDifferenceAndNoMore(Case memory c, address sender) external {
        bytes32[] memory proof = new bytes32[](0);
        c.account = address(token);
        c.recipient = address(token);
        bytes32 root = distributor.rootOf(c.account, c.cumulative, proof);
        _prepare(c, root);
        vm.prank(sender);
        (bool success,) = address(distributor)
            .call(abi.encodeCall(distributor.claimFor, (c.account, root, c.cumulative, proof)));
        if (success) _assertPaid(c);
    }

    /// @dev Nobody forces the claim of an account without code. Bound: an empty proof.
    function check_claimFor_forcesNobody(Case memory c, address sender) external {
        vm.assume(c.account.code.length == 0);
        bytes32[] memory proof = new bytes32[](0);
        bytes32 root = distributor.rootOf(c.account, c.cumulative, proof);
        _prepare(c, root);
        vm.prank(sender);
        (bool success,) = address(distributor)
            .call(abi.encodeCall(distributor.claimFor, (c.account, root, c.cumulative, proof)));
        assert(!success);
    }

    /// @dev Nor of one whose code is a delegation (EIP-7702), to whatever it delegates.
    function check_claimFor_forcesNobodyWhoDelegates(Case memory c, address sender) external {
        bytes32[] memory proof = new bytes32[](0);
        c.account = DELEGATES;
        vm.etch(c.account, abi.encodePacked(hex"ef0100", address(token)));
        bytes32 root = distributor.rootOf(c.account, c.cumulative, proof);
        _prepare(c, root);
        vm.prank(sender);
        (bool success,) = address(distributor)
            .call(abi.encodeCall(distributor.claimFor, (c.account, root, c.cumulative, proof)));
        assert(!success);
    }

    /// @dev `claimFor` changes no other account's. Bound: an empty proof.
    function check_claimFor_touchesNobodyElse(
        Case memory c,
        address sender,
        address other,
        uint256 others
    ) external {
        c.account = address(token);
        vm.assume(other != c.account);
        bytes32[] memory proof = new bytes32[](0);
        bytes32 root = distributor.rootOf(c.account, c.cumulative, proof);
        _prepare(c, root);
        distributor.setClaimed(other, others);
        vm.prank(sender);
        distributor.claimFor(c.account, root, c.cumulative, proof);
        assert(distributor.claimed(other) == others);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                     STRAY TOKENS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Whatever the stray token does to the project's when it is moved, even if it is the same under another
    /// address: the project's balance is as high as before, so it covers what it covered, and no sum changes.
    function check_withdrawStrayToken_leavesWhatIsOwed(
        address sender,
        address recipient,
        uint256 amount,
        uint256 balance,
        uint256 left,
        uint112 activeTotal,
        uint112 paid
    ) external {
        TouchesAnother stray = new TouchesAnother(token, address(distributor));
        stray.setLeft(left);
        token.setBalance(address(distributor), balance);
        distributor.setLedger(activeTotal, paid, 0);
        vm.prank(sender);
        (bool success,) = address(distributor)
            .call(abi.encodeCall(distributor.withdrawStrayToken, (address(stray), recipient, amount)));
        if (!success) return;
        assert(sender == OWNER);
        assert(token.balanceOf(address(distributor)) >= balance);
        assert(distributor.paid() == paid && distributor.activeTotal() == activeTotal);
    }

    /// @dev The project's own token is no stray one, whoever asks for however little.
    function check_withdrawStrayToken_refusesTheProjects(
        address sender,
        address recipient,
        uint256 amount
    ) external {
        vm.prank(sender);
        (bool success,) = address(distributor)
            .call(abi.encodeCall(distributor.withdrawStrayToken, (address(token), recipient, amount)));
        assert(!success);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        POSTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Whatever the signer signs: the total rises by at most the quota and the balance can pay it.
    function check_post_keepsQuotaAndSolvency(
        RewardCommit memory commit,
        Head memory last,
        Entry memory known,
        uint112 paid,
        uint32 pausedUntil,
        uint128 quota,
        uint256 balance
    ) external {
        vm.assume(last.epoch <= type(uint32).max);
        // The invariant: no more is paid than the head's total, which fits 112 bits.
        vm.assume(paid <= last.total && last.total <= type(uint112).max);
        distributor.setLedger(0, paid, pausedUntil);
        distributor.setHead(last);
        distributor.setEntry(commit.root, known);
        distributor.setQuota(quota);
        token.setBalance(address(distributor), balance);
        (bool success,) = address(distributor).call(abi.encodeCall(distributor.post, (commit, "")));
        if (!success) return;

        assert(commit.total >= last.total);
        assert(commit.total - last.total <= quota);
        assert(commit.total - paid <= balance);
        assert(commit.total <= type(uint112).max);
        assert(commit.revision == last.revision);
        assert(commit.previous == last.commitHash);
        assert(commit.epoch == last.epoch + 1);
        assert((uint256(commit.epoch) + 1) * 1 days <= block.timestamp);
        assert(block.timestamp >= pausedUntil);
        assert(distributor.head().total == commit.total);
        assert(distributor.head().activatesAt >= last.activatesAt);
        assert(distributor.head().activatesAt >= block.timestamp + 24 hours);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       DIGESTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Two commits of one digest are the same commit.
    function check_hashCommit_isInjective(RewardCommit memory a, RewardCommit memory b) external view {
        vm.assume(distributor.hashCommit(a) == distributor.hashCommit(b));
        assert(a.epoch == b.epoch);
        assert(a.revision == b.revision);
        assert(a.previous == b.previous);
        assert(a.root == b.root);
        assert(a.total == b.total);
        assert(a.dataHash == b.dataHash);
    }

    /// @dev Two claims of one digest are the same claim.
    function check_hashClaim_isInjective(Claim memory a, Claim memory b) external view {
        vm.assume(distributor.hashClaim(a) == distributor.hashClaim(b));
        assert(a.account == b.account);
        assert(a.root == b.root);
        assert(a.cumulative == b.cumulative);
        assert(a.recipient == b.recipient);
        assert(a.relayer == b.relayer);
        assert(a.relayerFee == b.relayerFee);
        assert(a.deadline == b.deadline);
    }

    /// @dev A signature for a commit is none for a claim.
    function check_commitsAndClaimsShareNoDigest(RewardCommit memory a, Claim memory b) external view {
        assert(distributor.hashCommit(a) != distributor.hashClaim(b));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        PROOFS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev The assembly leads where OpenZeppelin's MerkleProof leads. Bound: proofs of the length named.
    function check_rootOf_isMerkleProofs_empty(address account, uint256 cumulative) external view {
        _checkRoot(account, cumulative, new bytes32[](0));
    }

    function check_rootOf_isMerkleProofs_one(address account, uint256 cumulative, bytes32 s0) external view {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = s0;
        _checkRoot(account, cumulative, proof);
    }

    function check_rootOf_isMerkleProofs_two(
        address account,
        uint256 cumulative,
        bytes32 s0,
        bytes32 s1
    ) external view {
        bytes32[] memory proof = new bytes32[](2);
        (proof[0], proof[1]) = (s0, s1);
        _checkRoot(account, cumulative, proof);
    }

    function check_rootOf_isMerkleProofs_three(
        address account,
        uint256 cumulative,
        bytes32 s0,
        bytes32 s1,
        bytes32 s2
    ) external view {
        bytes32[] memory proof = new bytes32[](3);
        (proof[0], proof[1], proof[2]) = (s0, s1, s2);
        _checkRoot(account, cumulative, proof);
    }

    function _checkRoot(address account, uint256 cumulative, bytes32[] memory proof) private view {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(account, cumulative))));
        assert(distributor.rootOf(account, cumulative, proof) == MerkleProof.processProof(proof, leaf));
    }
}
