// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ProjectChecks} from "./ProjectChecks.sol";
import {IReleaseRegistry, Release, ReleaseAuthority} from "./interfaces/IReleaseRegistry.sol";
import {Tombstone, WorkloadReleases} from "./interfaces/IReleaseRegistry.sol";
import {IRewardDistributor} from "./interfaces/IRewardDistributor.sol";

/// @title ReleaseRegistry
/// @notice See {IReleaseRegistry}. The part of the registry that says what nodes may run.
abstract contract ReleaseRegistry is IReleaseRegistry, ProjectChecks {
    enum Kind {
        None,
        Release,
        Tombstone
    }

    /// @dev What was announced under one version, in two slots.
    struct Announcement {
        uint64 announcedAt;
        uint64 effectiveAt;
        Kind kind;
        bool vetoed;
        bool removesVolumes;
        bytes32 releaseHash;
    }

    /// @dev `runnable` and `tombstone` are the newest in effect when the record was last written;
    /// since then some of `pending` may have come into effect, lowest first.
    struct Workload {
        uint64 newest;
        uint64 runnable;
        uint64 tombstone;
        uint64[] pending;
        mapping(uint64 version => Announcement) announcements;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      CONSTANTS
    //////////////////////////////////////////////////////////////////////////*/

    uint64 private constant MIN_RELEASE_DELAY = 24 hours;
    uint64 private constant MAX_RELEASE_DELAY = 14 days;
    uint64 private constant CHANGE_WAIT = 7 days;

    /// @dev A stolen release key must not use up the numbers: this is room for 65,536 such leaps,
    /// and for versions that spell a date.
    uint64 private constant MAX_VERSION_LEAP = 2 ** 48 - 1;

    /// @dev Bounds the loops below, whatever a stolen release key does.
    uint256 private constant MAX_PENDING = 32;

    /*//////////////////////////////////////////////////////////////////////////
                                       STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    mapping(address project => mapping(string workload => Workload)) private _workloads;

    /// @dev A change that waited is written into place by the next function that writes here.
    mapping(address project => ReleaseAuthority) private _authorities;

    /*//////////////////////////////////////////////////////////////////////////
                                     ANNOUNCEMENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IReleaseRegistry
    function announce(
        address project,
        string calldata workload,
        uint64 version,
        bytes32 releaseHash
    ) external {
        // Check
        if (releaseHash == 0) revert InvalidReleaseHash(releaseHash);

        // Check and effect
        Announcement memory announcement;
        announcement.kind = Kind.Release;
        announcement.releaseHash = releaseHash;
        uint64 runnableAt = _announce(project, workload, version, announcement);
        emit ReleaseAnnounced(project, version, releaseHash, workload, runnableAt);
    }

    /// @inheritdoc IReleaseRegistry
    function announceTombstone(
        address project,
        string calldata workload,
        uint64 version,
        bool removesVolumes
    ) external {
        // Check and effect
        Announcement memory announcement;
        announcement.kind = Kind.Tombstone;
        announcement.removesVolumes = removesVolumes;
        uint64 effectiveAt = _announce(project, workload, version, announcement);
        emit TombstoneAnnounced(project, version, workload, removesVolumes, effectiveAt);
    }

    /// @inheritdoc IReleaseRegistry
    function veto(address project, string calldata workload, uint64 version) external {
        // Check
        _requireOwnerOrGuardian(project);
        Workload storage record = _workloads[project][workload];
        Announcement storage announcement = record.announcements[version];
        if (announcement.kind == Kind.None) revert UnknownVersion(project, workload, version);
        if (announcement.vetoed) revert VetoedAlready(project, workload, version);
        uint64 effectiveAt = announcement.effectiveAt;
        if (effectiveAt <= block.timestamp) revert VetoTooLate(project, workload, version, effectiveAt);

        // Effect
        announcement.vetoed = true;
        _settle(record);
        emit Vetoed(project, version, msg.sender, workload);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                  RELEASE KEY AND DELAY
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IReleaseRegistry
    function setReleaseKey(address project, address releaseKey, uint64 releaseDelay) external {
        // Check
        _requireProjectOwner(project);
        if (releaseKey == address(0)) revert InvalidReleaseKey(releaseKey);
        _requireReleaseDelayInBounds(releaseDelay);
        ReleaseAuthority storage authority = _authorities[project];
        if (authority.inUse) revert ReleaseKeyInUse(project, authority.releaseKey);

        // Effect
        ReleaseAuthority memory fresh;
        fresh.releaseKey = releaseKey;
        fresh.releaseDelay = releaseDelay;
        _store(project, fresh);
        emit ReleaseKeySet(project, releaseKey, releaseDelay);
    }

    /// @inheritdoc IReleaseRegistry
    function queueReleaseKey(address project, address releaseKey) external {
        // Check
        _requireProjectOwner(project);
        if (releaseKey == address(0)) revert InvalidReleaseKey(releaseKey);
        ReleaseAuthority memory authority = releaseAuthorityOf(project);
        if (!authority.inUse) revert ReleaseKeyNotInUse(project);

        // Effect
        authority.nextReleaseKey = releaseKey;
        authority.nextReleaseKeyFrom = _time() + CHANGE_WAIT;
        _store(project, authority);
        emit ReleaseKeyQueued(project, releaseKey, authority.nextReleaseKeyFrom);
    }

    /// @inheritdoc IReleaseRegistry
    function cancelReleaseKey(address project) external {
        // Check
        _requireOwnerOrGuardian(project);
        ReleaseAuthority memory authority = releaseAuthorityOf(project);
        address cancelled = authority.nextReleaseKey;
        if (cancelled == address(0)) revert NothingQueued(project);

        // Effect
        (authority.nextReleaseKey, authority.nextReleaseKeyFrom) = (address(0), 0);
        _store(project, authority);
        emit ReleaseKeyCancelled(project, cancelled, msg.sender);
    }

    /// @inheritdoc IReleaseRegistry
    function disableReleaseKey(address project) external {
        // Check
        _requireOwnerOrGuardian(project);
        ReleaseAuthority memory authority = releaseAuthorityOf(project);
        address disabled = authority.releaseKey;
        if (disabled == address(0)) revert NoReleaseKey(project);

        // Effect
        authority.releaseKey = address(0);
        _store(project, authority);
        emit ReleaseKeyDisabled(project, disabled, msg.sender);
    }

    /// @inheritdoc IReleaseRegistry
    function raiseReleaseDelay(address project, uint64 releaseDelay) external {
        // Check
        _requireProjectOwner(project);
        _requireReleaseDelayInBounds(releaseDelay);
        ReleaseAuthority memory authority = releaseAuthorityOf(project);
        uint64 previousDelay = authority.releaseDelay;
        if (releaseDelay <= previousDelay) revert ReleaseDelayNotHigher(releaseDelay, previousDelay);

        // Effect
        authority.releaseDelay = releaseDelay;
        (authority.nextReleaseDelay, authority.nextReleaseDelayFrom) = (0, 0);
        _store(project, authority);
        emit ReleaseDelayRaised(project, previousDelay, releaseDelay);
    }

    /// @inheritdoc IReleaseRegistry
    function queueReleaseDelay(address project, uint64 releaseDelay) external {
        // Check
        _requireProjectOwner(project);
        _requireReleaseDelayInBounds(releaseDelay);
        ReleaseAuthority memory authority = releaseAuthorityOf(project);
        if (releaseDelay >= authority.releaseDelay) {
            revert ReleaseDelayNotLower(releaseDelay, authority.releaseDelay);
        }

        // Effect
        authority.nextReleaseDelay = releaseDelay;
        authority.nextReleaseDelayFrom = _time() + CHANGE_WAIT;
        _store(project, authority);
        emit ReleaseDelayQueued(project, releaseDelay, authority.nextReleaseDelayFrom);
    }

    /// @inheritdoc IReleaseRegistry
    function cancelReleaseDelay(address project) external {
        // Check
        _requireOwnerOrGuardian(project);
        ReleaseAuthority memory authority = releaseAuthorityOf(project);
        if (authority.nextReleaseDelayFrom == 0) revert NothingQueued(project);

        // Effect
        uint64 cancelled = authority.nextReleaseDelay;
        (authority.nextReleaseDelay, authority.nextReleaseDelayFrom) = (0, 0);
        _store(project, authority);
        emit ReleaseDelayCancelled(project, cancelled, msg.sender);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        VIEWS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IReleaseRegistry
    function releasesOf(
        address project,
        string calldata workload
    ) external view returns (WorkloadReleases memory found) {
        ReleaseAuthority memory authority = releaseAuthorityOf(project);
        found.timestamp = _time();
        found.releaseKey = authority.releaseKey;
        found.releaseDelay = authority.releaseDelay;

        Workload storage record = _workloads[project][workload];
        (uint64 runnable, uint64 tombstone) = (record.runnable, record.tombstone);
        (uint64 announced, uint64 announcedTombstone) = (runnable, tombstone);
        uint64[] memory pending = record.pending;
        for (uint256 i; i < pending.length; ++i) {
            uint64 version = pending[i];
            Announcement storage announcement = record.announcements[version];
            bool inEffect = announcement.effectiveAt <= block.timestamp;
            if (announcement.kind == Kind.Release) {
                announced = version;
                if (inEffect) runnable = version;
            } else {
                announcedTombstone = version;
                if (inEffect) tombstone = version;
            }
        }
        if (runnable > tombstone) found.runnable = _releaseAt(record, runnable);
        found.announced = _releaseAt(record, announced);
        found.tombstone = _tombstoneAt(record, tombstone);
        found.announcedTombstone = _tombstoneAt(record, announcedTombstone);
    }

    /// @inheritdoc IReleaseRegistry
    function releaseAt(
        address project,
        string calldata workload,
        uint64 version
    ) external view returns (Release memory) {
        return _releaseAt(_workloads[project][workload], version);
    }

    /// @inheritdoc IReleaseRegistry
    function tombstoneAt(
        address project,
        string calldata workload,
        uint64 version
    ) external view returns (Tombstone memory) {
        return _tombstoneAt(_workloads[project][workload], version);
    }

    /// @inheritdoc IReleaseRegistry
    function newestVersion(address project, string calldata workload) external view returns (uint64) {
        return _workloads[project][workload].newest;
    }

    /// @inheritdoc IReleaseRegistry
    function releaseAuthorityOf(address project) public view returns (ReleaseAuthority memory authority) {
        authority = _authorities[project];
        uint64 keyFrom = authority.nextReleaseKeyFrom;
        if (keyFrom != 0 && keyFrom <= block.timestamp) {
            authority.releaseKey = authority.nextReleaseKey;
            (authority.nextReleaseKey, authority.nextReleaseKeyFrom) = (address(0), 0);
        }
        uint64 delayFrom = authority.nextReleaseDelayFrom;
        if (delayFrom != 0 && delayFrom <= block.timestamp) {
            authority.releaseDelay = authority.nextReleaseDelay;
            (authority.nextReleaseDelay, authority.nextReleaseDelayFrom) = (0, 0);
        }
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Apart, because the compiler writes the code for it wherever it stands, and the registry is near the
    /// size limit.
    function _store(address project, ReleaseAuthority memory authority) private {
        _authorities[project] = authority;
    }

    /// @return effectiveAt When the announcement comes into effect.
    function _announce(
        address project,
        string calldata workload,
        uint64 version,
        Announcement memory announcement
    ) private returns (uint64 effectiveAt) {
        // Check
        _ownerOf(project);
        ReleaseAuthority memory authority = releaseAuthorityOf(project);
        if (msg.sender != authority.releaseKey) {
            revert NotReleaseKey(project, msg.sender, authority.releaseKey);
        }
        _requireValidName(workload);
        Workload storage record = _workloads[project][workload];
        uint64 newest = record.newest;
        if (version <= newest) revert VersionNotHigher(version, newest);
        if (version - newest > MAX_VERSION_LEAP) revert VersionTooHigh(version, newest + MAX_VERSION_LEAP);

        // Effect
        uint64 notBefore = _settle(record);
        uint256 pending = record.pending.length;
        if (pending == MAX_PENDING) revert TooManyPending(project, workload, pending);
        announcement.announcedAt = _time();
        effectiveAt = announcement.announcedAt + authority.releaseDelay;
        // A lowered delay must not let a version overtake an earlier one.
        if (effectiveAt < notBefore) effectiveAt = notBefore;
        announcement.effectiveAt = effectiveAt;
        record.announcements[version] = announcement;
        record.pending.push(version);
        record.newest = version;
        authority.inUse = true;
        _store(project, authority);
    }

    /// @dev Keeps in `pending` only what may still come into effect, in order.
    /// @return lastEffectiveAt When the last of them does; zero if none is left.
    function _settle(Workload storage record) private returns (uint64 lastEffectiveAt) {
        uint64[] memory pending = record.pending;
        uint256 kept;
        for (uint256 i; i < pending.length; ++i) {
            uint64 version = pending[i];
            Announcement storage announcement = record.announcements[version];
            if (announcement.vetoed) continue;
            if (announcement.effectiveAt > block.timestamp) {
                lastEffectiveAt = announcement.effectiveAt;
                pending[kept++] = version;
            } else if (announcement.kind == Kind.Release) {
                record.runnable = version;
            } else {
                record.tombstone = version;
            }
        }
        if (kept == pending.length) return lastEffectiveAt;
        assembly ("memory-safe") {
            mstore(pending, kept)
        }
        record.pending = pending;
    }

    function _releaseAt(Workload storage record, uint64 version) private view returns (Release memory found) {
        Announcement memory announcement = record.announcements[version];
        if (announcement.kind != Kind.Release) return found;
        return Release({
            version: version,
            releaseHash: announcement.releaseHash,
            announcedAt: announcement.announcedAt,
            runnableAt: announcement.effectiveAt,
            vetoed: announcement.vetoed
        });
    }

    function _tombstoneAt(
        Workload storage record,
        uint64 version
    ) private view returns (Tombstone memory found) {
        Announcement memory announcement = record.announcements[version];
        if (announcement.kind != Kind.Tombstone) return found;
        return Tombstone({
            version: version,
            removesVolumes: announcement.removesVolumes,
            announcedAt: announcement.announcedAt,
            effectiveAt: announcement.effectiveAt,
            vetoed: announcement.vetoed
        });
    }

    /// @dev The project is a distributor that the registry made, so its answer can be relied on.
    function _requireOwnerOrGuardian(address project) private view {
        address owner = _ownerOf(project);
        if (msg.sender == owner) return;
        address guardian = IRewardDistributor(project).guardian();
        if (msg.sender != guardian) revert NotProjectOwnerOrGuardian(project, msg.sender, owner, guardian);
    }

    function _requireReleaseDelayInBounds(uint64 value) private view {
        uint64 minDelay = block.chainid == DEV_CHAIN_ID ? 0 : MIN_RELEASE_DELAY;
        if (value < minDelay || value > MAX_RELEASE_DELAY) {
            revert ReleaseDelayOutOfBounds(value, minDelay, MAX_RELEASE_DELAY);
        }
    }
}
