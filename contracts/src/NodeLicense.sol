// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

import {IERC4907} from "./interfaces/IERC4907.sol";
import {INodeLicense} from "./interfaces/INodeLicense.sol";

/// @title NodeLicense
/// @notice See {INodeLicense}.
contract NodeLicense is INodeLicense, IERC4907, ERC721, Ownable2Step {
    /// @dev One slot.
    struct Rental {
        address renter;
        uint64 expires;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeLicense
    address public minter;

    /// @inheritdoc INodeLicense
    uint256 public totalSupply;

    /// @inheritdoc INodeLicense
    string public baseURI;

    mapping(uint256 tokenId => Rental) private _rentals;

    /*//////////////////////////////////////////////////////////////////////////
                                     CONSTRUCTOR
    //////////////////////////////////////////////////////////////////////////*/

    constructor(
        string memory name_,
        string memory symbol_,
        string memory baseURI_,
        address owner_,
        address minter_
    ) ERC721(name_, symbol_) Ownable(owner_) {
        minter = minter_;
        baseURI = baseURI_;
        emit MinterSet(address(0), minter_);
        emit BaseURISet(baseURI_);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       MINTING
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeLicense
    function mint(address to) external returns (uint256 tokenId) {
        // Check
        _requireMinter();

        // Effect: without a call to the receiver, so minting can neither be reentered nor blocked.
        tokenId = ++totalSupply;
        _mint(to, tokenId);
    }

    /// @inheritdoc INodeLicense
    function mintBatch(address to, uint256 count) external returns (uint256 firstTokenId) {
        // Check
        _requireMinter();
        if (count == 0) revert EmptyBatch(to);

        // Effect
        uint256 supply = totalSupply;
        firstTokenId = supply + 1;
        for (uint256 i; i < count; ++i) {
            _mint(to, firstTokenId + i);
        }
        totalSupply = supply + count;
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
            if (!_isAuthorized(holder, msg.sender, tokenId)) {
                revert NotHolderOrApproved(tokenId, msg.sender, holder);
            }
            if (running && (user != rental.renter || expires < rental.expires)) {
                revert RentalRunning(tokenId, rental.renter, rental.expires);
            }
            if (user != address(0) && expires < block.timestamp) {
                revert RentalOver(tokenId, expires, block.timestamp);
            }
        }

        // Effect: no user has no time either.
        if (user == address(0)) expires = 0;
        _rentals[tokenId] = Rental(user, expires);
        emit UpdateUser(tokenId, user, expires);
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
                                        OWNER
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeLicense
    function setMinter(address newMinter) external onlyOwner {
        // Effect
        emit MinterSet(minter, newMinter);
        minter = newMinter;
    }

    /// @inheritdoc INodeLicense
    function setBaseURI(string calldata newBaseURI) external onlyOwner {
        // Effect
        baseURI = newBaseURI;
        emit BaseURISet(newBaseURI);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc ERC721
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IERC4907).interfaceId || super.supportsInterface(interfaceId);
    }

    function _baseURI() internal view override returns (string memory) {
        return baseURI;
    }

    function _isRunning(Rental memory rental) private view returns (bool) {
        return rental.renter != address(0) && rental.expires >= block.timestamp;
    }

    function _requireMinter() private view {
        if (msg.sender != minter) revert NotMinter(msg.sender, minter);
    }
}
