// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Who steers a distributor, and how fast
/// @notice What lowers risk happens at once: pausing, disabling the signer, raising a delay; and the
/// quota is lower from the next day on. What raises it waits: the owner queues the call, the timelock
/// passes, and the owner makes the call within 14 days. Meanwhile the guardian may cancel it, except for its own
/// replacement.
interface IDistributorControl {
    /*//////////////////////////////////////////////////////////////////////////
                                      EVENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The signer was disabled; no signature it gave for a commit not yet posted is of use.
    event SignerDisabled(address indexed caller, address indexed signer, uint32 revision);

    /// @notice The daily quota was lowered for `fromDay` and later days; it stays for earlier ones.
    event QuotaLowered(uint128 previousQuota, uint128 newQuota, uint64 fromDay);

    /// @notice The delay was raised.
    event DelayRaised(uint64 previousDelay, uint64 newDelay);

    /// @notice Posts and activations stopped, from `from` to just before `until`. If a pause was
    /// running it was extended and `from` is its beginning.
    event Paused(address indexed caller, uint64 from, uint64 until);

    /// @notice The owner gave the guardian another pause.
    event GuardianPauseRenewed(address indexed guardian);

    /// @notice The timelock was raised.
    event TimelockRaised(uint64 previousTimelock, uint64 newTimelock);

    /// @notice The owner may make this call from `readyAt` until just before `expiresAt`.
    event CallQueued(
        bytes32 indexed callHash, bytes4 indexed selector, bytes call, uint64 readyAt, uint64 expiresAt
    );

    /// @notice The queued call was cancelled by `caller`.
    event CallCancelled(bytes32 indexed callHash, bytes4 indexed selector, address indexed caller);

    /// @notice The queued call was made.
    event CallExecuted(bytes32 indexed callHash, bytes4 indexed selector);

    /// @notice The signer was replaced; no signature given before for a commit not yet posted is of
    /// use.
    event SignerSet(address indexed previousSigner, address indexed newSigner, uint32 revision);

    /// @notice The guardian was replaced. The new one has its pause.
    event GuardianSet(address indexed previousGuardian, address indexed newGuardian);

    /// @notice The daily quota was raised. A lowering that is not in effect yet keeps its day: earlier
    /// days have the quota from before it.
    event QuotaRaised(uint128 previousQuota, uint128 newQuota);

    /// @notice The delay was lowered.
    event DelayLowered(uint64 previousDelay, uint64 newDelay);

    /// @notice The timelock was lowered.
    event TimelockLowered(uint64 previousTimelock, uint64 newTimelock);

    /// @notice The owner took tokens that were owed to nobody.
    event UnallocatedWithdrawn(address indexed recipient, uint256 amount);

    /// @notice The owner took tokens that came here by mistake.
    event StrayWithdrawn(address indexed strayToken, address indexed recipient, uint256 amount);

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

    /// @notice The new quota is not below the current one.
    error QuotaNotLower(uint128 given, uint128 current);

    /// @notice The quota was lowered from `fromDay` on, and is not lowered again while `nextDay`, which
    /// comes before, is not posted.
    error EarlierDaysNotPosted(uint64 nextDay, uint64 fromDay);

    /// @notice The new delay is not above the current one.
    error DelayNotHigher(uint64 given, uint64 current);

    /// @notice The guardian has used its pause.
    error GuardianPauseSpent(address guardian);

    /// @notice The guardian still has its pause.
    error GuardianPauseNotSpent(address guardian);

    /// @notice The signer was disabled.
    error SignerIsDisabled();

    /// @notice Rewards are paid neither to zero nor to the distributor itself.
    error InvalidRecipient(address recipient);

    /// @notice The new quota is not above the current one.
    error QuotaNotHigher(uint128 given, uint128 current);

    /// @notice The new delay is not below the current one.
    error DelayNotLower(uint64 given, uint64 current);

    /// @notice The timelock is outside its bounds.
    error TimelockOutOfBounds(uint64 timelock, uint64 minTimelock, uint64 maxTimelock);

    /// @notice The new timelock is not above the current one.
    error TimelockNotHigher(uint64 given, uint64 current);

    /// @notice The new timelock is not below the current one.
    error TimelockNotLower(uint64 given, uint64 current);

    /// @notice The call is not one that waits.
    error NotTimelocked(bytes4 selector);

    /// @notice The call is queued already.
    error QueuedAlready(bytes32 callHash, uint64 readyAt);

    /// @notice The call is not queued.
    error NotQueued(bytes32 callHash);

    /// @notice The call's wait is not over.
    error NotReady(bytes32 callHash, uint64 readyAt, uint256 timestamp);

    /// @notice The call was not made in time and has to be queued again.
    error QueueExpired(bytes32 callHash, uint64 expiredAt, uint256 timestamp);

    /// @notice The guardian cannot cancel its own replacement.
    error GuardianReplacement(address guardian);

    /// @notice Only `available` of the balance is owed to nobody.
    error InsufficientUnallocated(uint256 amount, uint256 available);

    /// @notice The project's own token leaves by claims and by `withdrawUnallocated`.
    error NotStray(address token);

    /// @notice The withdrawal moved the project's own token.
    error BalanceFell(uint256 balanceBefore, uint256 balanceAfter);

    /*//////////////////////////////////////////////////////////////////////////
                                    LOWERING RISK
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Disables the signer at once. Owner or guardian. Posted commits are not touched.
    function disableSigner() external;

