// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ERC165Checker} from "@openzeppelin/contracts/utils/introspection/ERC165Checker.sol";

import {DistributorDeployer} from "./DistributorDeployer.sol";
import {NetworkRegistry} from "./NetworkRegistry.sol";
import {ReleaseRegistry} from "./ReleaseRegistry.sol";
import {IProjectRegistry, Project, ProjectParams} from "./interfaces/IProjectRegistry.sol";

/// @title ProjectRegistry
/// @notice See {IProjectRegistry}. It holds no funds and has no power over a project's funds.
contract ProjectRegistry is IProjectRegistry, ReleaseRegistry, NetworkRegistry, EIP712 {
    struct Listing {
        address project;
        string workload;
    }

    struct Consent {
        address consenter;
        uint64 until;
    }

    DistributorDeployer private immutable DEPLOYER;

    /*//////////////////////////////////////////////////////////////////////////
                                       STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    mapping(address project => Project) private _projects;
    mapping(string name => address project) private _projectByName;

    mapping(address project => mapping(string workload => address collection)) private _collections;
    mapping(address collection => Listing) private _listings;

    /// @dev By collection, project, workload and the project's owner, with who consented: a consent ends
    /// with the ownership that it came from, and with that to which it was given.
    mapping(bytes32 consentId => Consent) private _consents;

    /*//////////////////////////////////////////////////////////////////////////
                                     CONSTRUCTOR
    //////////////////////////////////////////////////////////////////////////*/

    constructor(address initialOperator) NetworkRegistry(initialOperator) EIP712("NodeSystem", "1") {
        DEPLOYER = new DistributorDeployer();
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      PROJECTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IProjectRegistry
    function createProject(ProjectParams calldata params) external returns (address project) {
        // Check
        _requireValidName(params.name);
        address holder = _projectByName[params.name];
        if (holder != address(0)) revert NameTaken(params.name, holder);

        // Interaction: first, because it yields the project's address. The code that runs is our own
        // and calls nothing.
        project = DEPLOYER.deploy(_salt(msg.sender, params.userSalt), params);

        // Effect
        _projects[project] = Project(msg.sender, address(0), params.name, params.metadataURI);
        _projectByName[params.name] = project;
        emit ProjectCreated(
            project,
            msg.sender,
            params.name,
            params.token,
            params.signer,
            params.guardian,
            params.dailyQuota,
            params.delay,
            params.metadataURI
        );
    }

    /// @inheritdoc IProjectRegistry
    function transferProject(address project, address newOwner) external {
        // Check
        _requireProjectOwner(project);

        // Effect
        _projects[project].pendingOwner = newOwner;
        emit ProjectTransferStarted(project, msg.sender, newOwner);
    }

    /// @inheritdoc IProjectRegistry
    function acceptProject(address project) external {
        // Check
        Project storage record = _projects[project];
        address previousOwner = record.owner;
        if (previousOwner == address(0)) revert UnknownProject(project);
        address pendingOwner = record.pendingOwner;
        if (msg.sender != pendingOwner) revert NotPendingProjectOwner(project, msg.sender, pendingOwner);

        // Effect
        record.owner = msg.sender;
        record.pendingOwner = address(0);
        emit ProjectTransferred(project, previousOwner, msg.sender);
    }

    /// @inheritdoc IProjectRegistry
    function setMetadata(address project, string calldata metadataURI) external {
        // Check
        _requireProjectOwner(project);

        // Effect
        _projects[project].metadataURI = metadataURI;
        emit MetadataSet(project, metadataURI);
    }

    /// @inheritdoc IProjectRegistry
    function announceTerms(address project, bytes32 termsHash, uint64 fromDay) external {
        // Check
        _requireProjectOwner(project);
        uint256 today = block.timestamp / 1 days;
        if (termsHash == 0 || fromDay <= today) revert InvalidTerms(termsHash, fromDay, today);

        // Effect: the event is the record.
        emit TermsAnnounced(project, termsHash, fromDay);
    }

    /// @inheritdoc IProjectRegistry
    function projectAddress(address creator, ProjectParams calldata params) external view returns (address) {
        return DEPLOYER.addressOf(_salt(creator, params.userSalt), params);
    }

    /// @inheritdoc IProjectRegistry
    function projectByName(string calldata name) external view returns (address project) {
        return _projectByName[name];
    }

    /// @inheritdoc IProjectRegistry
    function projectOf(address project) external view returns (Project memory) {
        return _projects[project];
    }

    /// @inheritdoc IProjectRegistry
    function projectOwner(address project) external view returns (address) {
        return _projects[project].owner;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                     COLLECTIONS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IProjectRegistry
    function listCollection(address project, string calldata workload, address collection) external {
        // Check
        _requireProjectOwner(project);
        _requireValidName(workload);
        address taken = _collections[project][workload];
        if (taken != address(0)) revert WorkloadTaken(project, workload, taken);
        address listedIn = _listings[collection].project;
        if (listedIn != address(0)) revert CollectionAlreadyListed(collection, listedIn);
        if (!ERC165Checker.supportsInterface(collection, type(IERC721).interfaceId)) {
            revert NotCollection(collection);
        }
        address collectionOwner = _collectionOwner(collection);
        if (
            collectionOwner != msg.sender
                && _consentedUntil(collection, project, workload, collectionOwner) == 0
        ) {
            revert ListingNotConsented(collection, project, collectionOwner);
        }

        // Effect
        _collections[project][workload] = collection;
        _listings[collection] = Listing(project, workload);
        emit CollectionListed(project, collection, workload);
    }

    /// @inheritdoc IProjectRegistry
    function consentToListing(
        address collection,
        address project,
        string calldata workload,
        uint64 until
    ) external {
        // Check
        bytes32 consentId = _consentId(collection, project, workload);
        _requireValidName(workload);
        address collectionOwner = _collectionOwner(collection);
        if (msg.sender != collectionOwner) {
            revert NotCollectionOwner(collection, msg.sender, collectionOwner);
        }

        // Effect
        _consents[consentId] = Consent(msg.sender, until);
        emit ListingConsentSet(collection, project, msg.sender, workload, until);
    }

    /// @inheritdoc IProjectRegistry
    function collectionOf(
        address project,
        string calldata workload
    ) external view returns (address collection) {
        return _collections[project][workload];
    }

    /// @inheritdoc IProjectRegistry
    function projectOfCollection(address collection) external view returns (address project) {
        return _listings[collection].project;
    }

    /// @inheritdoc IProjectRegistry
    function workloadOfCollection(address collection) external view returns (string memory workload) {
        return _listings[collection].workload;
    }

    /// @inheritdoc IProjectRegistry
    function listingConsent(
        address collection,
        address project,
        string calldata workload
    ) external view returns (uint64 until) {
        return _consentedUntil(collection, project, workload, _collectionOwner(collection));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    function _ownerOf(address project) internal view override returns (address owner) {
        owner = _projects[project].owner;
        if (owner == address(0)) revert UnknownProject(project);
    }

    function _requireProjectOwner(address project) internal view override {
        address owner = _ownerOf(project);
        if (msg.sender != owner) revert NotProjectOwner(project, msg.sender, owner);
    }

    function _consentId(
        address collection,
        address project,
        string calldata workload
    ) private view returns (bytes32) {
        return keccak256(abi.encode(collection, project, _ownerOf(project), workload));
    }

    /// @return until Zero where the collection's owner does not consent now.
    function _consentedUntil(
        address collection,
        address project,
        string calldata workload,
        address collectionOwner
    ) private view returns (uint64 until) {
        Consent storage consent = _consents[_consentId(collection, project, workload)];
        until = consent.until;
        if (consent.consenter != collectionOwner || until <= block.timestamp) return 0;
    }

    /// @dev The creator is part of the salt, so nobody can take another's address.
    function _salt(address creator, bytes32 userSalt) private pure returns (bytes32) {
        return keccak256(abi.encode(creator, userSalt));
    }

    /// @dev Never zero: a collection without an owner has nobody who could consent.
    function _collectionOwner(address collection) private view returns (address) {
        (bool success, bytes memory result) = collection.staticcall(abi.encodeWithSignature("owner()"));
        if (!success || result.length != 32) revert CollectionOwnerUnknown(collection);
        uint256 word = abi.decode(result, (uint256));
        if (word == 0 || word > type(uint160).max) revert CollectionOwnerUnknown(collection);
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(word));
    }

    function _requireValidName(string calldata name) internal pure override {
        bytes calldata text = bytes(name);
        uint256 length = text.length;
        bool valid = length != 0 && length <= 32;
        for (uint256 i; valid && i < length; ++i) {
            bytes1 c = text[i];
            bool dash = c == "-";
            valid = (c >= "a" && c <= "z") || (c >= "0" && c <= "9") || (dash && i != 0 && i != length - 1);
        }
        if (!valid) revert InvalidName(name);
    }
}
