// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {DistributorControl} from "./DistributorControl.sol";
import {Ledger, Ledgers} from "./Ledger.sol";
import {IProjectRegistry, ProjectParams} from "./interfaces/IProjectRegistry.sol";
import {Claim, Entry, Head, IRewardDistributor, RewardCommit} from "./interfaces/IRewardDistributor.sol";

/// @title RewardDistributor
/// @notice See {IRewardDistributor}.
contract RewardDistributor is IRewardDistributor, DistributorControl, EIP712 {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    struct Claimant {
        uint256 claimed;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      CONSTANTS
    //////////////////////////////////////////////////////////////////////////*/

    bytes32 private constant REWARD_COMMIT_TYPEHASH = keccak256(
        "RewardCommit(uint64 epoch,uint32 revision,bytes32 previous,bytes32 root,uint256 total,bytes32 dataHash)"
    );

    bytes32 private constant CLAIM_TYPEHASH = keccak256(
        "Claim(address account,bytes32 root,uint256 cumulative,address recipient,address relayer,uint256 relayerFee,uint64 deadline)"
    );

    /// @dev How the code of an account begins that delegates to another (EIP-7702). No contract's begins
    /// so (EIP-3541).
    bytes3 private constant DELEGATION = 0xef0100;

    bool private immutable CLAIMS_FOR_CONTRACTS;

    /*//////////////////////////////////////////////////////////////////////////
                                       STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    mapping(bytes32 root => Entry) internal _commits;

    /// @dev Activation of commits that repeat a known root and so have no entry of their own. Claims
    /// never read it; `revoke` needs it to know what is pending and to restore the head.
    mapping(bytes32 commitHash => uint64 activatesAt) private _repeats;

    /// @dev What each account was paid in all. A struct, so that a claim looks for its place once.
    mapping(address account => Claimant) internal _claimants;

    /*//////////////////////////////////////////////////////////////////////////
                                     CONSTRUCTOR
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Takes the whole of the parameters so that the CREATE2 address commits to all of them.
    constructor(
        IProjectRegistry registry_,
        ProjectParams memory params
    ) DistributorControl(registry_, params) EIP712("NodeSystem", "1") {
        CLAIMS_FOR_CONTRACTS = params.claimsForContracts;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                   COMMITS AND CLAIMS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IRewardDistributor
    function post(RewardCommit calldata commit, bytes calldata signature) external {
        // Check
        StoredHead memory last = _head;
        Signing memory signing = _signing;
        Ledger ledger = _ledger;
        if (block.timestamp < ledger.pausedUntil()) revert PostPaused(ledger.pausedUntil().toUint64());
        _requireNext(commit, last);
        bool repeated = _checkAmounts(commit, last.total, ledger.paid());
        bytes32 commitHash = structHash(commit);
        if (signing.signer == address(0)) revert SignerIsDisabled();
        _requireSignature(signing.signer, _hashTypedDataV4(commitHash), signature);

        // Effect
        uint64 activatesAt = block.timestamp.toUint64() + signing.delay;
        // A lowered delay must not let a child become active before its parent.
        if (activatesAt < last.activatesAt) activatesAt = last.activatesAt;
        // Checked to fit 112 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint128 total = uint128(commit.total);
        if (repeated) _repeats[commitHash] = activatesAt;
        else _commits[commit.root] = Entry(activatesAt, commit.epoch, total);
        _head = StoredHead(commitHash, total, activatesAt, last.epoch + 1, last.revision);
        _emitPosted(commit, commitHash, activatesAt);
    }

    /// @inheritdoc IRewardDistributor
    function claim(
        bytes32 root,
        uint256 cumulative,
        bytes32[] calldata proof,
        address recipient
    ) external returns (uint256 amount) {
        // Check
        _requireRecipient(recipient);
        Claimant storage claimant = _claimants[msg.sender];
        Ledger ledger;
        (amount, ledger) = _checkClaim(_ledger, claimant, msg.sender, root, cumulative, proof);

        // Effect
        claimant.claimed = cumulative;
        _ledger = ledger;
        emit Claimed(msg.sender, root, recipient, amount);

        // Interaction: last, so a token that calls back finds the claim done.
        TOKEN.safeTransfer(recipient, amount);
    }

    /// @inheritdoc IRewardDistributor
    function claimWithSignature(
        Claim calldata signedClaim,
        bytes32[] calldata proof,
        bytes calldata signature
    ) external returns (uint256 amount) {
        // Check
        if (block.timestamp > signedClaim.deadline) {
            revert ClaimExpired(signedClaim.deadline, block.timestamp);
        }
        if (signedClaim.relayer != address(0) && signedClaim.relayer != msg.sender) {
            revert WrongRelayer(msg.sender, signedClaim.relayer);
        }
        _requireRecipient(signedClaim.recipient);
        Claimant storage claimant = _claimants[signedClaim.account];
        Ledger ledger;
        (amount, ledger) = _checkClaim(
            _ledger, claimant, signedClaim.account, signedClaim.root, signedClaim.cumulative, proof
        );
        uint256 fee = signedClaim.relayerFee;
        if (fee > amount) revert RelayerFeeTooHigh(fee, amount);
        _requireSignature(signedClaim.account, hashClaim(signedClaim), signature);

        // Effect
        claimant.claimed = signedClaim.cumulative;
        _ledger = ledger;
        emit Claimed(signedClaim.account, signedClaim.root, signedClaim.recipient, amount);
        if (fee != 0) emit RelayerPaid(signedClaim.account, msg.sender, fee);

        // Interaction: last, so a token that calls back finds the claim done.
        if (fee != amount) TOKEN.safeTransfer(signedClaim.recipient, amount - fee);
        if (fee != 0) TOKEN.safeTransfer(msg.sender, fee);
    }

    /// @inheritdoc IRewardDistributor
    function claimFor(
        address account,
        bytes32 root,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external returns (uint256 amount) {
        // Check
        if (!CLAIMS_FOR_CONTRACTS) revert ClaimForIsOff();
        _requireRecipient(account);
        if (account.code.length == 0 || bytes3(account.code) == DELEGATION) revert NoCodeOfItsOwn(account);
        Claimant storage claimant = _claimants[account];
        Ledger ledger;
        (amount, ledger) = _checkClaim(_ledger, claimant, account, root, cumulative, proof);

        // Effect
        claimant.claimed = cumulative;
        _ledger = ledger;
        emit Claimed(account, root, account, amount);

        // Interaction: last, so a token that calls back finds the claim done.
        TOKEN.safeTransfer(account, amount);
    }

    /// @inheritdoc IRewardDistributor
    function revoke(RewardCommit[] calldata down, RewardCommit calldata newHead) external {
        // Check
        _requireOwnerOrGuardian();
        if (down.length == 0) revert NothingToRevoke();

        // Check and effect, commit by commit from the head down
        uint64 until = activeUntil();
        StoredHead memory last = _head;
        bytes32 expected = last.commitHash;
        for (uint256 i; i < down.length; ++i) {
            RewardCommit calldata commit = down[i];
            bytes32 commitHash = structHash(commit);
            if (commitHash != expected) revert NotInChain(i, commitHash, expected);
            uint64 activatesAt = _activatesAt(commit, commitHash);
            if (activatesAt <= until) revert CommitActive(commitHash, activatesAt, until);

            bool broughtRoot = _broughtRoot(commit);
            if (broughtRoot) delete _commits[commit.root];
            else delete _repeats[commitHash];
            emit Revoked(commit.epoch, commit.root, commitHash, broughtRoot);
            expected = commit.previous;
        }

        // Check: the commit below them
        bytes32 newHash = structHash(newHead);
        bool toGenesis = expected == 0;
        if (!toGenesis && newHash != expected) revert WrongNewHead(newHash, expected);

        // Effect
        last.commitHash = expected;
        // A commit of the chain has an epoch that fits, as `post` saw to it.
        // forge-lint: disable-next-line(unsafe-typecast)
        last.epoch = uint32(down[down.length - 1].epoch - 1);
        last.total = toGenesis ? 0 : uint128(newHead.total);
        last.activatesAt = toGenesis ? 0 : _activatesAt(newHead, newHash);
        last.revision += 1;
        _head = last;
        emit HeadRewound(msg.sender, expected, last.epoch, last.total, last.activatesAt, last.revision);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        VIEWS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IRewardDistributor
    function head() external view returns (Head memory) {
        StoredHead memory last = _head;
        return Head(last.commitHash, last.epoch, last.total, last.revision, last.activatesAt);
    }

    /// @inheritdoc IRewardDistributor
    function commitOf(bytes32 root) external view returns (Entry memory) {
        return _commits[root];
    }

    /// @inheritdoc IRewardDistributor
    function isActive(bytes32 root) external view returns (bool) {
        uint64 activatesAt = _commits[root].activatesAt;
        return activatesAt != 0 && activatesAt <= activeUntil();
    }

    /// @inheritdoc IRewardDistributor
    function activeUntil() public view returns (uint64) {
        return _activeUntil(_ledger.pausedUntil()).toUint64();
    }

    /// @inheritdoc IRewardDistributor
    function claimable(
        address account,
        bytes32 root,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external view returns (uint256 amount) {
        (amount,) = _checkClaim(_ledger, _claimants[account], account, root, cumulative, proof);
    }

    /// @inheritdoc IRewardDistributor
    function claimsForContracts() external view returns (bool) {
        return CLAIMS_FOR_CONTRACTS;
    }

    /// @inheritdoc IRewardDistributor
    function claimed(address account) external view returns (uint256) {
        return _claimants[account].claimed;
    }

    /// @inheritdoc IRewardDistributor
    function hashCommit(RewardCommit calldata commit) external view returns (bytes32 digest) {
        return _hashTypedDataV4(structHash(commit));
    }

    /// @inheritdoc IRewardDistributor
    function hashClaim(Claim calldata signedClaim) public view returns (bytes32 digest) {
        return _hashTypedDataV4(keccak256(abi.encode(CLAIM_TYPEHASH, signedClaim)));
    }

    /// @inheritdoc IRewardDistributor
    function structHash(RewardCommit calldata commit) public pure returns (bytes32) {
        return keccak256(abi.encode(REWARD_COMMIT_TYPEHASH, commit));
    }

    /// @inheritdoc IRewardDistributor
    function activeTotal() external view returns (uint256) {
        return _ledger.activeTotal();
    }

    /// @inheritdoc IRewardDistributor
    function paid() external view returns (uint256) {
        return _ledger.paid();
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev The commit is the next of the chain and its day is over.
    function _requireNext(RewardCommit calldata commit, StoredHead memory last) private view {
        if (commit.revision != last.revision) revert WrongRevision(commit.revision, last.revision);
        if (commit.previous != last.commitHash) revert WrongPrevious(commit.previous, last.commitHash);
        uint64 epoch = uint64(last.epoch) + 1;
        if (commit.epoch != epoch) revert WrongEpoch(commit.epoch, epoch);
        uint256 endsAt;
        // An epoch of 33 bits at most.
        unchecked {
            endsAt = (uint256(epoch) + 1) * 1 days;
        }
        if (block.timestamp < endsAt) revert DayNotOver(epoch, endsAt, block.timestamp);
    }

    /// @dev The commit adds no more than the quota and the balance covers what would be owed.
    /// @return repeated Whether an earlier commit brought the same root.
    function _checkAmounts(
        RewardCommit calldata commit,
        uint256 lastTotal,
        uint256 alreadyPaid
    ) private view returns (bool repeated) {
        uint256 total = commit.total;
        if (total < lastTotal) revert TotalFell(total, lastTotal);
        uint256 rise = total - lastTotal;
        uint256 quota = _quotaOf(commit.epoch);
        if (rise > quota) revert QuotaExceeded(rise, quota);
        if (total > type(uint112).max) revert TotalTooLarge(total, type(uint112).max);

        if (commit.root == 0 && total != 0) revert EmptyTreeWithTotal(total);
        Entry memory known = _commits[commit.root];
        repeated = known.activatesAt != 0;
        if (repeated && known.total != total) revert RootTotalMismatch(commit.root, total, known.total);

        // No more was paid than an active commit's total, and totals never fall.
        uint256 owed = total - alreadyPaid;
        uint256 balance = TOKEN.balanceOf(address(this));
        if (owed > balance) revert Underfunded(owed, balance);
    }

    /// @dev Recovery comes first: it spares an EOA the look at its code, and lets its key sign when it
    /// has delegated its code (EIP-7702). A contract is called statically, so it can change nothing.
    function _requireSignature(address account, bytes32 digest, bytes calldata signature) private view {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == account) return;
        if (SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature)) return;
        revert InvalidSignature(account, digest);
    }

    /// @dev Apart from `post` for the compiler's stack.
    function _emitPosted(RewardCommit calldata commit, bytes32 commitHash, uint64 activatesAt) private {
        emit Posted(
            commit.epoch,
            commit.root,
            commitHash,
            commit.revision,
            commit.previous,
            commit.total,
            commit.dataHash,
            activatesAt
        );
    }

    /// @dev All checks of a claim; returns what it pays and what the ledger is after it.
    function _checkClaim(
        Ledger ledger,
        Claimant storage claimant,
        address account,
        bytes32 root,
        uint256 cumulative,
        bytes32[] calldata proof
    ) private view returns (uint256 amount, Ledger paidLedger) {
        Entry storage entry = _commits[root];
        uint256 activatesAt = entry.activatesAt;
        uint256 total = entry.total;
        if (activatesAt == 0) revert UnknownRoot(root);
        // Looked at twice only where it matters, to save gas.
        if (activatesAt > block.timestamp || block.timestamp < ledger.pausedUntil()) {
            uint256 until = _activeUntil(ledger.pausedUntil());
            if (activatesAt > until) revert RootNotActive(root, activatesAt, until);
        }
        if (_rootOf(account, cumulative, proof) != root) revert InvalidProof(root, account, cumulative);

        uint256 before = claimant.claimed;
        if (cumulative <= before) revert NothingToClaim(account, cumulative, before);
        // More than `before`, as just seen.
        unchecked {
            amount = cumulative - before;
        }
        paidLedger = _pay(ledger, amount, total);
    }

    /// @dev The ledger after a claim of `amount` against a commit of `total`.
    function _pay(Ledger ledger, uint256 amount, uint256 total) private pure returns (Ledger) {
        uint256 activeTotal_ = ledger.activeTotal();
        if (total < activeTotal_) total = activeTotal_;
        uint256 alreadyPaid = ledger.paid();
        unchecked {
            // What is paid is never more than the active total. Compared before it is added, since
            // a tree may hold any amount.
            uint256 available = total - alreadyPaid;
            if (amount > available) revert ActiveTotalExceeded(amount, available);
            // `post` keeps every total within 112 bits, and what is paid is at most the total.
            return Ledgers.pack(total, alreadyPaid + amount, ledger.pausedUntil());
        }
    }

    /// @dev The root that the proof leads to from the leaf (account, cumulative): OpenZeppelin's
    /// standard tree, whose leaves are hashed twice and whose pairs are sorted. In assembly because
    /// the loop is the dearest computation of a claim; with MerkleProof one costs about 2,000 gas more.
    /// No address depends on a hash, which is what lets it be proven (test/symbolic).
    function _rootOf(
        address account,
        uint256 cumulative,
        bytes32[] calldata proof
    ) internal pure returns (bytes32 node) {
        assembly ("memory-safe") {
            // Only the scratch space, two words from zero, is written.
            mstore(0x00, shr(96, shl(96, account)))
            mstore(0x20, cumulative)
            mstore(0x00, keccak256(0x00, 0x40))
            node := keccak256(0x00, 0x20)
            let end := add(proof.offset, shl(5, proof.length))
            for { let next := proof.offset } iszero(eq(next, end)) { next := add(next, 0x20) } {
                // The smaller of the two goes to the first word, the other to the second.
                mstore(0x00, node)
                let larger := calldataload(next)
                if lt(larger, node) {
                    mstore(0x00, larger)
                    larger := node
                }
                mstore(0x20, larger)
                node := keccak256(0x00, 0x40)
            }
        }
    }

    /// @dev The time up to which commits count as active, given the end of the last pause. It never
    /// falls, so what was active once stays so.
    function _activeUntil(uint256 pausedUntil) private view returns (uint256) {
        return block.timestamp < pausedUntil ? _guarding.pausedFrom : block.timestamp;
    }

    /// @dev Whether the commit, one of the chain, is the one that brought its root.
    function _broughtRoot(RewardCommit calldata commit) private view returns (bool) {
        return _commits[commit.root].epoch == commit.epoch;
    }

    /// @dev When the commit, one of the chain, becomes active.
    function _activatesAt(RewardCommit calldata commit, bytes32 commitHash) private view returns (uint64) {
        return _broughtRoot(commit) ? _commits[commit.root].activatesAt : _repeats[commitHash];
    }
}
