// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice What the reward signer signs for one UTC day.
/// @param epoch The day: days since 1970-01-01.
/// @param revision The distributor's counter at signing; it rises when the chain is rewound.
/// @param previous Struct hash of the commit before; zero for the first.
/// @param root Root of the tree of (account, cumulative); zero while nobody has earned anything.
/// @param total Sum of all cumulative amounts in the tree.
/// @param dataHash keccak256 of the day's bundle.json.
struct RewardCommit {
    uint64 epoch;
    uint32 revision;
    bytes32 previous;
    bytes32 root;
    uint256 total;
    bytes32 dataHash;
}

/// @notice What is kept of a posted root: a claim reads this one slot.
/// @param activatesAt When claims against the root begin; zero if the root is unknown.
/// @param epoch Day of the commit that brought the root first.
/// @param total Sum of all cumulative amounts in its tree.
struct Entry {
    uint64 activatesAt;
    uint64 epoch;
    uint128 total;
}

/// @notice The last commit of the chain.
/// @param commitHash Struct hash of the commit; zero before the first.
/// @param epoch Its day; before the first commit the day before the project's creation.
/// @param total Its total.
/// @param revision The revision the next commit has to carry.
/// @param activatesAt When it becomes active; zero before the first.
struct Head {
    bytes32 commitHash;
    uint64 epoch;
    uint128 total;
    uint32 revision;
    uint64 activatesAt;
}

