// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {LicenseMetadata} from "./LicenseMetadata.sol";
import {IERC4907} from "./interfaces/IERC4907.sol";
import {IERC5643} from "./interfaces/IERC5643.sol";
import {INodeLicense, LicenseParams} from "./interfaces/INodeLicense.sol";

/// @title NodeLicense
/// @notice See {INodeLicense}.
/// @dev A batch writes one checkpoint (its last id, holder, time of mint) instead of one slot a
/// license; a license gets a slot of its own when it is first transferred. That is sound because no
/// license is ever burned: an id up to `totalSupply` without a slot still belongs to its first holder.
contract NodeLicense is INodeLicense, IERC4907, IERC5643, IERC2981, IERC4906, ERC721, Ownable2Step {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    /// @dev One slot.
    struct Rental {
        address renter;
        uint64 expires;
    }

    /// @dev What minting reads and writes, in one slot.
    struct Minting {
        address minter;
        uint48 supply;
    }

    /// @dev One slot.
    struct Royalty {
        address receiver;
        uint16 bps;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      CONSTANTS
    //////////////////////////////////////////////////////////////////////////*/

    uint256 private constant MAX_BATCH = 1000;
    uint256 private constant MAX_TEXT_LENGTH = 64;
    uint16 private constant MAX_ROYALTY_BPS = 1000;

    /// @dev A hundred years: keeps every time within what programs can represent.
    uint64 private constant MAX_TERM = 36_525 days;

    bytes4 private constant ERC4906_ID = 0x49064906;

    uint256 private immutable MAX_SUPPLY;
    uint64 private immutable TERM;

    /// @dev Lets a transfer after the end of the first lock skip a storage read.
    uint64 private immutable FIRST_LOCKED_UNTIL;

    /*//////////////////////////////////////////////////////////////////////////
                                       STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    Minting private _minting;
    Royalty private _royalty;

    /// @inheritdoc INodeLicense
    uint64 public lockedUntil;

    /// @dev Last id of each batch, with holder << 48 | time of mint.
    Checkpoints.Trace208 private _batches;

    mapping(uint256 tokenId => Rental) private _rentals;

    /// @dev Expiry of licenses that were renewed or cancelled; the others' follows from their batch.
    mapping(uint256 tokenId => uint64) private _expiries;

    /*//////////////////////////////////////////////////////////////////////////
                                     CONSTRUCTOR
    //////////////////////////////////////////////////////////////////////////*/

    constructor(LicenseParams memory params) ERC721(params.name, params.symbol) Ownable(params.owner) {
        // Check
        _requirePlain(params.name);
        _requirePlain(params.symbol);
        if (params.term > MAX_TERM) revert InvalidTerm(params.term, MAX_TERM);

        // Effect
        MAX_SUPPLY = params.maxSupply;
        TERM = params.term;
        FIRST_LOCKED_UNTIL = params.lockedUntil;
        lockedUntil = params.lockedUntil;
        _minting.minter = params.minter;
        emit MinterSet(address(0), params.minter);
        emit TransferLockSet(params.lockedUntil);
        _setRoyalty(params.royaltyReceiver, params.royaltyBps);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       MINTING
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeLicense
    function mint(address to) external returns (uint256 tokenId) {
        return _mintNext(to, 1);
    }

    /// @inheritdoc INodeLicense
    function mintBatch(address to, uint256 count) external returns (uint256 firstTokenId) {
        return _mintNext(to, count);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       RENTAL
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IERC4907
    /// @dev The renter ends its rental with user 0. The holder, or an account approved for the
    /// license, begins one when none runs, and may extend a running one for the same renter.
    function setUser(uint256 tokenId, address user, uint64 expires) external {
        // Check
        address holder = ownerOf(tokenId);
        Rental memory rental = _rentals[tokenId];
        bool running = _isRunning(rental);
        bool endedByRenter = running && msg.sender == rental.renter && user == address(0);
        if (!endedByRenter) {
            _requireAuthorized(holder, tokenId);
            if (running && (user != rental.renter || expires < rental.expires)) {
                revert RentalRunning(tokenId, rental.renter, rental.expires);
            }
            if (user != address(0)) _requireRentable(tokenId, expires);
        }

        // Effect: no user has no time either.
        if (user == address(0)) expires = 0;
        _rentals[tokenId] = Rental(user, expires);
        emit UpdateUser(tokenId, user, expires);
        emit MetadataUpdate(tokenId);
    }

    /// @inheritdoc IERC4907
    function userOf(uint256 tokenId) external view returns (address) {
        Rental memory rental = _rentals[tokenId];
        return _isRunning(rental) ? rental.renter : address(0);
    }

    /// @inheritdoc IERC4907
    function userExpires(uint256 tokenId) external view returns (uint256) {
        return _rentals[tokenId].expires;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       EXPIRY
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc IERC5643
    /// @dev Owner or minter, so that a project sells renewals as it likes; free of charge here.
    function renewSubscription(uint256 tokenId, uint64 duration) external payable {
        // Check
        address renewer = _minting.minter;
        if (msg.sender != owner() && msg.sender != renewer) revert NotRenewer(msg.sender, owner(), renewer);
        uint64 expiry = _requireExpiring(tokenId);
        uint256 renewed = Math.max(expiry, block.timestamp) + duration;
        if (duration == 0 || renewed > block.timestamp + MAX_TERM) {
            revert InvalidRenewal(tokenId, duration, expiry, MAX_TERM);
        }

        // Effect
        _setExpiry(tokenId, renewed.toUint64());
    }

    /// @inheritdoc IERC5643
    /// @dev Holder or approved. Refused while a rental runs, which it would end.
    function cancelSubscription(uint256 tokenId) external payable {
        // Check
        uint64 expiry = _requireExpiring(tokenId);
        _requireAuthorized(ownerOf(tokenId), tokenId);
        if (expiry <= block.timestamp) revert LicenseExpired(tokenId, expiry, block.timestamp);
        Rental memory rental = _rentals[tokenId];
        if (_isRunning(rental)) revert RentalRunning(tokenId, rental.renter, rental.expires);

        // Effect
        _setExpiry(tokenId, block.timestamp.toUint64());
    }

    /// @inheritdoc IERC5643
    function expiresAt(uint256 tokenId) external view returns (uint64) {
        _requireOwned(tokenId);
        return _expiryOf(tokenId);
    }

    /// @inheritdoc IERC5643
    function isRenewable(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return TERM != 0;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        OWNER
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeLicense
    function setMinter(address newMinter) external onlyOwner {
        // Effect
        emit MinterSet(_minting.minter, newMinter);
        _minting.minter = newMinter;
    }

    /// @inheritdoc INodeLicense
    function setRoyalty(address receiver, uint16 bps) external onlyOwner {
        _setRoyalty(receiver, bps);
    }

    /// @inheritdoc INodeLicense
    function shortenLock(uint64 newLockedUntil) external onlyOwner {
        // Check
        if (newLockedUntil >= lockedUntil) revert LockNotShortened(lockedUntil, newLockedUntil);

        // Effect
        lockedUntil = newLockedUntil;
        emit TransferLockSet(newLockedUntil);
        // An empty collection has no range of ids.
        if (_minting.supply != 0) emit BatchMetadataUpdate(1, _minting.supply);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        VIEWS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeLicense
    function minter() external view returns (address) {
        return _minting.minter;
    }

    /// @inheritdoc INodeLicense
    function totalSupply() external view returns (uint256) {
        return _minting.supply;
    }

    /// @inheritdoc INodeLicense
    function maxSupply() external view returns (uint256) {
        return MAX_SUPPLY;
    }

    /// @inheritdoc INodeLicense
    function term() external view returns (uint64) {
        return TERM;
    }

    /// @inheritdoc IERC2981
    /// @dev Rounded down.
    function royaltyInfo(
        uint256,
        uint256 salePrice
    ) external view returns (address receiver, uint256 amount) {
        Royalty memory royalty = _royalty;
        return (royalty.receiver, Math.mulDiv(salePrice, royalty.bps, 10_000));
    }

    /// @inheritdoc ERC721
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        Rental memory rental = _rentals[tokenId];
        bool running = _isRunning(rental);
        return LicenseMetadata.uri(
            LicenseMetadata.Facts({
                name: name(),
                tokenId: tokenId,
                renter: running ? rental.renter : address(0),
                rentedUntil: rental.expires,
                expiresAt: _expiryOf(tokenId),
                lockedUntil: lockedUntil,
                timestamp: block.timestamp.toUint64()
            })
        );
    }

    /// @inheritdoc ERC721
    function supportsInterface(bytes4 interfaceId) public view override(ERC721, IERC165) returns (bool) {
        // Without a term nothing expires, so the collection does not claim that something does.
        if (interfaceId == type(IERC5643).interfaceId) return TERM != 0;
        return interfaceId == type(IERC4907).interfaceId || interfaceId == type(IERC2981).interfaceId
            || interfaceId == ERC4906_ID || super.supportsInterface(interfaceId);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Without a call to the receiver, so minting can neither be reentered nor blocked.
    function _mintNext(address to, uint256 count) private returns (uint256 firstTokenId) {
        // Check
        Minting memory minting = _minting;
        if (msg.sender != minting.minter) revert NotMinter(msg.sender, minting.minter);
        if (count == 0 || count > MAX_BATCH) revert InvalidBatch(count, MAX_BATCH);
        uint256 supply = minting.supply + count;
        if (MAX_SUPPLY != 0 && supply > MAX_SUPPLY) revert SupplyExceeded(count, minting.supply, MAX_SUPPLY);
        if (to == address(0)) revert ERC721InvalidReceiver(to);

        // Effect
        firstTokenId = uint256(minting.supply) + 1;
        if (count == 1 && TERM == 0) {
            // A slot of its own costs less than a checkpoint.
            _mint(to, firstTokenId);
        } else {
            // A count of at most MAX_BATCH.
            // forge-lint: disable-next-line(unsafe-typecast)
            _increaseBalance(to, uint128(count));
            _batches.push(supply.toUint48(), uint208(uint160(to)) << 48 | block.timestamp.toUint48());
            for (uint256 tokenId = firstTokenId; tokenId <= supply;) {
                emit Transfer(address(0), to, tokenId);
                if (TERM != 0) emit SubscriptionUpdate(tokenId, block.timestamp.toUint48() + TERM);
                unchecked {
                    ++tokenId;
                }
            }
        }
        _minting.supply = supply.toUint48();
    }

    /// @dev The holder in the license's own slot, else that of its batch.
    function _ownerOf(uint256 tokenId) internal view override returns (address holder) {
        holder = super._ownerOf(tokenId);
        if (holder == address(0) && tokenId != 0 && tokenId <= _minting.supply) {
            holder = address(uint160(_batchOf(tokenId) >> 48));
        }
    }

    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        // Check: after, since the holder before is known only now.
        if (from != address(0) && block.timestamp < FIRST_LOCKED_UNTIL && block.timestamp < lockedUntil) {
            revert TransferLocked(tokenId, lockedUntil, block.timestamp);
        }
    }

    function _setRoyalty(address receiver, uint16 bps) private {
        // Check
        if (bps > MAX_ROYALTY_BPS || (receiver == address(0)) != (bps == 0)) {
            revert InvalidRoyalty(receiver, bps, MAX_ROYALTY_BPS);
        }

        // Effect
        _royalty = Royalty(receiver, bps);
        emit RoyaltySet(receiver, bps);
    }

    function _setExpiry(uint256 tokenId, uint64 expiry) private {
        _expiries[tokenId] = expiry;
        emit SubscriptionUpdate(tokenId, expiry);
        emit MetadataUpdate(tokenId);
    }

    /// @dev The record of an existing license's batch; only for ids without a slot of their own, or in
    /// a collection with a term, where every mint is a batch.
    function _batchOf(uint256 tokenId) private view returns (uint208) {
        return _batches.lowerLookup(tokenId.toUint48());
    }

    function _expiryOf(uint256 tokenId) private view returns (uint64) {
        if (TERM == 0) return 0;
        uint64 changed = _expiries[tokenId];
        return changed != 0 ? changed : uint48(_batchOf(tokenId)) + TERM;
    }

    function _isRunning(Rental memory rental) private view returns (bool) {
        return rental.renter != address(0) && rental.expires >= block.timestamp;
    }

    function _requireRentable(uint256 tokenId, uint64 expires) private view {
        if (expires < block.timestamp) revert RentalOver(tokenId, expires, block.timestamp);
        uint64 expiry = _expiryOf(tokenId);
        if (expiry != 0 && expires >= expiry) revert RentalBeyondExpiry(tokenId, expires, expiry);
    }

    /// @dev What both functions of ERC-5643 refuse; the standard makes them payable.
    function _requireExpiring(uint256 tokenId) private view returns (uint64) {
        if (msg.value != 0) revert UnexpectedPayment(msg.sender, msg.value);
        _requireOwned(tokenId);
        if (TERM == 0) revert NeverExpires(tokenId);
        return _expiryOf(tokenId);
    }

    function _requireAuthorized(address holder, uint256 tokenId) private view {
        if (!_isAuthorized(holder, msg.sender, tokenId)) {
            revert NotHolderOrApproved(tokenId, msg.sender, holder);
        }
    }

    function _requirePlain(string memory text) private pure {
        bytes memory characters = bytes(text);
        bool plain = characters.length != 0 && characters.length <= MAX_TEXT_LENGTH;
        for (uint256 i; plain && i < characters.length; ++i) {
            bytes1 c = characters[i];
            plain = c >= 0x20 && c <= 0x7e && c != '"' && c != "\\" && c != "<" && c != ">" && c != "&";
        }
        if (!plain) revert InvalidText(text);
    }
}
