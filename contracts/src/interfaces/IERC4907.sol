// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title ERC-4907: rental NFT
/// @dev Interface id 0xad092b5c.
interface IERC4907 {
    /// @notice The user of a token changed, or the time its use ends.
    event UpdateUser(uint256 indexed tokenId, address indexed user, uint64 expires);

    /// @notice Sets the user of a token until `expires`; the zero address means no user.
    function setUser(uint256 tokenId, address user, uint64 expires) external;

    /// @notice The present user, or zero if there is none or its time is over.
    function userOf(uint256 tokenId) external view returns (address);

    /// @notice The last second of the last user's time; zero if there was none.
    function userExpires(uint256 tokenId) external view returns (uint256);
}