/// @title Pays one project's rewards from signed daily commits
/// @notice One distributor serves one project and holds only that project's token. The signer signs
/// one commit a day; anyone posts it; after the delay accounts claim against its root. Amounts are
/// cumulative: an account is paid what the tree says minus what it was paid before. The contract
/// does not know how the amounts came about; it holds that the days form a chain without gaps, that
/// a day adds no more than the quota, that the balance covers what is owed, and that no more is
/// paid than the active commits add up to.
///
/// Roles: the owner (kept in the registry) and the guardian can only lower risk here: revoke what
/// is pending, pause, disable the signer, lower the quota, raise the delay. An active root can
/// never be taken back, and claims against it go on whatever the owner and the guardian do.
interface IRewardDistributor {
    /*//////////////////////////////////////////////////////////////////////////
                                       EVENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice A commit was posted and became the head. `revision`, `previous` and `dataHash`
    /// complete the commit; `commitHash` is its struct hash.
    event Posted(
        uint64 indexed epoch,
        bytes32 indexed root,
        bytes32 indexed commitHash,
        uint32 revision,
        bytes32 previous,
        uint256 total,
        bytes32 dataHash,
        uint64 activatesAt
    );

    /// @notice `amount` was paid to `recipient`; `account` has now been paid `cumulative` in all.
    event Claimed(
        address indexed account, bytes32 indexed root, address recipient, uint256 amount, uint256 cumulative
    );

    /// @notice A pending commit was taken back. `rootRemoved` is false if an earlier commit had
    /// brought the same root, which then stays.
    event Revoked(uint64 indexed epoch, bytes32 indexed root, bytes32 indexed commitHash, bool rootRemoved);

    /// @notice The commits above `commitHash` were revoked by `caller` and this is the head again.
    event HeadRewound(
        address indexed caller,
        bytes32 indexed commitHash,
        uint64 epoch,
        uint256 total,
        uint64 activatesAt,
        uint32 revision
    );

    /// @notice The signer was disabled; no signature it gave for a commit not yet posted is of use.
    event SignerDisabled(address indexed caller, address indexed signer, uint32 revision);

    /// @notice The daily quota was lowered.
    event QuotaLowered(uint128 previousQuota, uint128 newQuota);

    /// @notice The delay was raised.
    event DelayRaised(uint64 previousDelay, uint64 newDelay);

    /// @notice Posts and activations stopped, from `from` to just before `until`. If a pause was
    /// running it was extended and `from` is its beginning.
    event Paused(address indexed caller, uint64 from, uint64 until);

    /// @notice The owner gave the guardian another pause.
    event GuardianPauseRenewed(address indexed guardian);

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The token has no code.
    error InvalidToken(address token);

    /// @notice The signer must not be zero.
    error InvalidSigner(address signer);

    /// @notice The quota must not be zero.
    error InvalidQuota(uint128 quota);

    /// @notice The delay is outside its bounds.
    error DelayOutOfBounds(uint64 delay, uint64 minDelay, uint64 maxDelay);

    /// @notice Only the project's owner may do this.
    error NotOwner(address caller, address owner);

    /// @notice Only the project's owner or the guardian may do this.
    error NotOwnerOrGuardian(address caller, address owner, address guardian);

    /// @notice Nothing is posted during a pause.
    error PostPaused(uint64 until);

    /// @notice The signer was disabled.
    error SignerIsDisabled();

    /// @notice The commit does not carry the distributor's revision.
    error WrongRevision(uint32 given, uint32 expected);

    /// @notice The commit does not follow the head.
    error WrongPrevious(bytes32 given, bytes32 expected);

    /// @notice The commit is not for the day after the head's.
    error WrongEpoch(uint64 given, uint64 expected);

    /// @notice The commit's day has not ended.
    error DayNotOver(uint64 epoch, uint256 endsAt, uint256 timestamp);

    /// @notice The total is below the head's.
    error TotalFell(uint256 total, uint256 headTotal);

    /// @notice The total rises by more than the daily quota.
    error QuotaExceeded(uint256 rise, uint256 quota);

    /// @notice The total is larger than the contract can count.
    error TotalTooLarge(uint256 total, uint256 maxTotal);

    /// @notice The empty tree's root is zero and its total is zero.
    error EmptyTreeWithTotal(uint256 total);

    /// @notice The root was posted before with another total.
    error RootTotalMismatch(bytes32 root, uint256 total, uint256 knownTotal);

    /// @notice The balance does not cover what would be owed.
    error Underfunded(uint256 owed, uint256 balance);

    /// @notice The signature over `digest` is not the signer's.
    error InvalidSignature(address signer, bytes32 digest);

    /// @notice No posted commit has this root.
    error UnknownRoot(bytes32 root);

    /// @notice The root is not active: it becomes so at `activatesAt`, and only roots up to
    /// `activeUntil` are active now.
    error RootNotActive(bytes32 root, uint256 activatesAt, uint256 activeUntil);

    /// @notice The proof does not lead from (account, cumulative) to the root.
    error InvalidProof(bytes32 root, address account, uint256 cumulative);

    /// @notice The account has been paid this much or more already.
    error NothingToClaim(address account, uint256 cumulative, uint256 claimed);

    /// @notice The tree promises more than its commit's total: only `available` is left of the largest
    /// active total.
    error ActiveTotalExceeded(uint256 amount, uint256 available);

    /// @notice Rewards are paid neither to zero nor to the distributor itself.
    error InvalidRecipient(address recipient);

    /// @notice The list of commits to revoke is empty.
    error NothingToRevoke();

    /// @notice The commit at `index` is not the head, or not the one the commit above follows.
    error NotInChain(uint256 index, bytes32 given, bytes32 expected);

    /// @notice An active commit cannot be revoked.
    error CommitActive(bytes32 commitHash, uint64 activatesAt, uint64 activeUntil);

    /// @notice The given commit is not the one before the lowest revoked.
    error WrongNewHead(bytes32 given, bytes32 expected);

    /// @notice The quota can only be lowered at once.
    error QuotaNotLower(uint128 given, uint128 current);

    /// @notice The delay can only be raised at once.
    error DelayNotHigher(uint64 given, uint64 current);

    /// @notice The guardian has used its pause.
    error GuardianPauseSpent(address guardian);

    /// @notice The guardian still has its pause.
    error GuardianPauseNotSpent(address guardian);

    /*//////////////////////////////////////////////////////////////////////////
                                   COMMITS AND CLAIMS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Posts the next commit. Anyone may send it; the signature decides.
    /// @dev A commit that repeats a known root (a day on which nobody earned) keeps the root's
    /// entry, so claims against it are not put off.
    /// @param signature 65 bytes r, s, v with low s, or what the ERC-1271 signer expects, over the
    /// EIP-712 digest in the domain {NodeSystem, 1, chain, distributor}.
    function post(RewardCommit calldata commit, bytes calldata signature) external;