    /// @notice Lowers the daily quota of the days that have not begun, so that what the signer signed for
    /// earlier ones can still be posted. Owner. Against a stolen signer, disable it.
    function lowerQuota(uint128 newQuota) external;

    /// @notice Raises the delay of commits posted from now on. Owner.
    function raiseDelay(uint64 newDelay) external;

    /// @notice Stops posts and activations for 10 days. Owner at any time, which also extends a
    /// running pause, be it the guardian or not; guardian once per appointment, and again when the owner
    /// renews it. A root
    /// that was not active when the pause began is neither claimable nor safe from `revoke` before
    /// the pause ends. Roots active before stay claimable.
    function pause() external;

    /// @notice Gives the guardian another pause after it used its own. Owner.
    function renewGuardianPause() external;

    /// @notice Raises the wait of calls queued from now on. Owner.
    function raiseTimelock(uint64 newTimelock) external;

    /*//////////////////////////////////////////////////////////////////////////
                               BEHIND THE TIMELOCK
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Queues one of the calls below, as ABI-encoded calldata. Owner. Bytes behind the arguments
    /// are left out, here and when the call is made, cancelled or asked for.
    function queue(bytes calldata call) external;

    /// @notice Cancels a queued call. Owner or guardian; not the guardian for `setGuardian`.
    function cancel(bytes calldata call) external;

    /// @notice Replaces the signer, or appoints one after `disableSigner`. Owner, queued.
    function setSigner(address newSigner) external;

    /// @notice Replaces the guardian; zero for none. Owner, queued.
    function setGuardian(address newGuardian) external;

    /// @notice Raises the daily quota. Owner, queued.
    function raiseQuota(uint128 newQuota) external;

    /// @notice Lowers the delay of commits posted from then on. Owner, queued for the timelock or, if that
    /// is longer, for the delay that ends.
    function lowerDelay(uint64 newDelay) external;

    /// @notice Lowers the wait of calls queued from then on. Owner, queued.
    function lowerTimelock(uint64 newTimelock) external;

    /// @notice Sends tokens that are owed to nobody, at most `unallocated()`. Owner, queued.
    function withdrawUnallocated(address recipient, uint256 amount) external;

    /*//////////////////////////////////////////////////////////////////////////
                                    STRAY TOKENS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Sends ERC-20 tokens that came here by mistake. Owner, at once: they are promised to nobody.
    /// The project's own token is none of them, under whatever address.
    function withdrawStrayToken(address strayToken, address recipient, uint256 amount) external;

    /*//////////////////////////////////////////////////////////////////////////
                                      VIEWS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Most that the next commit may add to the total.
    function dailyQuota() external view returns (uint128);

    /// @notice Most that the commit of a day may add, as things are now.
    function quotaOf(uint64 day) external view returns (uint128);

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

    /// @notice Seconds between the queueing of a call and the call.
    function timelock() external view returns (uint64);

    /// @notice When the call may be made, and until when; both zero if it is not queued.
    function queuedCall(bytes calldata call) external view returns (uint64 readyAt, uint64 expiresAt);

    /// @notice What the balance holds beyond what all posted commits promise.
    function unallocated() external view returns (uint256);
}
