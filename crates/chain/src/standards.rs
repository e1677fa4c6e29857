//! The standard interfaces that any project's or wallet's contract may have: not ours, so not
//! generated from our sources. The numbers are those of <https://eips.ethereum.org>.
//!
//! # Examples
//!
//! ```
//! use alloy::sol_types::SolCall as _;
//! use nodesys_chain::standards::{IERC721, IERC1271};
//!
//! // ERC-1271's magic value is the function's own selector.
//! assert_eq!(IERC1271::isValidSignatureCall::SELECTOR, [0x16, 0x26, 0xba, 0x7e]);
//! assert_eq!(IERC721::ownerOfCall::SIGNATURE, "ownerOf(uint256)");
//! ```

alloy::sol! {
    /// ERC-721.
    interface IERC721 {
        event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
        function ownerOf(uint256 tokenId) external view returns (address);
    }

    /// ERC-2309.
    interface IERC2309 {
        event ConsecutiveTransfer(uint256 indexed fromTokenId, uint256 toTokenId, address indexed fromAddress, address indexed toAddress);
    }

    /// ERC-721's metadata.
    interface IERC721Metadata {
        function symbol() external view returns (string memory);
    }

    /// ERC-4907.
    interface IERC4907 {
        event UpdateUser(uint256 indexed tokenId, address indexed user, uint64 expires);
        function userOf(uint256 tokenId) external view returns (address);
        function userExpires(uint256 tokenId) external view returns (uint256);
    }

    /// ERC-5643.
    interface IERC5643 {
        function expiresAt(uint256 tokenId) external view returns (uint64);
    }

    /// ERC-1271.
    interface IERC1271 {
        function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
    }

    /// delegate.xyz, version 2.
    interface IDelegateRegistry {
        event DelegateContract(address indexed from, address indexed to, address indexed contract_, bytes32 rights, bool enable);
        event DelegateERC721(address indexed from, address indexed to, address indexed contract_, uint256 tokenId, bytes32 rights, bool enable);
        function checkDelegateForERC721(address to, address from, address contract_, uint256 tokenId, bytes32 rights) external view returns (bool);
    }

    /// Multicall3.
    interface IMulticall3 {
        struct Call3 { address target; bool allowFailure; bytes callData; }
        struct Result { bool success; bytes returnData; }
        function aggregate3(Call3[] calldata calls) external payable returns (Result[] memory returnData);
    }

    /// ERC-20.
    interface IERC20 {
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
    }

    /// ERC-20's metadata.
    interface IERC20Metadata {
        function symbol() external view returns (string memory);
        function decimals() external view returns (uint8);
    }
}
