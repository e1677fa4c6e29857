// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title License collection of one workload
/// @notice ERC-721 whose tokens are licenses, with ERC-4907 rental. Here a rental binds the holder:
/// while it runs (up to and including the second `userExpires`) the holder can neither end nor
/// replace it, and it survives a transfer. Only the renter can end it early.
interface INodeLicense {
    /*//////////////////////////////////////////////////////////////////////////
                                       EVENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The account that may mint changed.
    event MinterSet(address indexed previousMinter, address indexed newMinter);

    /// @notice The base of all token URIs changed.
    event BaseURISet(string baseURI);

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Only the minter may do this.
    error NotMinter(address caller, address minter);

    /// @notice A batch has at least one license.
    error EmptyBatch(address to);

    /// @notice The caller is neither holder nor approved for the license.
    error NotHolderOrApproved(uint256 tokenId, address caller, address holder);

    /// @notice The rental runs until `expires`; only the renter can end it before, and the holder
    /// can only extend it for the same renter.
    error RentalRunning(uint256 tokenId, address renter, uint64 expires);

    /// @notice The rental would be over before it begins.
    error RentalOver(uint256 tokenId, uint64 expires, uint256 timestamp);

    /*//////////////////////////////////////////////////////////////////////////
                                      FUNCTIONS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Mints the next license to `to`. Minter.
    function mint(address to) external returns (uint256 tokenId);

    /// @notice Mints the next `count` licenses to `to`. Minter.
    /// @return firstTokenId The others follow it in sequence.
    function mintBatch(address to, uint256 count) external returns (uint256 firstTokenId);

    /// @notice Sets the account that may mint; zero stops minting. Owner.
    function setMinter(address newMinter) external;

    /// @notice Sets the base of all token URIs. Owner.
    function setBaseURI(string calldata newBaseURI) external;

    /// @notice The account that may mint.
    function minter() external view returns (address);

    /// @notice How many licenses exist. Their ids are 1 to this number; none is ever burned.
    function totalSupply() external view returns (uint256);

    /// @notice The base of all token URIs.
    function baseURI() external view returns (string memory);
}
