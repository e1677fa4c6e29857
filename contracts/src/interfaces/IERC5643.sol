// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title ERC-5643: subscription NFT
/// @dev Interface id 0x8c65f84d.
interface IERC5643 {
    /// @notice The time at which a token expires changed.
    event SubscriptionUpdate(uint256 indexed tokenId, uint64 expiration);

    /// @notice Lets a token expire `duration` seconds later than now, or than it would.
    function renewSubscription(uint256 tokenId, uint64 duration) external payable;

    /// @notice Lets a token expire at once.
    function cancelSubscription(uint256 tokenId) external payable;

    /// @notice When a token expires; zero if it never does.
    function expiresAt(uint256 tokenId) external view returns (uint64);

    /// @notice Whether a token can be renewed.
    function isRenewable(uint256 tokenId) external view returns (bool);
}
