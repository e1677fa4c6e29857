// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ProjectChecks} from "./ProjectChecks.sol";
import {INetworkRegistry, NetworkFile, NetworkGuard} from "./interfaces/INetworkRegistry.sol";

/// @title NetworkRegistry
/// @notice See {INetworkRegistry}. The part of the registry that the network's operator keeps.
abstract contract NetworkRegistry is INetworkRegistry, ProjectChecks {
    struct Validity {
        uint64 from;
        uint64 until;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    uint64 private constant NETWORK_WAIT = 7 days;

    /// @inheritdoc INetworkRegistry
    address public networkOperator;

    /// @inheritdoc INetworkRegistry
    address public pendingNetworkOperator;

    /// @inheritdoc INetworkRegistry
    mapping(address project => uint64) public ownReceiptKeysFrom;

    mapping(address project => mapping(address key => Validity)) internal _receiptKeys;

    /// @dev What waited is written into place by the next function that writes here.
    NetworkFile private _file;
    NetworkFile private _nextFile;
    NetworkGuard private _guard;

    /*//////////////////////////////////////////////////////////////////////////
                                     CONSTRUCTOR
    //////////////////////////////////////////////////////////////////////////*/

    constructor(address initialOperator) {
        // Check
        if (initialOperator == address(0)) revert InvalidNetworkOperator(initialOperator);

        // Effect
        networkOperator = initialOperator;
        emit NetworkOperatorTransferred(address(0), initialOperator);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                     RECEIPT KEYS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INetworkRegistry
    function setReceiptKey(address project, address key, uint64 validFrom, uint64 validUntil) external {
        // Check
        if (project == address(0)) _requireNetworkOperator();
        else _requireProjectOwner(project);
        uint64 time = _time();
        Validity memory old = _receiptKeys[project][key];
        // The seconds that have passed and at which it was valid: from `old.from` until before `ended`.
        uint64 ended = _earlier(old.until, time);
        bool wasValid = old.from < ended;
        if (validFrom == 0) validFrom = wasValid ? old.from : time;
        if (validUntil == 0) validUntil = time;
        if (key == address(0) || validFrom >= validUntil) {
            revert InvalidReceiptKey(key, validFrom, validUntil);
        }
        bool changesPast =
            wasValid ? validFrom != old.from || _earlier(validUntil, time) != ended : validFrom < time;
        if (changesPast) revert ReceiptKeyChangesPast(key, validFrom, validUntil, time);

        // Effect
        _receiptKeys[project][key] = Validity(validFrom, validUntil);
        if (project != address(0)) {
            uint64 ownFrom = ownReceiptKeysFrom[project];
            // An earlier beginning is in the future: a key that has begun keeps its own.
            if (ownFrom == 0 || validFrom < ownFrom) ownReceiptKeysFrom[project] = validFrom;
        }
        emit ReceiptKeySet(project, key, validFrom, validUntil);
    }

    /// @inheritdoc INetworkRegistry
    function isReceiptKeyAt(address project, address key, uint64 timestamp) external view returns (bool) {
        uint64 ownFrom = ownReceiptKeysFrom[project];
        bool own = ownFrom != 0 && ownFrom <= timestamp;
        Validity memory validity = _receiptKeys[own ? project : address(0)][key];
        return validity.from <= timestamp && timestamp < validity.until;
    }

    /// @inheritdoc INetworkRegistry
    function receiptKeyOf(
        address project,
        address key
    ) external view returns (uint64 validFrom, uint64 validUntil) {
        Validity memory validity = _receiptKeys[project][key];
        return (validity.from, validity.until);
    }

    /*//////////////////////////////////////////////////////////////////////////
                               NETWORK FILE AND GUARDIAN
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INetworkRegistry
    function setNetworkFile(bytes32 fileHash, string calldata uri) external {
        // Check
        _requireNetworkOperator();
        if (fileHash == 0) revert InvalidNetworkFile(fileHash);

        // Effect
        (NetworkFile memory current,) = networkFile();
        uint64 from = _time();
        if (current.fileHash == 0) {
            _file = NetworkFile(fileHash, uri, from);
        } else {
            from += NETWORK_WAIT;
            _file = current;
            _nextFile = NetworkFile(fileHash, uri, from);
        }
        emit NetworkFileSet(fileHash, uri, from);
    }

    /// @inheritdoc INetworkRegistry
    function cancelNetworkFile() external {
        // Check
        address guardian = networkGuard().guardian;
        if (msg.sender != networkOperator && msg.sender != guardian) {
            revert NotNetworkOperatorOrGuardian(msg.sender, networkOperator, guardian);
        }
        (, NetworkFile memory waiting) = networkFile();
        if (waiting.from == 0) revert NoNetworkFileWaits();

        // Effect
        delete _nextFile;
        emit NetworkFileCancelled(waiting.fileHash, msg.sender);
    }

    /// @inheritdoc INetworkRegistry
    function setNetworkGuardian(address newGuardian) external {
        // Check
        _requireNetworkOperator();

        // Effect
        address guardian = networkGuard().guardian;
        uint64 from = _time();
        if (guardian == address(0)) {
            _guard = NetworkGuard({guardian: newGuardian, next: address(0), nextFrom: 0});
        } else {
            from += NETWORK_WAIT;
            _guard = NetworkGuard({guardian: guardian, next: newGuardian, nextFrom: from});
        }
        emit NetworkGuardianSet(newGuardian, from);
    }

    /// @inheritdoc INetworkRegistry
    function networkFile() public view returns (NetworkFile memory current, NetworkFile memory waiting) {
        (current, waiting) = (_file, _nextFile);
        if (waiting.from != 0 && waiting.from <= block.timestamp) {
            current = waiting;
            waiting = NetworkFile({fileHash: 0, uri: "", from: 0});
        }
    }

    /// @inheritdoc INetworkRegistry
    function networkGuard() public view returns (NetworkGuard memory guard) {
        guard = _guard;
        if (guard.nextFrom != 0 && guard.nextFrom <= block.timestamp) {
            guard = NetworkGuard({guardian: guard.next, next: address(0), nextFrom: 0});
        }
    }

    /*//////////////////////////////////////////////////////////////////////////
                                   NETWORK OPERATOR
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INetworkRegistry
    function transferNetworkOperator(address newOperator) external {
        // Check
        _requireNetworkOperator();

        // Effect
        pendingNetworkOperator = newOperator;
        emit NetworkOperatorTransferStarted(msg.sender, newOperator);
    }

    /// @inheritdoc INetworkRegistry
    function acceptNetworkOperator() external {
        // Check
        if (msg.sender != pendingNetworkOperator) {
            revert NotPendingNetworkOperator(msg.sender, pendingNetworkOperator);
        }

        // Effect
        address previousOperator = networkOperator;
        networkOperator = msg.sender;
        pendingNetworkOperator = address(0);
        emit NetworkOperatorTransferred(previousOperator, msg.sender);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    function _requireNetworkOperator() private view {
        if (msg.sender != networkOperator) revert NotNetworkOperator(msg.sender, networkOperator);
    }

    function _earlier(uint64 a, uint64 b) private pure returns (uint64) {
        return a < b ? a : b;
    }
}
