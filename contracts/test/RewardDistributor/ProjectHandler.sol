// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {ProjectRegistry} from "../../src/ProjectRegistry.sol";
import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {DevToken} from "../../src/dev/DevToken.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {Claim, IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {Calldata} from "../Calldata.sol";
import {MerkleTree} from "../MerkleTree.sol";

/// @dev Does what everyone around one project can do: signer, accounts, relayer, owner, guardian, the
/// registry's new owner, and time. What would be refused is not tried, except by `tryRefused`, which
/// asserts that it is refused. A dishonest signer's trees promise more than
/// their totals.
contract ProjectHandler is Test {
    uint256 public constant ACCOUNTS = 4;
    uint256 private constant SIGNERS = 3;

    address private immutable RELAYER = makeAddr("relayer");

    RewardDistributor public immutable DISTRIBUTOR;
    DevToken public immutable TOKEN;
    ProjectRegistry private immutable REGISTRY;
    bool public immutable HONEST;

    address private _guardian;

    /// @dev The chain as the handler knows it, lowest first, with each commit's cumulative amounts and
    /// the time it becomes active.
    RewardCommit[] private _chain;
    uint256[ACCOUNTS][] private _amounts;
    uint64[] private _activatesAt;

    /// @dev What was revoked, with the signature that posted it.
    RewardCommit[] private _revoked;
    mapping(bytes32 commitHash => bytes) private _signatures;

    bytes[] private _queued;

    address[ACCOUNTS] private _accounts;
    address[SIGNERS] private _signers;
    mapping(address signer => uint256 key) private _signerKeys;

    uint256 public funded;
    uint256 public withdrawn;
    uint256 public claimedInAll;
    uint256 public highestActiveTotal;
    uint256[ACCOUNTS] private _highestClaimed;

    /// @dev How many commits of the chain, from its beginning, were ever seen active.
    uint256 public activeSeen;

    constructor(RewardDistributor distributor, DevToken token, bool honest) {
        (DISTRIBUTOR, TOKEN, HONEST) = (distributor, token, honest);
        REGISTRY = ProjectRegistry(distributor.registry());
        _guardian = distributor.guardian();
        funded = token.balanceOf(address(distributor));
        for (uint256 i; i < ACCOUNTS; ++i) {
            _accounts[i] = vm.addr(_keyOf(i));
        }
        _signerKeys[distributor.signer()] = uint256(keccak256("signer"));
        for (uint256 i; i < SIGNERS; ++i) {
            _signers[i] = vm.addr(0x5161 + i);
            _signerKeys[_signers[i]] = 0x5161 + i;
        }
    }

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
        (bool due, uint256 cumulative, bytes32 root, bytes32[] memory proof) = _due(which, day);
        if (!due) return;
        address account = accountOf(which);
        vm.prank(account);
        _count(which, cumulative, DISTRIBUTOR.claim(root, cumulative, proof, account));
    }

    function claimWithSignature(uint256 which, uint256 day, uint256 fee) external {
        (bool due, uint256 cumulative, bytes32 root, bytes32[] memory proof) = _due(which, day);
        if (!due) return;
        address account = accountOf(which);
        fee = bound(fee, 0, cumulative - DISTRIBUTOR.claimed(account));
        Claim memory signedClaim =
            Claim(account, root, cumulative, account, address(0), fee, type(uint64).max);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keyOf(which), DISTRIBUTOR.hashClaim(signedClaim));
        vm.prank(RELAYER);
        _count(
            which, cumulative, DISTRIBUTOR.claimWithSignature(signedClaim, proof, abi.encodePacked(r, s, v))
        );
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
        uint128 quota = DISTRIBUTOR.dailyQuota();
        if (quota < 2 ether) return;
        vm.prank(owner());
        DISTRIBUTOR.lowerQuota(quota / 2);
    }

    function _raiseDelays(uint256 time) private {
        vm.startPrank(owner());
        uint64 more = DISTRIBUTOR.delay() + uint64(bound(time, 1, 1 days));
        if (more <= 14 days) DISTRIBUTOR.raiseDelay(more);
        more = DISTRIBUTOR.timelock() + uint64(bound(time, 1, 1 days));
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
        which %= 4;
        if (which == 0) _tryPostRevoked(seed);
        else if (which == 1) _tryClaimPending(seed);
        else if (which == 2) _tryRevokeActive(byGuardian);
        else _tryClaimAgain(seed, seed >> 8);
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

    /*//////////////////////////////////////////////////////////////////////////
                                        BOOKS
    //////////////////////////////////////////////////////////////////////////*/

    function owner() public view returns (address) {
        return DISTRIBUTOR.owner();
    }

    function accountOf(uint256 which) public view returns (address) {
        return _accounts[which % ACCOUNTS];
    }

    function highestClaimed(uint256 which) external view returns (uint256) {
        return _highestClaimed[which];
    }

    function chain() external view returns (RewardCommit[] memory) {
        return _chain;
    }

    function activatesAt() external view returns (uint64[] memory) {
        return _activatesAt;
    }

    function revoked() external view returns (RewardCommit[] memory) {
        return _revoked;
    }

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

    function _keyOf(uint256 which) private pure returns (uint256) {
        return 0xacc0 + which % ACCOUNTS;
    }

    function _ownerOrGuardian(bool byGuardian) private view returns (address) {
        return byGuardian && _guardian != address(0) ? _guardian : owner();
    }

    function _sign(RewardCommit memory commit) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(_signerKeys[DISTRIBUTOR.signer()], DISTRIBUTOR.hashCommit(commit));
        return abi.encodePacked(r, s, v);
    }

    function _nextAmounts(uint256 seed)
        private
        view
        returns (uint256[ACCOUNTS] memory amounts, uint256 total)
    {
        if (_amounts.length != 0) {
            amounts = _amounts[_amounts.length - 1];
        }
        uint256 before = DISTRIBUTOR.head().total;
        uint256 most = DISTRIBUTOR.unallocated();
        if (most > DISTRIBUTOR.dailyQuota()) most = DISTRIBUTOR.dailyQuota();
        // One day in four nobody earns anything and the root is repeated.
        if (seed % 4 == 0) return (amounts, before);
        for (uint256 i; i < ACCOUNTS; ++i) {
            amounts[i] += uint256(keccak256(abi.encode(seed, i))) % (most / ACCOUNTS + 1);
        }
        // The dishonest signer promises twice what it commits to.
        total = HONEST ? _total(amounts) : before + most / 2;
        uint256 last = _amounts.length == 0 ? 0 : _total(_amounts[_amounts.length - 1]);
        if (_total(amounts) == last) total = before;
    }

    function _total(uint256[ACCOUNTS] memory amounts) private pure returns (uint256 total) {
        for (uint256 i; i < ACCOUNTS; ++i) {
            total += amounts[i];
        }
    }

    function _leaves(uint256[ACCOUNTS] memory amounts) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](ACCOUNTS);
        for (uint256 i; i < ACCOUNTS; ++i) {
            leaves[i] = MerkleTree.leaf(accountOf(i), amounts[i]);
        }
    }

    function _proof(uint256 day, uint256 which) private view returns (bytes32[] memory) {
        bytes32[] memory leaves = _leaves(_amounts[day]);
        if (_total(_amounts[day]) == 0) return new bytes32[](0);
        return MerkleTree.proof(MerkleTree.build(leaves), leaves[which % ACCOUNTS]);
    }

    /// @dev Whether the account has something to claim against the day's root, and what it needs to.
    function _due(
        uint256 which,
        uint256 day
    ) private view returns (bool due, uint256 cumulative, bytes32 root, bytes32[] memory proof) {
        if (_chain.length == 0) return (false, 0, 0, proof);
        day = bound(day, 0, _chain.length - 1);
        root = _chain[day].root;
        cumulative = _amounts[day][which % ACCOUNTS];
        uint256 before = DISTRIBUTOR.claimed(accountOf(which));
        if (root == 0 || !DISTRIBUTOR.isActive(root) || cumulative <= before) {
            return (false, 0, 0, proof);
        }
        uint256 most = DISTRIBUTOR.commitOf(root).total;
        if (most < DISTRIBUTOR.activeTotal()) most = DISTRIBUTOR.activeTotal();
        // An honest signer's trees never come to this.
        if (!HONEST && cumulative - before > most - DISTRIBUTOR.paid()) return (false, 0, 0, proof);
        return (true, cumulative, root, _proof(day, which));
    }

    function _count(uint256 which, uint256 cumulative, uint256 amount) private {
        which %= ACCOUNTS;
        assertEq(DISTRIBUTOR.claimed(accountOf(which)), cumulative);
        assertGt(cumulative, _highestClaimed[which]);
        assertGe(DISTRIBUTOR.activeTotal(), highestActiveTotal);
        (_highestClaimed[which], highestActiveTotal) = (cumulative, DISTRIBUTOR.activeTotal());
        claimedInAll += amount;
    }

    /// @dev How many commits at the chain's end are pending.
    function _pending() private view returns (uint256 pending) {
        uint64 until = DISTRIBUTOR.activeUntil();
        while (pending < _chain.length && _activatesAt[_chain.length - 1 - pending] > until) ++pending;
    }

    /// @dev Remembers which commits were ever active.
    function _look() private {
        uint256 active = _chain.length - _pending();
        if (active > activeSeen) activeSeen = active;
    }

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
                (DISTRIBUTOR.dailyQuota() + uint128(bound(value, 1, 50 ether)))
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
        if (selector == IDistributorControl.raiseQuota.selector) return first > DISTRIBUTOR.dailyQuota();
        if (selector == IDistributorControl.lowerDelay.selector) return first < DISTRIBUTOR.delay();
        if (selector == IDistributorControl.lowerTimelock.selector) return first < DISTRIBUTOR.timelock();
        if (selector == IDistributorControl.withdrawUnallocated.selector) {
            return second <= DISTRIBUTOR.unallocated();
        }
        return true;
    }
}
