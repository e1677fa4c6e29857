// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {DevToken} from "../../src/dev/DevToken.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {Claim, IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {Calldata} from "../Calldata.sol";
import {MerkleTree} from "../MerkleTree.sol";
import {ProjectBook} from "./ProjectBook.sol";

/// @dev Does what everyone around one project can do: signer, accounts, relayer, owner, guardian, the
/// registry's new owner, and time. What would be refused is not tried, except by `tryRefused`, which
/// asserts that it is refused.
contract ProjectHandler is ProjectBook {
    constructor(
        RewardDistributor distributor,
        DevToken token,
        bool honest
    ) ProjectBook(distributor, token, honest) {}

    /*//////////////////////////////////////////////////////////////////////////
                                  SIGNER AND ACCOUNTS
    //////////////////////////////////////////////////////////////////////////*/

    function waitSome(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1 hours, 3 days));
        _look();
    }

    function fund(uint256 amount) external {
        amount = bound(amount, 1, 50 ether);
        vm.prank(TOKEN.owner());
        TOKEN.mint(address(DISTRIBUTOR), amount);
        funded += amount;
    }

    /// @dev Another token comes here by mistake, and leaves.
    function withdrawStrayToken(uint256 amount) external {
        amount = bound(amount, 1, 50 ether);
        DevToken stray = new DevToken("Stray", "STR", address(this));
        stray.mint(address(DISTRIBUTOR), amount);
        vm.prank(DISTRIBUTOR.owner());
        DISTRIBUTOR.withdrawStrayToken(address(stray), RELAYER, amount);
        assertEq(stray.balanceOf(RELAYER), amount);
    }

    function post(uint256 seed) external {
        if (DISTRIBUTOR.isPaused() || DISTRIBUTOR.signer() == address(0)) return;
        uint64 epoch = DISTRIBUTOR.head().epoch + 1;
        uint256 endsAt = (uint256(epoch) + 1) * 1 days;
        if (vm.getBlockTimestamp() < endsAt) vm.warp(endsAt);

        (uint256[ACCOUNTS] memory amounts, uint256 total) = _nextAmounts(seed);
        bytes32 root = _total(amounts) == 0 ? bytes32(0) : MerkleTree.build(_leaves(amounts))[0];
        bytes32 previous = DISTRIBUTOR.head().commitHash;
        RewardCommit memory commit =
            RewardCommit(epoch, DISTRIBUTOR.head().revision, previous, root, total, bytes32(seed));
        bytes memory signature = _sign(commit);
        DISTRIBUTOR.post(commit, signature);
        _signatures[DISTRIBUTOR.structHash(commit)] = signature;
        _chain.push(commit);
        _amounts.push(amounts);
        _activatesAt.push(DISTRIBUTOR.head().activatesAt);
        _look();
    }

    function claim(uint256 which, uint256 day) external {
        Due memory due = _dueOf(which, day);
        if (due.amount == 0 || due.tooMuch) return;
        address account = accountOf(which);
        if (account.code.length != 0) {
            vm.prank(RELAYER);
            _count(which, due, DISTRIBUTOR.claimFor(account, due.root, due.cumulative, due.proof));
            return;
        }
        vm.prank(account);
        _count(which, due, DISTRIBUTOR.claim(due.root, due.cumulative, due.proof, account));
    }

    function claimWithSignature(uint256 which, uint256 day, uint256 fee) external {
        Due memory due = _dueOf(which, day);
        if (due.amount == 0 || due.tooMuch) return;
        address account = accountOf(which);
        if (account.code.length != 0) return;
        fee = bound(fee, 0, due.amount);
        Claim memory signedClaim =
            Claim(account, due.root, due.cumulative, account, address(0), fee, type(uint64).max);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keyOf(which), DISTRIBUTOR.hashClaim(signedClaim));
        bytes memory signature = abi.encodePacked(r, s, v);
        vm.prank(RELAYER);
        _count(which, due, DISTRIBUTOR.claimWithSignature(signedClaim, due.proof, signature));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                   OWNER AND GUARDIAN
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Revokes some of what is pending, from the head down.
    function revoke(uint256 count, bool byGuardian) external {
        uint256 pending = _pending();
        if (pending == 0) return;
        count = bound(count, 1, pending);
        RewardCommit[] memory down = new RewardCommit[](count);
        for (uint256 i; i < count; ++i) {
            down[i] = _chain[_chain.length - 1 - i];
        }
        RewardCommit memory newHead;
        if (_chain.length > count) newHead = _chain[_chain.length - 1 - count];
        vm.prank(_ownerOrGuardian(byGuardian));
        DISTRIBUTOR.revoke(down, newHead);
        for (uint256 i; i < count; ++i) {
            _revoked.push(down[i]);
            _chain.pop();
            _amounts.pop();
            _activatesAt.pop();
        }
    }

    /// @dev One of the things that owner and guardian do rarely.
    function steer(uint256 which, uint256 seed, bool byGuardian) external {
        which %= 12;
        if (which == 0) _pause(byGuardian);
        else if (which == 1) _renewGuardianPause();
        else if (which == 2) _disableSigner(seed, byGuardian);
        else if (which == 3) _lowerQuota();
        else if (which == 4) _raiseDelays(seed);
        else if (which == 5) _sellProject(seed);
        else if (which == 6) _cancel(seed, byGuardian);
        else if (which < 10) _queue(seed >> 8, seed);
        else _execute(seed);
    }

    function _pause(bool byGuardian) private {
        if (byGuardian && (_guardian == address(0) || DISTRIBUTOR.guardianPauseSpent())) return;
        vm.prank(_ownerOrGuardian(byGuardian));
        DISTRIBUTOR.pause();
        _look();
    }

    function _renewGuardianPause() private {
        if (!DISTRIBUTOR.guardianPauseSpent()) return;
        vm.prank(owner());
        DISTRIBUTOR.renewGuardianPause();
    }

    function _disableSigner(uint256 seed, bool byGuardian) private {
        if (seed % 4 != 0 || DISTRIBUTOR.signer() == address(0)) return;
        vm.prank(_ownerOrGuardian(byGuardian));
        DISTRIBUTOR.disableSigner();
    }

    function _lowerQuota() private {
        uint128 quota = DISTRIBUTOR.quotaOf(type(uint64).max);
        if (quota < 2 ether) return;
        uint64 from = uint64(vm.getBlockTimestamp() / 1 days + 1);
        if (from != _loweredFrom && DISTRIBUTOR.head().epoch + 1 < _loweredFrom) return;
        uint128 next = DISTRIBUTOR.dailyQuota();
        vm.prank(owner());
        DISTRIBUTOR.lowerQuota(quota / 2);
        _loweredFrom = from;
        // What the signer may have signed stays possible.
        assertEq(DISTRIBUTOR.dailyQuota(), next);
    }

    function _raiseDelays(uint256 time) private {
        vm.startPrank(owner());
        uint64 more = DISTRIBUTOR.delay() + uint64(bound(time, 1, 7 days));
        if (more <= 14 days) DISTRIBUTOR.raiseDelay(more);
        more = DISTRIBUTOR.timelock() + uint64(bound(time, 1, 1 hours));
        if (more <= 30 days) DISTRIBUTOR.raiseTimelock(more);
        vm.stopPrank();
    }

    function _queue(uint256 which, uint256 value) private {
        bytes memory call = _callOf(which, value);
        (, uint64 expiresAt) = DISTRIBUTOR.queuedCall(call);
        if (vm.getBlockTimestamp() < expiresAt) return;
        vm.prank(owner());
        DISTRIBUTOR.queue(call);
        _queued.push(call);
    }

    function _cancel(uint256 which, bool byGuardian) private {
        if (_queued.length == 0) return;
        bytes memory call = _takeQueued(which);
        (uint64 readyAt,) = DISTRIBUTOR.queuedCall(call);
        if (readyAt == 0) return;
        bool replacement = Calldata.selectorOf(call) == IDistributorControl.setGuardian.selector;
        vm.prank(_ownerOrGuardian(byGuardian && !replacement));
        DISTRIBUTOR.cancel(call);
    }

    function _execute(uint256 which) private {
        if (_queued.length == 0) return;
        bytes memory call = _takeQueued(which);
        (uint64 readyAt, uint64 expiresAt) = DISTRIBUTOR.queuedCall(call);
        if (readyAt == 0) return;
        if (vm.getBlockTimestamp() < readyAt) vm.warp(readyAt);
        if (vm.getBlockTimestamp() >= expiresAt || !_stillValid(call)) return;
        uint256 before = TOKEN.balanceOf(address(DISTRIBUTOR));
        vm.prank(owner());
        (bool success,) = address(DISTRIBUTOR).call(call);
        assertTrue(success, "a queued call was refused");
        withdrawn += before - TOKEN.balanceOf(address(DISTRIBUTOR));
        _guardian = DISTRIBUTOR.guardian();
        _look();
    }

    function _sellProject(uint256 seed) private {
        address next = makeAddr(string(abi.encode(seed % 3)));
        vm.prank(owner());
        REGISTRY.transferProject(address(DISTRIBUTOR), next);
        vm.prank(next);
        REGISTRY.acceptProject(address(DISTRIBUTOR));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev One of the things that nobody may do.
    function tryRefused(uint256 which, uint256 seed, bool byGuardian) external {
        which %= 6;
        if (which == 5) _tryForce(seed, seed >> 8);
        else if (which == 0) _tryPostRevoked(seed);
        else if (which == 1) _tryClaimPending(seed);
        else if (which == 2) _tryRevokeActive(byGuardian);
        else if (which == 3) _tryClaimAgain(seed, seed >> 8);
        else _tryClaimTooMuch();
    }

    /// @dev A revoked commit is not posted again, though its signature was good.
    function _tryPostRevoked(uint256 which) private {
        if (_revoked.length == 0) return;
        RewardCommit memory commit = _revoked[which % _revoked.length];
        bytes memory signature = _signatures[DISTRIBUTOR.structHash(commit)];
        (bool success,) =
            address(DISTRIBUTOR).call(abi.encodeCall(RewardDistributor.post, (commit, signature)));
        assertFalse(success, "a revoked commit was posted again");
    }

    /// @dev Nothing is claimed against a pending root, whatever its tree says.
    function _tryClaimPending(uint256 which) private {
        if (_pending() == 0) return;
        uint256 day = _chain.length - 1;
        bytes32 root = _chain[day].root;
        if (DISTRIBUTOR.isActive(root)) return;
        uint256 cumulative = _amounts[day][which % ACCOUNTS];
        bytes32[] memory proof = _proof(day, which);
        vm.prank(accountOf(which));
        vm.expectPartialRevert(IRewardDistributor.RootNotActive.selector);
        DISTRIBUTOR.claim(root, cumulative, proof, RELAYER);
    }

    /// @dev What is active is not revoked, neither by the owner nor by the guardian.
    function _tryRevokeActive(bool byGuardian) private {
        if (_chain.length == 0 || _pending() != 0) return;
        RewardCommit[] memory down = new RewardCommit[](1);
        down[0] = _chain[_chain.length - 1];
        RewardCommit memory newHead;
        if (_chain.length > 1) newHead = _chain[_chain.length - 2];
        address caller = _ownerOrGuardian(byGuardian);
        vm.prank(caller);
        vm.expectPartialRevert(IRewardDistributor.CommitActive.selector);
        DISTRIBUTOR.revoke(down, newHead);
    }

    /// @dev An account is not paid twice for the same.
    function _tryClaimAgain(uint256 which, uint256 day) private {
        if (_chain.length == 0) return;
        day = bound(day, 0, _chain.length - 1);
        uint256 cumulative = _amounts[day][which % ACCOUNTS];
        bytes32 root = _chain[day].root;
        if (root == 0 || !DISTRIBUTOR.isActive(root)) return;
        if (DISTRIBUTOR.claimed(accountOf(which)) < cumulative) return;
        bytes32[] memory proof = _proof(day, which);
        vm.prank(accountOf(which));
        vm.expectPartialRevert(IRewardDistributor.NothingToClaim.selector);
        DISTRIBUTOR.claim(root, cumulative, proof, RELAYER);
    }

    /// @dev Nobody sends the claim of an account that has no code.
    function _tryForce(uint256 which, uint256 day) private {
        Due memory due = _dueOf(which, day);
        address account = accountOf(which);
        if (due.amount == 0 || account.code.length != 0) return;
        vm.prank(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.NoCodeOfItsOwn.selector, account));
        DISTRIBUTOR.claimFor(account, due.root, due.cumulative, due.proof);
    }

    /// @dev No more is paid than the active total, though the tree promises it.
    function _tryClaimTooMuch() private {
        for (uint256 i; i < ACCOUNTS * _chain.length; ++i) {
            Due memory due = _dueOf(i, i / ACCOUNTS);
            if (!due.tooMuch) continue;
            vm.prank(accountOf(i));
            vm.expectPartialRevert(IRewardDistributor.ActiveTotalExceeded.selector);
            DISTRIBUTOR.claim(due.root, due.cumulative, due.proof, RELAYER);
        }
    }

    /*//////////////////////////////////////////////////////////////////////////
                                     AT THE END
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Everyone whom an active root still owes claims, in an order that `seed` gives; the most that
    /// any active root promises each has to have been paid in the end.
    function settle(uint256 seed) external {
        uint256[ACCOUNTS] memory owed;
        for (uint256 day; day < _chain.length; ++day) {
            if (!DISTRIBUTOR.isActive(_chain[day].root)) continue;
            for (uint256 i; i < ACCOUNTS; ++i) {
                if (_amounts[day][i] > owed[i]) owed[i] = _amounts[day][i];
            }
        }
        uint256 steps = ACCOUNTS * _chain.length;
        for (uint256 step; step < 2 * steps; ++step) {
            // First at random, then what is left.
            uint256 place = step < steps ? uint256(keccak256(abi.encode(seed, step))) : step;
            this.claim(place % ACCOUNTS, (place / ACCOUNTS) % _chain.length);
        }
        for (uint256 i; i < ACCOUNTS; ++i) {
            assertEq(DISTRIBUTOR.claimed(accountOf(i)), owed[i], "not paid what was owed");
        }
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    function _callOf(uint256 which, uint256 value) private view returns (bytes memory) {
        which %= 6;
        if (which == 0) {
            return abi.encodeCall(IDistributorControl.setSigner, (_signers[value % SIGNERS]));
        }
        if (which == 1) {
            address guardian = value % 4 == 0 ? address(0) : _signers[value % SIGNERS];
            return abi.encodeCall(IDistributorControl.setGuardian, (guardian));
        }
        if (which == 2) {
            return abi.encodeCall(
                IDistributorControl.raiseQuota,
                (DISTRIBUTOR.quotaOf(type(uint64).max) + uint128(bound(value, 1, 50 ether)))
            );
        }
        if (which == 3) return abi.encodeCall(IDistributorControl.lowerDelay, (24 hours));
        if (which == 4) return abi.encodeCall(IDistributorControl.lowerTimelock, (2 days));
        return abi.encodeCall(
            IDistributorControl.withdrawUnallocated, (RELAYER, bound(value, 0, DISTRIBUTOR.unallocated() / 4))
        );
    }

    function _takeQueued(uint256 which) private returns (bytes memory call) {
        which %= _queued.length;
        call = _queued[which];
        _queued[which] = _queued[_queued.length - 1];
        _queued.pop();
    }

    /// @dev Whether the state still allows what the call does.
    function _stillValid(bytes memory call) private view returns (bool) {
        bytes4 selector = Calldata.selectorOf(call);
        (uint256 first, uint256 second) =
            (Calldata.wordOf(call, 0), call.length > 36 ? Calldata.wordOf(call, 1) : 0);
        if (selector == IDistributorControl.raiseQuota.selector) {
            return first > DISTRIBUTOR.quotaOf(type(uint64).max);
        }
        if (selector == IDistributorControl.lowerDelay.selector) return first < DISTRIBUTOR.delay();
        if (selector == IDistributorControl.lowerTimelock.selector) return first < DISTRIBUTOR.timelock();
        if (selector == IDistributorControl.withdrawUnallocated.selector) {
            return second <= DISTRIBUTOR.unallocated();
        }
        return true;
    }
}
