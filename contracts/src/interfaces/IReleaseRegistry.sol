// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice An announced version of a workload's definition.
/// @param version Its number; zero if there is no such release.
/// @param releaseHash keccak256 of the definition; nodes run nothing else.
/// @param announcedAt When it was announced.
/// @param runnableAt From when on nodes may run it.
/// @param vetoed Whether it was vetoed, and so never becomes runnable.
struct Release {
    uint64 version;
    bytes32 releaseHash;
    uint64 announcedAt;
    uint64 runnableAt;
    bool vetoed;
}

/// @notice An announced order to remove a workload, up to and with the tombstone's own version.
/// @param version Its number; zero if there is no such tombstone.
/// @param removesVolumes Whether the workload's volumes go too; else they are kept.
/// @param announcedAt When it was announced.
/// @param effectiveAt From when on nodes obey it.
/// @param vetoed Whether it was vetoed, and so never comes into effect.
struct Tombstone {
    uint64 version;
    bool removesVolumes;
    uint64 announcedAt;
    uint64 effectiveAt;
    bool vetoed;
}

/// @notice All that a node has to know of one workload, as of `timestamp`.
/// @param timestamp Time of the block that answered.
/// @param releaseKey Who may announce now, or zero.
/// @param releaseDelay Seconds between an announcement and its effect.
/// @param runnable The newest runnable release above the tombstone; version zero if there is none.
/// @param announced The newest release that is not vetoed, runnable or not.
/// @param tombstone The newest tombstone in effect.
/// @param announcedTombstone The newest tombstone that is not vetoed, in effect or not.
struct WorkloadReleases {
    uint64 timestamp;
    address releaseKey;
    uint64 releaseDelay;
    Release runnable;
    Release announced;
    Tombstone tombstone;
    Tombstone announcedTombstone;
}

/// @notice Who announces for a project, with what delay, and which changes wait.
/// @param releaseKey Who may announce now, or zero.
/// @param releaseDelay Seconds between an announcement and its effect.
/// @param inUse Whether anything was ever announced.
/// @param nextReleaseKey The release key from `nextReleaseKeyFrom` on; both zero if none waits.
/// @param nextReleaseDelay The delay from `nextReleaseDelayFrom` on; both zero if none waits.
struct ReleaseAuthority {
    address releaseKey;
    uint64 releaseDelay;
    bool inUse;
    address nextReleaseKey;
    uint64 nextReleaseKeyFrom;
    uint64 nextReleaseDelay;
    uint64 nextReleaseDelayFrom;
}

