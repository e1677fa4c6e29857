// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice The file that tells programs of the network: what they are to use, and where it is.
/// @param fileHash keccak256 of the file; zero if there is none.
/// @param uri Where it can be fetched.
/// @param from Since when it is the network's file, or from when on it will be.
struct NetworkFile {
    bytes32 fileHash;
    string uri;
    uint64 from;
}

/// @notice Who may cancel a waiting network file.
/// @param guardian The network guardian, or zero.
/// @param next The guardian from `nextFrom` on.
/// @param nextFrom When the change comes; zero if none waits.
struct NetworkGuard {
    address guardian;
    address next;
    uint64 nextFrom;
}

/// @title What the network's operator keeps: receipt keys and the network file
/// @notice Receipt keys sign receipts and closed days. A project's owner may set keys of its own; from
/// then on the network's no longer count for that project, so it can move to another backend. No key
/// becomes valid, or invalid, for a time that has passed: nobody can forge the past, and receipts
/// stay provable.
///
/// A new network file waits 7 days, in which the network guardian may cancel it.
interface INetworkRegistry {
    /*//////////////////////////////////////////////////////////////////////////
                                       EVENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice A receipt key was recorded, or its validity changed: for the project, or with zero for
    /// the network. It is valid from `validFrom` until just before `validUntil`.
    event ReceiptKeySet(address indexed project, address indexed key, uint64 validFrom, uint64 validUntil);

    /// @notice The file is the network's from `from` on, in place of any that waited.
    event NetworkFileSet(bytes32 indexed fileHash, string uri, uint64 from);

    /// @notice The waiting file was cancelled by `caller`.
    event NetworkFileCancelled(bytes32 indexed fileHash, address indexed caller);

    /// @notice `guardian` is the network guardian from `from` on, in place of any change that waited.
    event NetworkGuardianSet(address indexed guardian, uint64 from);

    /// @notice The network operator offered its role to `newOperator`; zero withdrew the offer.
    event NetworkOperatorTransferStarted(address indexed operator, address indexed newOperator);

    /// @notice `newOperator` accepted the role of network operator.
    event NetworkOperatorTransferred(address indexed previousOperator, address indexed newOperator);

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Only the network operator may do this.
    error NotNetworkOperator(address caller, address operator);

    /// @notice Only the network's operator or guardian may do this.
    error NotNetworkOperatorOrGuardian(address caller, address operator, address guardian);

    /// @notice Only the account the role was offered to may accept it.
    error NotPendingNetworkOperator(address caller, address pendingOperator);

    /// @notice The network operator must not be the zero address.
    error InvalidNetworkOperator(address operator);

    /// @notice A receipt key must not be zero and must be valid for at least a second.
    error InvalidReceiptKey(address key, uint64 validFrom, uint64 validUntil);

    /// @notice The change would make the key valid at a past time at which it was not, and so forge
    /// receipts, or invalid where it was valid, and so take them back.
    error ReceiptKeyChangesPast(address key, uint64 validFrom, uint64 validUntil, uint256 timestamp);

    /// @notice The hash of a network file must not be zero.
    error InvalidNetworkFile(bytes32 fileHash);

    /// @notice No network file waits.
    error NoNetworkFileWaits();

    /*//////////////////////////////////////////////////////////////////////////
                                     RECEIPT KEYS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Records a receipt key with its validity: the project's owner for the project, the
    /// network's operator for the network (project zero). From the beginning of its first own key on,
    /// only own keys count for a project.
    /// @param validFrom From when on; zero keeps the beginning of a key that has begun, else stands for
    /// the block's time.
    /// @param validUntil Until just before when; zero ends the key at the block's time.
    function setReceiptKey(address project, address key, uint64 validFrom, uint64 validUntil) external;

    /// @notice Whether the key counts for the project at `timestamp` (seconds since 1970): one of its
    /// own, or, before it had any, one of the network's. With project zero: one of the network's.
    function isReceiptKeyAt(address project, address key, uint64 timestamp) external view returns (bool);

    /// @notice The key's validity as recorded for the project, or with zero for the network; both zero if
    /// it never was. Before `ownReceiptKeysFrom` those of the network count, from then on the project's.
    function receiptKeyOf(
        address project,
        address key
    ) external view returns (uint64 validFrom, uint64 validUntil);

    /// @notice From when on only its own receipt keys count for the project; zero if it has none.
    function ownReceiptKeysFrom(address project) external view returns (uint64);

    /*//////////////////////////////////////////////////////////////////////////
                               NETWORK FILE AND GUARDIAN
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Replaces the network file 7 days from now, by itself; the first at once. Operator.
    function setNetworkFile(bytes32 fileHash, string calldata uri) external;

    /// @notice Cancels the waiting network file. Network operator or guardian.
    function cancelNetworkFile() external;

    /// @notice Replaces the network guardian 7 days from now, by itself; where there is none, at once.
    /// Naming the present guardian calls a waiting change off. Operator.
    function setNetworkGuardian(address newGuardian) external;

    /// @notice The network file, and the one that waits.
    function networkFile() external view returns (NetworkFile memory current, NetworkFile memory waiting);

    /// @notice The network guardian, and the change that waits.
    function networkGuard() external view returns (NetworkGuard memory);

    /*//////////////////////////////////////////////////////////////////////////
                                   NETWORK OPERATOR
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Offers the role to `newOperator`, which has to accept. Zero withdraws an offer.
    function transferNetworkOperator(address newOperator) external;

    /// @notice Takes over the role offered to the caller.
    function acceptNetworkOperator() external;

    /// @notice The account that records the network's receipt keys and its file.
    function networkOperator() external view returns (address);

    /// @notice The account the role is offered to, or zero.
    function pendingNetworkOperator() external view returns (address);
}