    /// @notice Pays the caller what the active root promises it and it has not been paid.
    /// @param cumulative All the account has ever earned, as in the tree.
    /// @param proof Sibling hashes from the leaf up, as OpenZeppelin's StandardMerkleTree gives them.
    /// @param recipient Where the tokens go.
    /// @return amount What was paid.
    function claim(
        bytes32 root,
        uint256 cumulative,
        bytes32[] calldata proof,
        address recipient
    ) external returns (uint256 amount);

    /// @notice Takes back pending commits. Owner or guardian.
    /// @param down The commits to revoke, from the head down.
    /// @param newHead The commit before the lowest of them; ignored if that was the first commit.
    function revoke(RewardCommit[] calldata down, RewardCommit calldata newHead) external;

    /*//////////////////////////////////////////////////////////////////////////
                                    LOWERING RISK
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Disables the signer at once. Owner or guardian. Posted commits are not touched.
    function disableSigner() external;

    /// @notice Lowers the daily quota at once. Owner.
    function lowerQuota(uint128 newQuota) external;

    /// @notice Raises the delay of commits posted from now on. Owner.
    function raiseDelay(uint64 newDelay) external;

    /// @notice Stops posts and activations for 10 days. Owner at any time, which also extends a
    /// running pause; guardian once per appointment, and again when the owner renews it. A root
    /// that was not active when the pause began is neither claimable nor safe from `revoke` before
    /// the pause ends. Roots active before stay claimable.
    function pause() external;

    /// @notice Gives the guardian another pause after it used its own. Owner.
    function renewGuardianPause() external;

    /*//////////////////////////////////////////////////////////////////////////
                                        VIEWS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The last commit of the chain and the revision the next one carries.
    function head() external view returns (Head memory);

    /// @notice The entry of a posted root; all zero if unknown.
    function commitOf(bytes32 root) external view returns (Entry memory);

    /// @notice Whether claims against the root are possible now.
    function isActive(bytes32 root) external view returns (bool);

    /// @notice A root is active if its `activatesAt` is not after this time: now, or during a pause
    /// the beginning of the pause.
    function activeUntil() external view returns (uint64);

    /// @notice What `claim` by the account would pay now; reverts where it would.
    function claimable(
        address account,
        bytes32 root,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external view returns (uint256 amount);

    /// @notice What the account has been paid in all.
    function claimed(address account) external view returns (uint256);

    /// @notice The EIP-712 digest the signer signs.
    function hashCommit(RewardCommit calldata commit) external view returns (bytes32 digest);

    /// @notice The EIP-712 struct hash: the commit's id, and `previous` of the next.
    function structHash(RewardCommit calldata commit) external pure returns (bytes32);

    /// @notice Largest total of the commits claimed against so far.
    function activeTotal() external view returns (uint256);

    /// @notice Sum of all claims.
    function paid() external view returns (uint256);

    /// @notice Most that one commit may add to the total.
    function dailyQuota() external view returns (uint128);

    /// @notice Seconds between a post and the commit's activation.
    function delay() external view returns (uint64);

    /// @notice The reward signer; zero once disabled.
    function signer() external view returns (address);

    /// @notice The guardian, or zero.
    function guardian() external view returns (address);

    /// @notice Whether the guardian has used its pause.
    function guardianPauseSpent() external view returns (bool);

    /// @notice Whether a pause is running.
    function isPaused() external view returns (bool);

    /// @notice Beginning and end of the last pause; both zero if there was none.
    function pauseWindow() external view returns (uint64 from, uint64 until);

    /// @notice The project's owner, from the registry.
    function owner() external view returns (address);

    /// @notice The registry that created this distributor.
    function registry() external view returns (address);

    /// @notice The token rewards are paid in.
    function token() external view returns (address);
}
