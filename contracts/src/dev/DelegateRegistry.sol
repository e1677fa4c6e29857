// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title DelegateRegistry
/// @notice For dev chains only: the part of delegate.xyz v2 this project uses, with its signatures
/// and rules. Its runtime code is put at the canonical address of the real registry, so it has
/// neither constructor nor immutables. Zero rights stand for all rights.
contract DelegateRegistry {
    /// @notice `from` let `to` act, or no longer act, for all it has.
    event DelegateAll(address indexed from, address indexed to, bytes32 rights, bool enable);

    /// @notice `from` let `to` act, or no longer act, for all it has in the contract.
    event DelegateContract(
        address indexed from, address indexed to, address indexed contract_, bytes32 rights, bool enable
    );

    /// @notice `from` let `to` act, or no longer act, for the token.
    event DelegateERC721(
        address indexed from,
        address indexed to,
        address indexed contract_,
        uint256 tokenId,
        bytes32 rights,
        bool enable
    );

    mapping(bytes32 delegation => bool enabled) private _enabled;

    /// @notice Delegates all the caller has.
    function delegateAll(address to, bytes32 rights, bool enable) external payable returns (bytes32 hash) {
        hash = _hashAll(msg.sender, rights, to);
        _enabled[hash] = enable;
        emit DelegateAll(msg.sender, to, rights, enable);
    }

    /// @notice Delegates all the caller has in one contract.
    function delegateContract(
        address to,
        address contract_,
        bytes32 rights,
        bool enable
    ) external payable returns (bytes32 hash) {
        hash = _hashContract(msg.sender, rights, to, contract_);
        _enabled[hash] = enable;
        emit DelegateContract(msg.sender, to, contract_, rights, enable);
    }

    /// @notice Delegates one token.
    function delegateERC721(
        address to,
        address contract_,
        uint256 tokenId,
        bytes32 rights,
        bool enable
    ) external payable returns (bytes32 hash) {
        hash = _hashToken(msg.sender, rights, to, contract_, tokenId);
        _enabled[hash] = enable;
        emit DelegateERC721(msg.sender, to, contract_, tokenId, rights, enable);
    }

    /// @notice Whether `to` may act for `from` on the token with the rights, by a delegation of the
    /// token, its contract or everything, with these rights or with all.
    function checkDelegateForERC721(
        address to,
        address from,
        address contract_,
        uint256 tokenId,
        bytes32 rights
    ) external view returns (bool valid) {
        if (from == address(0)) return false;
        valid = _covers(from, "", to, contract_, tokenId);
        if (!valid && rights != "") valid = _covers(from, rights, to, contract_, tokenId);
    }

    function _covers(
        address from,
        bytes32 rights,
        address to,
        address contract_,
        uint256 tokenId
    ) private view returns (bool) {
        return _enabled[_hashAll(from, rights, to)] || _enabled[_hashContract(from, rights, to, contract_)]
            || _enabled[_hashToken(from, rights, to, contract_, tokenId)];
    }

    function _hashAll(address from, bytes32 rights, address to) private pure returns (bytes32) {
        return keccak256(abi.encode("all", from, rights, to));
    }

    function _hashContract(
        address from,
        bytes32 rights,
        address to,
        address contract_
    ) private pure returns (bytes32) {
        return keccak256(abi.encode("contract", from, rights, to, contract_));
    }

    function _hashToken(
        address from,
        bytes32 rights,
        address to,
        address contract_,
        uint256 tokenId
    ) private pure returns (bytes32) {
        return keccak256(abi.encode("token", from, rights, to, contract_, tokenId));
    }
}
