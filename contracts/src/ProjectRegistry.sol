// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

import {DistributorDeployer} from "./DistributorDeployer.sol";
import {NetworkRegistry} from "./NetworkRegistry.sol";
import {ReleaseRegistry} from "./ReleaseRegistry.sol";
import {IProjectRegistry, Listing, Project, ProjectParams} from "./interfaces/IProjectRegistry.sol";
import {IRewardDistributor} from "./interfaces/IRewardDistributor.sol";

/// @title ProjectRegistry
/// @notice See {IProjectRegistry}. It holds no funds and has no power over a project's funds.
/// @dev It verifies no message itself, so it only tells its EIP-712 domain: OpenZeppelin's base contract
/// would leave no room under the size limit.
contract ProjectRegistry is IProjectRegistry, IERC5267, ReleaseRegistry, NetworkRegistry {
    struct Listed {
        Listing listing;
        bytes32 placeId;
    }

    struct Consent {
        address consenter;
        uint64 until;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      CONSTANTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Longer than a transaction that pays enough waits for its block, and short for who creates a project.
    uint64 private constant RESERVATION_WAIT = 5 minutes;

    /// @dev Long enough for the owners of a Safe; whoever hoards names has to pay anew.
    uint64 private constant RESERVATION_LASTS = 7 days;

    /// @dev The characters of a name, a bit for each: a to z, 0 to 9, dash.
    uint256 private constant NAME_CHARACTERS = 0x07fffffe0000000003ff200000000000;

    DistributorDeployer private immutable DEPLOYER;

    /*//////////////////////////////////////////////////////////////////////////
                                       STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    mapping(address project => Project) internal _projects;
    mapping(string name => address project) private _projectByName;

    /// @dev When the address of a project to come was reserved.
    mapping(address project => uint64) private _reservedAt;

    /// @dev The last collection of a place, which is a project's workload. It may be over, or listed
    /// elsewhere since: `_collectionAt` tells.
    mapping(bytes32 placeId => address collection) private _places;

    /// @dev The last listing of a collection, which may be over: `_isListed` tells.
    mapping(address collection => Listed) private _listings;

    /// @dev By collection, project, workload and the project's owner, with who consented: a consent ends
    /// with the ownership that it came from, and with that to which it was given.
    mapping(bytes32 consentId => Consent) private _consents;

    /*//////////////////////////////////////////////////////////////////////////
                                     CONSTRUCTOR
    //////////////////////////////////////////////////////////////////////////*/

    constructor(address initialOperator) NetworkRegistry(initialOperator) {
        DEPLOYER = new DistributorDeployer();
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      PROJECTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IProjectRegistry
    function reserveProject(address project) external {
        // Check: nobody who repeats it prolongs or delays what was reserved.
        (, uint64 until) = reservationOf(project);
        if (block.timestamp < until) return;

        // Effect
        _reservedAt[project] = _time();
        uint64 from;
        (from, until) = reservationOf(project);
        emit ProjectReserved(project, from, until);
    }

    /// @inheritdoc IProjectRegistry
    function createProject(ProjectParams calldata params) external returns (address project) {
        // Check
        _requireValidName(params.name);
        address holder = _projectByName[params.name];
        if (holder != address(0)) revert NameTaken(params.name, holder);

        // Interaction: first, because it yields the project's address. The code that runs is our own
        // and calls nothing.
        project = DEPLOYER.deploy(msg.sender, params);

        // Check: last, so that who tries a creation before the reservation hears of all else that is wrong.
        (uint64 from, uint64 until) = reservationOf(project);
        if (block.timestamp < from || block.timestamp >= until) {
            revert ProjectNotReserved(project, from, until);
        }

        // Effect
        delete _reservedAt[project];
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
        string memory text = metadataURI;
        _projects[project].metadataURI = text;
        emit MetadataSet(project, metadataURI);
    }

    /// @inheritdoc IProjectRegistry
    function announceTerms(address project, bytes32 termsHash, uint64 fromDay) external {
        // Check
        _requireProjectOwner(project);
        uint256 today = _today();
        if (termsHash == 0 || fromDay <= today) revert InvalidTerms(termsHash, fromDay, today);

        // Effect: the event is the record.
        emit TermsAnnounced(project, termsHash, fromDay);
    }

    /// @inheritdoc IProjectRegistry
    function projectAddress(address creator, ProjectParams calldata params) external view returns (address) {
        return DEPLOYER.addressOf(creator, params);
    }

    /// @inheritdoc IProjectRegistry
    function reservationOf(address project) public view returns (uint64 from, uint64 until) {
        uint64 reservedAt = _reservedAt[project];
        if (reservedAt == 0) return (0, 0);
        from = block.chainid == DEV_CHAIN_ID ? reservedAt : reservedAt + RESERVATION_WAIT;
        until = reservedAt + RESERVATION_LASTS;
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
        bytes32 placeId = _placeId(project, workload);
        address taken = _collectionAt(placeId);
        if (taken != address(0)) revert WorkloadTaken(project, workload, taken);
        if (_isListed(collection)) {
            revert CollectionAlreadyListed(collection, _listings[collection].listing.project);
        }
        _requireCollection(collection);
        address collectionOwner = _collectionOwner(collection);
        if (collectionOwner != msg.sender) {
            if (_consentedUntil(collection, project, workload, collectionOwner) == 0) {
                revert ListingNotConsented(collection, project, collectionOwner);
            }
            // Effect: it is used up, so that a collection that was delisted does not come back by it.
            delete _consents[_consentId(collection, project, workload)];
        }

        // Effect: a listing that is over ended before this day began, so no two share a day.
        uint48 fromDay = _today();
        _places[placeId] = collection;
        _listings[collection] = Listed(Listing(project, fromDay, 0, workload), placeId);
        emit CollectionListed(project, collection, workload, fromDay);
    }

    /// @inheritdoc IProjectRegistry
    function delistCollection(address collection) external {
        // Check
        if (!_isListed(collection)) revert NotListed(collection);
        _requireCollectionOwner(collection);
        Listing storage listing = _listings[collection].listing;
        if (listing.untilDay != 0) revert AlreadyDelisted(collection, listing.untilDay);

        // Effect
        address project = listing.project;
        uint48 untilDay = _dayAt(block.timestamp + IRewardDistributor(project).timelock()) + 1;
        listing.untilDay = untilDay;
        emit CollectionDelisted(project, collection, untilDay);
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
        _requireCollectionOwner(collection);

        // Effect
        _consents[consentId] = Consent(msg.sender, until);
        emit ListingConsentSet(collection, project, msg.sender, workload, until);
    }

    /// @inheritdoc IProjectRegistry
    function collectionOf(
        address project,
        string calldata workload
    ) external view returns (address collection) {
        return _collectionAt(_placeId(project, workload));
    }

    /// @inheritdoc IProjectRegistry
    function listingOf(address collection) external view returns (Listing memory) {
        return _listings[collection].listing;
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
                                 DOMAIN OF MESSAGES
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        // Name, version, chain and contract.
        return (0x0f, "NodeSystem", "1", block.chainid, address(this), 0, new uint256[](0));
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

    function _placeId(address project, string calldata workload) private pure returns (bytes32) {
        return keccak256(abi.encode(project, workload));
    }

    /// @return collection Zero where none is listed there now.
    function _collectionAt(bytes32 placeId) private view returns (address collection) {
        collection = _places[placeId];
        if (_listings[collection].placeId != placeId || !_isListed(collection)) return address(0);
    }

    function _isListed(address collection) private view returns (bool) {
        Listing storage listing = _listings[collection].listing;
        return listing.project != address(0) && (listing.untilDay == 0 || listing.untilDay > _today());
    }

    function _today() private view returns (uint48) {
        return _dayAt(block.timestamp);
    }

    function _dayAt(uint256 timestamp) private pure returns (uint48) {
        // Fits for longer than the sun will shine.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint48(timestamp / 1 days);
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

    function _requireCollectionOwner(address collection) private view {
        address collectionOwner = _collectionOwner(collection);
        if (msg.sender != collectionOwner) {
            revert NotCollectionOwner(collection, msg.sender, collectionOwner);
        }
    }

    /// @dev Never zero: a collection without an owner has nobody who could consent.
    function _collectionOwner(address collection) private view returns (address) {
        uint256 word = _ask(collection, abi.encodeWithSignature("owner()"));
        if (word == 0 || word > type(uint160).max) revert CollectionOwnerUnknown(collection);
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(word));
    }

    /// @dev By ERC-165: it says yes for ERC-721, and no where every contract has to.
    function _requireCollection(address collection) private view {
        if (_supports(collection, type(IERC721).interfaceId) != 1 || _supports(collection, 0xffffffff) != 0) {
            revert NotCollection(collection);
        }
    }

    function _supports(address collection, bytes4 interfaceId) private view returns (uint256) {
        return _ask(collection, abi.encodeCall(IERC165.supportsInterface, (interfaceId)));
    }

    /// @return word The answer; the highest, which is none to any question, where it is not just one word.
    function _ask(address collection, bytes memory question) private view returns (uint256 word) {
        (bool success, bytes32 answer,) = LowLevelCall.staticcallReturn64Bytes(collection, question);
        return success && LowLevelCall.returnDataSize() == 32 ? uint256(answer) : type(uint256).max;
    }

    function _requireValidName(string calldata name) internal pure override {
        bytes calldata text = bytes(name);
        uint256 length = text.length;
        bool valid = length != 0 && length <= 32;
        for (uint256 i; valid && i < length; ++i) {
            bytes1 c = text[i];
            valid = NAME_CHARACTERS >> uint8(c) & 1 != 0 && (c != "-" || (i != 0 && i != length - 1));
        }
        if (!valid) revert InvalidName(name);
    }
}
