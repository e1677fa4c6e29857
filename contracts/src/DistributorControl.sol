// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {Ledger, Ledgers} from "./Ledger.sol";
import {IDistributorControl} from "./interfaces/IDistributorControl.sol";
import {IProjectRegistry, ProjectParams} from "./interfaces/IProjectRegistry.sol";

/// @title DistributorControl
/// @notice See {IDistributorControl}. The part of the distributor that owner and guardian steer, with
/// the state it shares with the other part.
abstract contract DistributorControl is IDistributorControl {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev The head in two slots; {Head} is its form for callers.
    struct StoredHead {
        bytes32 commitHash;
        uint128 total;
        uint64 activatesAt;
        uint32 epoch;
        uint32 revision;
    }

    /// @dev One slot, read by `post`.
    struct Signing {
        address signer;
        uint64 delay;
    }

    /// @dev One slot, not read by `post`, and by `claim` only during a pause.
    struct Guarding {
        address guardian;
        uint64 pausedFrom;
        bool pauseSpent;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                    CONSTANTS
    //////////////////////////////////////////////////////////////////////////*/

    uint64 private constant MIN_DELAY = 24 hours;
    uint64 private constant MAX_DELAY = 14 days;
    uint64 private constant PAUSE_LENGTH = 10 days;

    uint64 private constant FIRST_TIMELOCK = 7 days;
    uint64 private constant MIN_TIMELOCK = 2 days;
    uint64 private constant MAX_TIMELOCK = 30 days;

    /// @dev How long a queued call may be made once its wait is over.
    uint64 private constant GRACE = 14 days;

    /// @dev Only here delay and timelock have no lower bound, so that a demo need not wait a day.
    uint256 private constant DEV_CHAIN_ID = 31_337;

    IProjectRegistry private immutable REGISTRY;
    IERC20 internal immutable TOKEN;

    /*//////////////////////////////////////////////////////////////////////////
                                     STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    Ledger internal _ledger;
    Signing internal _signing;
    StoredHead internal _head;
    Guarding internal _guarding;

    /// @dev What a commit may add, in the lower half; in the upper the first day for which it counts. A word
    /// and not a struct, because the compiler reads a struct's slot once for each of its parts.
    uint256 internal _quota;

    /// @dev What a commit of an earlier day may add; read only while such days are not posted.
    uint128 private _quotaBefore;

    /// @inheritdoc IDistributorControl
    uint64 public timelock;

    mapping(bytes32 callHash => uint64 readyAt) private _readyAt;

    /*//////////////////////////////////////////////////////////////////////////
                                   CONSTRUCTOR
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Takes the whole of the parameters so that the CREATE2 address commits to all of them.
    constructor(IProjectRegistry registry_, ProjectParams memory params) {
        // Check
        if (params.token.code.length == 0) revert InvalidToken(params.token);
        if (params.signer == address(0)) revert InvalidSigner(params.signer);
        if (params.dailyQuota == 0) revert InvalidQuota(params.dailyQuota);
        _requireDelayInBounds(params.delay);

        // Effect
        REGISTRY = registry_;
        TOKEN = IERC20(params.token);
        _signing = Signing(params.signer, params.delay);
        _guarding.guardian = params.guardian;
        _quota = params.dailyQuota;
        timelock = FIRST_TIMELOCK;
        _head.epoch = (block.timestamp / 1 days - 1).toUint32();
    }

    /*//////////////////////////////////////////////////////////////////////////
                                    LOWERING RISK
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IDistributorControl
    function disableSigner() external {
        // Check
        _requireOwnerOrGuardian();
        address disabled = _signing.signer;
        if (disabled == address(0)) revert SignerIsDisabled();

        // Effect
        _signing.signer = address(0);
        uint32 revision = _head.revision + 1;
        _head.revision = revision;
        emit SignerDisabled(msg.sender, disabled, revision);
    }

    /// @inheritdoc IDistributorControl
    function lowerQuota(uint128 newQuota) external {
        // Check
        _requireOwner();
        uint128 previousQuota = _lastQuota();
        if (newQuota >= previousQuota) revert QuotaNotLower(newQuota, previousQuota);
        uint64 from = (block.timestamp / 1 days + 1).toUint64();
        uint64 lastFrom = (_quota >> 128).toUint64();
        bool loweredToday = lastFrom == from;
        // Only one lowering is remembered, so the days before the last one have to be posted.
        uint64 next = uint64(_head.epoch) + 1;
        if (!loweredToday && next < lastFrom) revert EarlierDaysNotPosted(next, lastFrom);

        // Effect
        if (!loweredToday) _quotaBefore = previousQuota;
        _quota = uint256(from) << 128 | newQuota;
        emit QuotaLowered(previousQuota, newQuota, from);
    }

    /// @inheritdoc IDistributorControl
    function raiseDelay(uint64 newDelay) external {
        // Check
        _requireOwner();
        uint64 previousDelay = _signing.delay;
        if (newDelay <= previousDelay) revert DelayNotHigher(newDelay, previousDelay);
        _requireDelayInBounds(newDelay);

        // Effect
        _signing.delay = newDelay;
        emit DelayRaised(previousDelay, newDelay);
    }

    /// @inheritdoc IDistributorControl
    function raiseTimelock(uint64 newTimelock) external {
        // Check
        _requireOwner();
        uint64 previousTimelock = timelock;
        if (newTimelock <= previousTimelock) revert TimelockNotHigher(newTimelock, previousTimelock);
        _requireTimelockInBounds(newTimelock);

        // Effect
        timelock = newTimelock;
        emit TimelockRaised(previousTimelock, newTimelock);
    }

    /// @inheritdoc IDistributorControl
    function pause() external {
        // Check
        _requireOwnerOrGuardian();
        Guarding memory guarding = _guarding;
        // An owner that is the guardian too pauses as the owner.
        if (msg.sender == guarding.guardian && msg.sender != owner()) {
            if (guarding.pauseSpent) revert GuardianPauseSpent(msg.sender);
            guarding.pauseSpent = true;
        }

        // Effect
        // An extension keeps the beginning: what was held back stays held back.
        if (!isPaused()) guarding.pausedFrom = block.timestamp.toUint64();
        uint32 until = (block.timestamp + PAUSE_LENGTH).toUint32();
        Ledger ledger = _ledger;
        _ledger = Ledgers.pack(ledger.activeTotal(), ledger.paid(), until);
        _guarding = guarding;
        emit Paused(msg.sender, guarding.pausedFrom, until);
    }

    /// @inheritdoc IDistributorControl
    function renewGuardianPause() external {
        // Check
        _requireOwner();
        if (!_guarding.pauseSpent) revert GuardianPauseNotSpent(_guarding.guardian);

        // Effect
        _guarding.pauseSpent = false;
        emit GuardianPauseRenewed(_guarding.guardian);
    }

    /*//////////////////////////////////////////////////////////////////////////
                               BEHIND THE TIMELOCK
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IDistributorControl
    function queue(bytes calldata call) external {
        // Check
        _requireOwner();
        call = _withoutTail(call);
        bytes4 selector = _selectorOf(call);
        if (!_isTimelocked(selector)) revert NotTimelocked(selector);
        bytes32 callHash = keccak256(call);
        uint64 queuedFor = _readyAt[callHash];
        if (queuedFor != 0 && block.timestamp < queuedFor + GRACE) revert QueuedAlready(callHash, queuedFor);

        // Effect
        uint64 wait = timelock;
        // Whoever relies on a long delay hears of its end as long before.
        if (selector == this.lowerDelay.selector && wait < _signing.delay) wait = _signing.delay;
        uint64 readyAt = block.timestamp.toUint64() + wait;
        _readyAt[callHash] = readyAt;
        emit CallQueued(callHash, selector, call, readyAt, readyAt + GRACE);
    }

    /// @inheritdoc IDistributorControl
    function cancel(bytes calldata call) external {
        // Check
        _requireOwnerOrGuardian();
        bytes4 selector = _selectorOf(call);
        if (selector == this.setGuardian.selector && msg.sender != owner()) {
            revert GuardianReplacement(msg.sender);
        }
        bytes32 callHash = keccak256(_withoutTail(call));
        if (_readyAt[callHash] == 0) revert NotQueued(callHash);

        // Effect
        delete _readyAt[callHash];
        emit CallCancelled(callHash, selector, msg.sender);
    }

    /// @inheritdoc IDistributorControl
    function setSigner(address newSigner) external {
        // Check
        _takeQueued();
        if (newSigner == address(0)) revert InvalidSigner(newSigner);

        // Effect
        address previousSigner = _signing.signer;
        _signing.signer = newSigner;
        uint32 revision = _head.revision + 1;
        _head.revision = revision;
        emit SignerSet(previousSigner, newSigner, revision);
    }

    /// @inheritdoc IDistributorControl
    function setGuardian(address newGuardian) external {
        // Check
        _takeQueued();

        // Effect
        address previousGuardian = _guarding.guardian;
        _guarding.guardian = newGuardian;
        _guarding.pauseSpent = false;
        emit GuardianSet(previousGuardian, newGuardian);
    }

    /// @inheritdoc IDistributorControl
    function raiseQuota(uint128 newQuota) external {
        // Check
        _takeQueued();
        uint128 previousQuota = _lastQuota();
        if (newQuota <= previousQuota) revert QuotaNotHigher(newQuota, previousQuota);

        // Effect
        _quota = _quota >> 128 << 128 | newQuota;
        emit QuotaRaised(previousQuota, newQuota);
    }

    /// @inheritdoc IDistributorControl
    function lowerDelay(uint64 newDelay) external {
        // Check
        _takeQueued();
        uint64 previousDelay = _signing.delay;
        if (newDelay >= previousDelay) revert DelayNotLower(newDelay, previousDelay);
        _requireDelayInBounds(newDelay);

        // Effect
        _signing.delay = newDelay;
        emit DelayLowered(previousDelay, newDelay);
    }

    /// @inheritdoc IDistributorControl
    function lowerTimelock(uint64 newTimelock) external {
        // Check
        _takeQueued();
        uint64 previousTimelock = timelock;
        if (newTimelock >= previousTimelock) revert TimelockNotLower(newTimelock, previousTimelock);
        _requireTimelockInBounds(newTimelock);

        // Effect
        timelock = newTimelock;
        emit TimelockLowered(previousTimelock, newTimelock);
    }

    /// @inheritdoc IDistributorControl
    function withdrawUnallocated(address recipient, uint256 amount) external {
        // Check and effect
        _takeQueued();
        _requireRecipient(recipient);
        uint256 available = unallocated();
        if (amount > available) revert InsufficientUnallocated(amount, available);
        emit UnallocatedWithdrawn(recipient, amount);

        // Interaction
        TOKEN.safeTransfer(recipient, amount);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                   STRAY TOKENS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IDistributorControl
    function withdrawStrayToken(address strayToken, address recipient, uint256 amount) external {
        // Check
        _requireOwner();
        _requireRecipient(recipient);
        if (strayToken == address(TOKEN)) revert NotStray(strayToken);
        uint256 balanceBefore = _balance();
        emit StrayWithdrawn(strayToken, recipient, amount);

        // Interaction
        IERC20(strayToken).safeTransfer(recipient, amount);

        // Check: a token with two addresses has one balance.
        uint256 balanceAfter = _balance();
        if (balanceAfter < balanceBefore) revert BalanceFell(balanceBefore, balanceAfter);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      VIEWS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IDistributorControl
    function dailyQuota() external view returns (uint128) {
        return _quotaOf(uint256(_head.epoch) + 1).toUint128();
    }

    /// @inheritdoc IDistributorControl
    function quotaOf(uint64 day) external view returns (uint128) {
        return _quotaOf(day).toUint128();
    }

    /// @inheritdoc IDistributorControl
    function delay() external view returns (uint64) {
        return _signing.delay;
    }

    /// @inheritdoc IDistributorControl
    function signer() external view returns (address) {
        return _signing.signer;
    }

    /// @inheritdoc IDistributorControl
    function guardian() external view returns (address) {
        return _guarding.guardian;
    }

    /// @inheritdoc IDistributorControl
    function guardianPauseSpent() external view returns (bool) {
        return _guarding.pauseSpent;
    }

    /// @inheritdoc IDistributorControl
    function isPaused() public view returns (bool) {
        return block.timestamp < _ledger.pausedUntil();
    }

    /// @inheritdoc IDistributorControl
    function pauseWindow() external view returns (uint64 from, uint64 until) {
        return (_guarding.pausedFrom, _ledger.pausedUntil().toUint64());
    }

    /// @inheritdoc IDistributorControl
    function owner() public view returns (address) {
        return REGISTRY.projectOwner(address(this));
    }

    /// @inheritdoc IDistributorControl
    function registry() external view returns (address) {
        return address(REGISTRY);
    }

    /// @inheritdoc IDistributorControl
    function token() external view returns (address) {
        return address(TOKEN);
    }

    /// @inheritdoc IDistributorControl
    function queuedCall(bytes calldata call) external view returns (uint64 readyAt, uint64 expiresAt) {
        readyAt = _readyAt[keccak256(_withoutTail(call))];
        if (readyAt != 0) expiresAt = readyAt + GRACE;
    }

    /// @inheritdoc IDistributorControl
    function unallocated() public view returns (uint256) {
        uint256 owed = _head.total - _ledger.paid();
        uint256 balance = _balance();
        return balance > owed ? balance - owed : 0;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                    INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    function _balance() private view returns (uint256) {
        return TOKEN.balanceOf(address(this));
    }

    function _requireOwner() private view {
        address current = owner();
        if (msg.sender != current) revert NotOwner(msg.sender, current);
    }

    function _requireOwnerOrGuardian() internal view {
        address appointed = _guarding.guardian;
        // Asked first: it saves the call to the registry, and the zero address never calls.
        if (msg.sender == appointed) return;
        address current = owner();
        if (msg.sender != current) revert NotOwnerOrGuardian(msg.sender, current, appointed);
    }

    /// @dev Refuses unless the owner makes a call that it queued, waited for, and not too long.
    function _takeQueued() private {
        // Check
        _requireOwner();
        bytes32 callHash = keccak256(_withoutTail(msg.data));
        uint64 readyAt = _readyAt[callHash];
        if (readyAt == 0) revert NotQueued(callHash);
        if (block.timestamp < readyAt) revert NotReady(callHash, readyAt, block.timestamp);
        uint64 expiresAt = readyAt + GRACE;
        if (block.timestamp >= expiresAt) revert QueueExpired(callHash, expiresAt, block.timestamp);

        // Effect
        delete _readyAt[callHash];
        emit CallExecuted(callHash, msg.sig);
    }

    function _quotaOf(uint256 day) internal view returns (uint256) {
        uint256 quota = _quota;
        return day < quota >> 128 ? _quotaBefore : quota & type(uint128).max;
    }

    /// @dev That of the days to come.
    function _lastQuota() private view returns (uint128) {
        // The lower half.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint128(_quota);
    }

    /// @dev The call without bytes behind its arguments, which change nothing: so a call has one hash.
    function _withoutTail(bytes calldata call) private pure returns (bytes calldata) {
        uint256 length = _selectorOf(call) == this.withdrawUnallocated.selector ? 68 : 36;
        return call.length > length ? call[:length] : call;
    }

    /// @dev Its first four bytes; a shorter call is no call that waits, whatever it is padded with.
    function _selectorOf(bytes calldata call) private pure returns (bytes4) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return bytes4(call);
    }

    function _isTimelocked(bytes4 selector) private pure returns (bool) {
        return selector == this.setSigner.selector || selector == this.setGuardian.selector
            || selector == this.raiseQuota.selector || selector == this.lowerDelay.selector
            || selector == this.lowerTimelock.selector || selector == this.withdrawUnallocated.selector;
    }

    function _requireRecipient(address recipient) internal view {
        if (recipient == address(0) || recipient == address(this)) revert InvalidRecipient(recipient);
    }

    function _requireDelayInBounds(uint64 value) private view {
        uint64 minDelay = block.chainid == DEV_CHAIN_ID ? 0 : MIN_DELAY;
        if (value < minDelay || value > MAX_DELAY) revert DelayOutOfBounds(value, minDelay, MAX_DELAY);
    }

    function _requireTimelockInBounds(uint64 value) private view {
        uint64 minTimelock = block.chainid == DEV_CHAIN_ID ? 0 : MIN_TIMELOCK;
        if (value < minTimelock || value > MAX_TIMELOCK) {
            revert TimelockOutOfBounds(value, minTimelock, MAX_TIMELOCK);
        }
    }
}
