// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {ProjectRegistry} from "../../src/ProjectRegistry.sol";
import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {DevToken} from "../../src/dev/DevToken.sol";
import {RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {MerkleTree} from "../MerkleTree.sol";

/// @dev A contract that holds tokens, and calls nothing.
contract Mute {}

/// @dev What the handler of one project knows and expects: the chain, the amounts of each tree, what was
/// paid and withdrawn. A dishonest signer's trees promise more than their totals.
abstract contract ProjectBook is Test {
    /// @dev What an account has to claim: nothing if the amount is zero, and more than the contract pays if
    /// a dishonest signer promised too much.
    struct Due {
        uint256 amount;
        bool tooMuch;
        uint256 cumulative;
        bytes32 root;
        bytes32[] proof;
    }

    uint256 public constant ACCOUNTS = 4;
    uint256 internal constant SIGNERS = 3;

    address internal immutable RELAYER = makeAddr("relayer");

    RewardDistributor public immutable DISTRIBUTOR;
    DevToken public immutable TOKEN;
    ProjectRegistry internal immutable REGISTRY;
    bool public immutable HONEST;

    address internal _guardian;
    uint64 internal _loweredFrom;

    /// @dev The chain as the handler knows it, lowest first, with each commit's cumulative amounts and
    /// the time it becomes active.
    RewardCommit[] internal _chain;
    uint256[ACCOUNTS][] internal _amounts;
    uint64[] internal _activatesAt;

    /// @dev What was revoked, with the signature that posted it.
    RewardCommit[] internal _revoked;
    mapping(bytes32 commitHash => bytes) internal _signatures;

    bytes[] internal _queued;

    address[ACCOUNTS] internal _accounts;
    address[SIGNERS] internal _signers;
    mapping(address signer => uint256 key) internal _signerKeys;

    uint256 public funded;
    uint256 public withdrawn;
    uint256 public claimedInAll;
    uint256 public highestActiveTotal;
    uint256[ACCOUNTS] internal _highestClaimed;

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
        // The last is a contract that cannot claim.
        _accounts[ACCOUNTS - 1] = address(new Mute());
        _signerKeys[distributor.signer()] = uint256(keccak256("signer"));
        for (uint256 i; i < SIGNERS; ++i) {
            _signers[i] = vm.addr(0x5161 + i);
            _signerKeys[_signers[i]] = 0x5161 + i;
        }
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

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    function _keyOf(uint256 which) internal pure returns (uint256) {
        return 0xacc0 + which % ACCOUNTS;
    }

    function _ownerOrGuardian(bool byGuardian) internal view returns (address) {
        return byGuardian && _guardian != address(0) ? _guardian : owner();
    }

    function _sign(RewardCommit memory commit) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(_signerKeys[DISTRIBUTOR.signer()], DISTRIBUTOR.hashCommit(commit));
        return abi.encodePacked(r, s, v);
    }

    function _nextAmounts(uint256 seed)
        internal
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

    function _total(uint256[ACCOUNTS] memory amounts) internal pure returns (uint256 total) {
        for (uint256 i; i < ACCOUNTS; ++i) {
            total += amounts[i];
        }
    }

    function _leaves(uint256[ACCOUNTS] memory amounts) internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](ACCOUNTS);
        for (uint256 i; i < ACCOUNTS; ++i) {
            leaves[i] = MerkleTree.leaf(accountOf(i), amounts[i]);
        }
    }

    function _proof(uint256 day, uint256 which) internal view returns (bytes32[] memory) {
        bytes32[] memory leaves = _leaves(_amounts[day]);
        if (_total(_amounts[day]) == 0) return new bytes32[](0);
        return MerkleTree.proof(MerkleTree.build(leaves), leaves[which % ACCOUNTS]);
    }

    /// @dev What the account has to claim against the day's root, if the root is active.
    function _dueOf(uint256 which, uint256 day) internal view returns (Due memory due) {
        if (_chain.length == 0) return due;
        day = bound(day, 0, _chain.length - 1);
        due.root = _chain[day].root;
        due.cumulative = _amounts[day][which % ACCOUNTS];
        uint256 before = DISTRIBUTOR.claimed(accountOf(which));
        if (due.root == 0 || !DISTRIBUTOR.isActive(due.root) || due.cumulative <= before) return due;
        due.amount = due.cumulative - before;
        due.proof = _proof(day, which);
        uint256 most = DISTRIBUTOR.commitOf(due.root).total;
        if (most < DISTRIBUTOR.activeTotal()) most = DISTRIBUTOR.activeTotal();
        due.tooMuch = due.amount > most - DISTRIBUTOR.paid();
        assertFalse(HONEST && due.tooMuch, "an honest tree promises too much");
    }

    function _count(uint256 which, Due memory due, uint256 amount) internal {
        which %= ACCOUNTS;
        assertEq(amount, due.amount);
        assertEq(DISTRIBUTOR.claimed(accountOf(which)), due.cumulative);
        assertGt(due.cumulative, _highestClaimed[which]);
        assertGe(DISTRIBUTOR.activeTotal(), highestActiveTotal);
        (_highestClaimed[which], highestActiveTotal) = (due.cumulative, DISTRIBUTOR.activeTotal());
        claimedInAll += amount;
    }

    /// @dev How many commits at the chain's end are pending.
    function _pending() internal view returns (uint256 pending) {
        uint64 until = DISTRIBUTOR.activeUntil();
        while (pending < _chain.length && _activatesAt[_chain.length - 1 - pending] > until) ++pending;
    }

    /// @dev Remembers which commits were ever active.
    function _look() internal {
        uint256 active = _chain.length - _pending();
        if (active > activeSeen) activeSeen = active;
    }
}
