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

/// @title Registry of projects, their license collections and releases, and the network's receipt keys
/// @notice A project's id, here and everywhere else, is the address of its RewardDistributor. The
/// registry is also the verifying contract of the EIP-712 domain of all off-chain messages.
interface IProjectRegistry is INetworkRegistry, IReleaseRegistry {
    /*//////////////////////////////////////////////////////////////////////////
                                       EVENTS
    //////////////////////////////////////////////////////////////////////////*/

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

    /// @notice The collection's tokens became the licenses of the project's workload.
    event CollectionListed(address indexed project, address indexed collection, string workload);

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The name of a project or workload breaks the grammar.
    error InvalidName(string name);

    /// @notice Another project has the name.
    error NameTaken(string name, address project);

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

    /// @notice A collection is listed once in the registry.
    error CollectionAlreadyListed(address collection, address project);

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

    /// @notice Creates a project owned by the caller and deploys its RewardDistributor.
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

    /// @notice The project of this name, or zero.
    function projectByName(string calldata name) external view returns (address project);

    /// @notice What is known about the project; all empty if there is none.
    function projectOf(address project) external view returns (Project memory);

    /// @notice The project's owner, or zero. The distributor reads its owner here.
    function projectOwner(address project) external view returns (address);

    /*//////////////////////////////////////////////////////////////////////////
                                     COLLECTIONS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Lists a collection as the licenses of a workload, for good. The caller owns the
    /// project; the collection's owner is the same account or has consented.
    function listCollection(address project, string calldata workload, address collection) external;

    /// @notice The collection's owner allows the project to list it as the licenses of that workload,
    /// until just before `until`; zero withdraws. The consent also ends when the collection or the project
    /// changes its owner.
    function consentToListing(
        address collection,
        address project,
        string calldata workload,
        uint64 until
    ) external;

    /// @notice The collection of the project's workload, or zero.
    function collectionOf(
        address project,
        string calldata workload
    ) external view returns (address collection);

    /// @notice The project the collection is listed in, or zero.
    function projectOfCollection(address collection) external view returns (address project);

    /// @notice The name of the workload the collection's tokens license, or empty.
    function workloadOfCollection(address collection) external view returns (string memory workload);

    /// @notice Until just before when the collection's present owner consents to the listing by the project,
    /// as it is owned now; zero if it does not, or did.
    function listingConsent(
        address collection,
        address project,
        string calldata workload
    ) external view returns (uint64 until);
}
