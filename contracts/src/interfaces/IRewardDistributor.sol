// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "./IDistributorControl.sol";

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

/// @notice What an account signs so that another may send its claim.
/// @param account Whose reward it is; an EOA or an ERC-1271 contract.
/// @param root The active root claimed against.
/// @param cumulative All the account has ever earned, as in the tree.
/// @param recipient Where the tokens go.
/// @param relayer Who may send the claim; zero for anyone.
/// @param relayerFee What the sender gets of the amount, and the recipient does not.
/// @param deadline The last second in which the claim may be sent.
struct Claim {
    address account;
    bytes32 root;
    uint256 cumulative;
    address recipient;
    address relayer;
    uint256 relayerFee;
    uint64 deadline;
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
/// Owner (kept in the registry) and guardian steer it as {IDistributorControl} says. An active root
/// can never be taken back, and claims against it go on whatever the owner and the guardian do.
interface IRewardDistributor is IDistributorControl {
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

    /// @notice `amount` was paid to `recipient`, less a fee that `RelayerPaid` names in the same
    /// transaction. What the account was paid in all is the sum of its `amount`s.
    event Claimed(address indexed account, bytes32 indexed root, address recipient, uint256 amount);

    /// @notice `relayer` sent the account's signed claim and was paid `fee` of its amount.
    event RelayerPaid(address indexed account, address indexed relayer, uint256 fee);

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

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Nothing is posted during a pause.
    error PostPaused(uint64 until);

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

    /// @notice The signature over `digest` is not the signer's, or not the account's.
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

    /// @notice The signed claim was sent too late.
    error ClaimExpired(uint64 deadline, uint256 timestamp);

    /// @notice The signed claim names another sender.
    error WrongRelayer(address caller, address relayer);

    /// @notice The claim pays less than the fee.
    error RelayerFeeTooHigh(uint256 relayerFee, uint256 amount);

    /// @notice The project was created without `claimFor`.
    error ClaimForIsOff();

    /// @notice The account has no code of its own: it claims, or signs its claim.
    error NoCodeOfItsOwn(address account);

    /// @notice The list of commits to revoke is empty.
    error NothingToRevoke();

    /// @notice The commit at `index` is not the head, or not the one the commit above follows.
    error NotInChain(uint256 index, bytes32 given, bytes32 expected);

    /// @notice An active commit cannot be revoked.
    error CommitActive(bytes32 commitHash, uint64 activatesAt, uint64 activeUntil);

    /// @notice The given commit is not the one before the lowest revoked.
    error WrongNewHead(bytes32 given, bytes32 expected);

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

    /// @notice Sends the claim that an account signed: pays the account's recipient what `claim` would,
    /// less the fee, which the sender gets. It cannot be sent twice, since then nothing is left to
    /// pay.
    /// @param signature 65 bytes r, s, v with low s, or what the account's ERC-1271 contract expects,
    /// over the EIP-712 digest `hashClaim`.
    /// @return amount What was paid in all, with the fee.
    function claimWithSignature(
        Claim calldata signedClaim,
        bytes32[] calldata proof,
        bytes calldata signature
    ) external returns (uint256 amount);

    /// @notice Pays an account with code what `claim` by it would, to the account itself. Anyone may send
    /// it, if the project was created so: for contracts that hold licenses and have no way to call
    /// `claim`. It forces no claim of an account without code, nor of one whose code is a delegation
    /// (EIP-7702), which has a key.
    /// @return amount What was paid.
    function claimFor(
        address account,
        bytes32 root,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external returns (uint256 amount);

    /// @notice Takes back pending commits. Owner or guardian.
    /// @param down The commits to revoke, from the head down.
    /// @param newHead The commit before the lowest of them; ignored if that was the first commit.
    function revoke(RewardCommit[] calldata down, RewardCommit calldata newHead) external;

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

    /// @notice Whether `claimFor` is on: set when the project was created, for good.
    function claimsForContracts() external view returns (bool);

    /// @notice What the account has been paid in all.
    function claimed(address account) external view returns (uint256);

    /// @notice The EIP-712 digest the signer signs.
    function hashCommit(RewardCommit calldata commit) external view returns (bytes32 digest);

    /// @notice The EIP-712 digest an account signs for `claimWithSignature`.
    function hashClaim(Claim calldata signedClaim) external view returns (bytes32 digest);

    /// @notice The EIP-712 struct hash: the commit's id, and `previous` of the next.
    function structHash(RewardCommit calldata commit) external pure returns (bytes32);

    /// @notice Largest total of the commits claimed against so far.
    function activeTotal() external view returns (uint256);

    /// @notice Sum of all claims.
    function paid() external view returns (uint256);
}
