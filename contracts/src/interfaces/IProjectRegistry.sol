// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {INetworkRegistry} from "./INetworkRegistry.sol";
import {IReleaseRegistry} from "./IReleaseRegistry.sol";

/// @notice What a project is created from. All of it is in the init code of the project's
/// RewardDistributor, so the project's address commits to every value.
/// @param name Unique name: 1 to 32 characters of a-z, 0-9 and dash, no dash at either end.
/// @param token ERC-20 the project pays rewards in.
/// @param signer Reward signer: an EOA or an ERC-1271 contract.
/// @param guardian Third party that may revoke, pause and disable the signer; zero for none.
/// @param dailyQuota Most that one commit may add to the total of all rewards.
/// @param delay Seconds between the post of a commit and its activation.
/// @param metadataURI Where the project describes itself.
/// @param claimsForContracts Whether anyone may send the claims of accounts with code (`claimFor`), for
/// those that cannot claim.
/// @param userSalt Lets one creator make several projects at addresses of its choice.
struct ProjectParams {
    string name;
    address token;
    address signer;
    address guardian;
    uint128 dailyQuota;
    uint64 delay;
    string metadataURI;
    bool claimsForContracts;
    bytes32 userSalt;
}

/// @notice What the registry knows about a project.
struct Project {
    address owner;
    address pendingOwner;
    string name;
    string metadataURI;
}

/// @notice That a collection's tokens license a project's workload, for whole days of UTC since 1970.
/// @param project The project.
/// @param fromDay First day: the one in which it was listed.
/// @param untilDay First day on which it is listed no more; zero while no end is announced.
/// @param workload The workload's name.
struct Listing {
    address project;
    uint48 fromDay;
    uint48 untilDay;
    string workload;
}

/// @title Registry of projects, their license collections and releases, and the network's receipt keys
/// @notice A project's id, here and everywhere else, is the address of its RewardDistributor. The
/// registry is also the verifying contract of the EIP-712 domain of all off-chain messages.
interface IProjectRegistry is INetworkRegistry, IReleaseRegistry {
    /*//////////////////////////////////////////////////////////////////////////
                                       EVENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The project at this address may be created from `from` until just before `until`.
    event ProjectReserved(address indexed project, uint64 from, uint64 until);

    /// @notice A project was created and its RewardDistributor deployed at `project`.
    event ProjectCreated(
        address indexed project,
        address indexed owner,
        string name,
        address token,
        address signer,
        address guardian,
        uint128 dailyQuota,
        uint64 delay,
        string metadataURI
    );

    /// @notice The owner offered the project to `newOwner`; zero withdrew the offer.
    event ProjectTransferStarted(address indexed project, address indexed owner, address indexed newOwner);

    /// @notice `newOwner` accepted the project.
    event ProjectTransferred(
        address indexed project, address indexed previousOwner, address indexed newOwner
    );

    /// @notice The project's metadata was replaced.
    event MetadataSet(address indexed project, string metadataURI);

    /// @notice The project's terms from a day on are those whose hash this is: whoever holds the file can
    /// prove that it was public before the day began.
    event TermsAnnounced(address indexed project, bytes32 indexed termsHash, uint64 fromDay);

    /// @notice The collection's owner allows the project to list it as that workload's until just before
    /// `until`; zero withdrew the consent.
    event ListingConsentSet(
        address indexed collection,
        address indexed project,
        address indexed collectionOwner,
        string workload,
        uint64 until
    );

    /// @notice The collection's tokens are the licenses of the project's workload from day `fromDay` on, the
    /// one that runs. No other listing of the collection, or of the workload, has a day from this one on.
    event CollectionListed(
        address indexed project, address indexed collection, string workload, uint64 fromDay
    );

    /// @notice The listing ends: the days before `untilDay` are the project's, no day from it on. Nothing
    /// changes it any more.
    event CollectionDelisted(address indexed project, address indexed collection, uint64 untilDay);

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The name of a project or workload breaks the grammar.
    error InvalidName(string name);

    /// @notice Another project has the name.
    error NameTaken(string name, address project);

    /// @notice The project may be created from `from` until just before `until`; both are zero if it was not
    /// reserved.
    error ProjectNotReserved(address project, uint64 from, uint64 until);

    /// @notice No project has this address.
    error UnknownProject(address project);

    /// @notice Only the project's owner may do this.
    error NotProjectOwner(address project, address caller, address owner);

    /// @notice Only the account the project was offered to may accept it.
    error NotPendingProjectOwner(address project, address caller, address pendingOwner);

    /// @notice Terms have a hash, and begin on a day that has not begun: after `today`.
    error InvalidTerms(bytes32 termsHash, uint64 fromDay, uint256 today);

    /// @notice Another collection has the workload's name in this project.
    error WorkloadTaken(address project, string workload, address collection);

    /// @notice A collection is listed in one place at a time.
    error CollectionAlreadyListed(address collection, address project);

    /// @notice The collection is not listed now.
    error NotListed(address collection);

    /// @notice The end of the collection's listing is announced, and stays.
    error AlreadyDelisted(address collection, uint64 untilDay);

    /// @notice The address does not say of itself that it is an ERC-721 collection.
    error NotCollection(address collection);

    /// @notice The collection answers no `owner()`, so nobody can consent for it.
    error CollectionOwnerUnknown(address collection);

    /// @notice Only the collection's owner may do this.
    error NotCollectionOwner(address collection, address caller, address owner);

    /// @notice The collection's owner is not the project's owner and does not consent to this workload now.
    error ListingNotConsented(address collection, address project, address collectionOwner);

    /*//////////////////////////////////////////////////////////////////////////
                                      PROJECTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Reserves the address that `projectAddress` foretells: five minutes later, and for seven days from
    /// now, its creator may create the project. Anyone may send it; while a reservation lasts, nothing changes.
    /// The address shows nobody the project's name: so whoever learns it from the creation is too late to take
    /// it. The name itself goes to the first who creates a project of that name.
    function reserveProject(address project) external;