/// @title What nodes may run: announced releases and tombstones
/// @notice The release key announces; the project's release delay passes; then nodes may run the
/// release, or obey the tombstone. Until then the project's owner or guardian may veto. Versions of
/// a workload only rise, over releases and tombstones alike, so one number never has two meanings.
interface IReleaseRegistry {
    /*//////////////////////////////////////////////////////////////////////////
                                       EVENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice A release was announced.
    event ReleaseAnnounced(
        address indexed project,
        uint64 indexed version,
        bytes32 indexed releaseHash,
        string workload,
        uint64 runnableAt
    );

    /// @notice A tombstone was announced.
    event TombstoneAnnounced(
        address indexed project,
        uint64 indexed version,
        string workload,
        bool removesVolumes,
        uint64 effectiveAt
    );

    /// @notice The pending release or tombstone was vetoed by `caller`.
    event Vetoed(address indexed project, uint64 indexed version, address indexed caller, string workload);

    /// @notice The release key and the delay were set, before anything was announced. Changes that
    /// waited are gone.
    event ReleaseKeySet(address indexed project, address indexed releaseKey, uint64 releaseDelay);

    /// @notice `releaseKey` becomes the release key at `from`, in place of any change that waited.
    event ReleaseKeyQueued(address indexed project, address indexed releaseKey, uint64 from);

    /// @notice The waiting change to `releaseKey` was cancelled by `caller`.
    event ReleaseKeyCancelled(address indexed project, address indexed releaseKey, address indexed caller);

    /// @notice The release key was disabled by `caller`; what it announced is not touched.
    event ReleaseKeyDisabled(address indexed project, address indexed releaseKey, address indexed caller);

    /// @notice The release delay was raised, at once. A lower one that waited is gone.
    event ReleaseDelayRaised(address indexed project, uint64 previousDelay, uint64 releaseDelay);

    /// @notice `releaseDelay` becomes the delay at `from`, in place of any change that waited.
    event ReleaseDelayQueued(address indexed project, uint64 releaseDelay, uint64 from);

    /// @notice The waiting change to `releaseDelay` was cancelled by `caller`.
    event ReleaseDelayCancelled(address indexed project, uint64 releaseDelay, address indexed caller);

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Only the project's release key may announce; zero if there is none.
    error NotReleaseKey(address project, address caller, address releaseKey);

    /// @notice Only the project's owner or guardian may do this.
    error NotProjectOwnerOrGuardian(address project, address caller, address owner, address guardian);

    /// @notice The hash of a release must not be zero.
    error InvalidReleaseHash(bytes32 releaseHash);

    /// @notice The version is not above the newest announced one.
    error VersionNotHigher(uint64 version, uint64 newest);

    /// @notice The version leaps so far ahead that a few such would use up the numbers.
    error VersionTooHigh(uint64 version, uint64 highest);

    /// @notice So many announcements wait for their effect that no more are taken.
    error TooManyPending(address project, string workload, uint256 pending);

    /// @notice Nothing was announced under this version.
    error UnknownVersion(address project, string workload, uint64 version);

    /// @notice The announcement was vetoed already.
    error VetoedAlready(address project, string workload, uint64 version);

    /// @notice What is in effect cannot be vetoed: announce a newer release or a tombstone.
    error VetoTooLate(address project, string workload, uint64 version, uint64 effectiveAt);

    /// @notice The release key must not be zero; `disableReleaseKey` is for that.
    error InvalidReleaseKey(address releaseKey);

    /// @notice Once something was announced, the release key changes only by `queueReleaseKey`.
    error ReleaseKeyInUse(address project, address releaseKey);

    /// @notice Nothing was announced yet, so `setReleaseKey` sets the release key at once.
    error ReleaseKeyNotInUse(address project);

    /// @notice The project has no release key.
    error NoReleaseKey(address project);

    /// @notice No change waits.
    error NothingQueued(address project);

    /// @notice The release delay is outside its bounds.
    error ReleaseDelayOutOfBounds(uint64 releaseDelay, uint64 minDelay, uint64 maxDelay);

    /// @notice Only a higher delay takes effect at once.
    error ReleaseDelayNotHigher(uint64 given, uint64 current);

    /// @notice Only a lower delay is queued; `raiseReleaseDelay` raises at once.
    error ReleaseDelayNotLower(uint64 given, uint64 current);

    /*//////////////////////////////////////////////////////////////////////////
                                     ANNOUNCEMENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Announces a release. Release key.
    /// @param workload Its name: 1 to 32 characters of a-z, 0-9 and dash, no dash at either end.
    /// @param version Above every version announced for the workload before, by less than 2^48.
    function announce(address project, string calldata workload, uint64 version, bytes32 releaseHash) external;

    /// @notice Announces the removal of the workload up to `version`, which follows the rules of
    /// `announce`. A later release with a higher version is not touched by it. Release key.
    function announceTombstone(
        address project,
        string calldata workload,
        uint64 version,
        bool removesVolumes
    ) external;

    /// @notice Keeps a pending release or tombstone from ever taking effect. Owner or guardian.
    function veto(address project, string calldata workload, uint64 version) external;

    /*//////////////////////////////////////////////////////////////////////////
                                  RELEASE KEY AND DELAY
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Sets the release key and the release delay at once, any number of times until
    /// something is announced. Owner.
    function setReleaseKey(address project, address releaseKey, uint64 releaseDelay) external;

    /// @notice Changes the release key 7 days from now, by itself. Owner.
    function queueReleaseKey(address project, address releaseKey) external;

    /// @notice Cancels the waiting change of the release key. Owner or guardian.
    function cancelReleaseKey(address project) external;

    /// @notice Leaves the project without a release key, at once. Owner or guardian.
    function disableReleaseKey(address project) external;

    /// @notice Raises the delay of announcements from now on. Owner.
    function raiseReleaseDelay(address project, uint64 releaseDelay) external;

    /// @notice Lowers the delay 7 days from now, by itself. Owner.
    function queueReleaseDelay(address project, uint64 releaseDelay) external;

    /// @notice Cancels the waiting change of the delay. Owner or guardian.
    function cancelReleaseDelay(address project) external;

    /*//////////////////////////////////////////////////////////////////////////
                                        VIEWS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice All that a node has to know of the workload, in one call.
    function releasesOf(
        address project,
        string calldata workload
    ) external view returns (WorkloadReleases memory);

    /// @notice The release announced under this version; all zero if none was.
    function releaseAt(
        address project,
        string calldata workload,
        uint64 version
    ) external view returns (Release memory);

    /// @notice The tombstone announced under this version; all zero if none was.
    function tombstoneAt(
        address project,
        string calldata workload,
        uint64 version
    ) external view returns (Tombstone memory);

    /// @notice The newest version announced for the workload, vetoed or not; the next is above it.
    function newestVersion(address project, string calldata workload) external view returns (uint64);

    /// @notice Who announces for the project, with what delay, and which changes wait.
    function releaseAuthorityOf(address project) external view returns (ReleaseAuthority memory);
}