    /// @notice Creates a project owned by the caller, at a reserved address, and deploys its RewardDistributor.
    /// @return project The project's id: the distributor's address, as `projectAddress` foretells.
    function createProject(ProjectParams calldata params) external returns (address project);

    /// @notice Offers the project to `newOwner`, which has to accept. Zero withdraws an offer.
    function transferProject(address project, address newOwner) external;

    /// @notice Takes over a project offered to the caller.
    function acceptProject(address project) external;

    /// @notice Replaces the project's metadata.
    function setMetadata(address project, string calldata metadataURI) external;

    /// @notice Announces the terms (the day's reward, the rule for points, and who is paid) of the days from
    /// `fromDay` on, which has not begun. Owner. The registry keeps no terms: the event is the proof.
    function announceTerms(address project, bytes32 termsHash, uint64 fromDay) external;

    /// @notice The address of the project `creator` would create from `params`.
    function projectAddress(address creator, ProjectParams calldata params) external view returns (address);

    /// @notice From when, and until just before when, the project at this address may be created; zero and zero
    /// if it is not reserved.
    function reservationOf(address project) external view returns (uint64 from, uint64 until);

    /// @notice The project of this name, or zero.
    function projectByName(string calldata name) external view returns (address project);

    /// @notice What is known about the project; all empty if there is none.
    function projectOf(address project) external view returns (Project memory);

    /// @notice The project's owner, or zero. The distributor reads its owner here.
    function projectOwner(address project) external view returns (address);

    /*//////////////////////////////////////////////////////////////////////////
                                     COLLECTIONS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Lists a collection as the licenses of a workload, from this day on, until it is delisted. The
    /// caller owns the project; the collection's owner is the same account or has consented, which uses up
    /// the consent. Refused while collection or workload are listed: their days overlap with no others'.
    function listCollection(address project, string calldata workload, address collection) external;

    /// @notice Announces the end of the collection's listing. The collection's owner. The last day is the one
    /// in which the project's timelock, as it is now, will have passed: so holders and project know it at
    /// least that long before. It cannot be withdrawn; from the day after, collection and workload can be
    /// listed anew.
    function delistCollection(address collection) external;

    /// @notice The collection's owner allows the project to list it as the licenses of that workload,
    /// until just before `until`; zero withdraws. The consent is for one listing, and also ends when the
    /// collection or the project changes its owner.
    function consentToListing(
        address collection,
        address project,
        string calldata workload,
        uint64 until
    ) external;

    /// @notice The collection of the project's workload now, or zero.
    function collectionOf(
        address project,
        string calldata workload
    ) external view returns (address collection);

    /// @notice The collection's last listing, which is over from its `untilDay` on; all empty if it never had
    /// one. So it tells for every day from `fromDay` on whose the collection is.
    function listingOf(address collection) external view returns (Listing memory);

    /// @notice Until just before when the collection's present owner consents to the listing by the project,
    /// as it is owned now; zero if it does not, or did.
    function listingConsent(
        address collection,
        address project,
        string calldata workload
    ) external view returns (uint64 until);
}
