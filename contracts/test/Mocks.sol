// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IRewardDistributor} from "../src/interfaces/IRewardDistributor.sol";

/// @dev A contract wallet that signs with one key.
contract Wallet1271 is IERC1271 {
    address private immutable KEY;

    constructor(address key) {
        KEY = key;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address recovered,,) = ECDSA.tryRecoverCalldata(hash, signature);
        return recovered == KEY ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @dev A token that calls the sender of a transfer back, as ERC-777 does.
contract ReentrantToken is ERC20 {
    constructor() ERC20("Reentrant", "RE") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (to.code.length != 0 && from.code.length != 0) ReentrantClaimer(to).tokensReceived();
    }
}

/// @dev Claims again while it is being paid, and keeps what it was told.
contract ReentrantClaimer {
    IRewardDistributor private immutable DISTRIBUTOR;

    bytes32 private _root;
    uint256 private _cumulative;
    bytes32[] private _proof;
    bytes public refusal;

    constructor(IRewardDistributor distributor) {
        DISTRIBUTOR = distributor;
    }

    function claim(bytes32 root, uint256 cumulative, bytes32[] calldata proof) external {
        (_root, _cumulative, _proof) = (root, cumulative, proof);
        DISTRIBUTOR.claim(root, cumulative, proof, address(this));
    }

    function tokensReceived() external {
        try DISTRIBUTOR.claim(_root, _cumulative, _proof, address(this)) {}
        catch (bytes memory reason) {
            refusal = reason;
        }
    }
}

/// @dev Answers yes to every question.
contract YesCollection {
    fallback() external {
        assembly {
            mstore(0, 1)
            return(0, 0x20)
        }
    }
}

/// @dev An ERC-721 whose owner is whoever it is told to be.
contract ChangingCollection is ERC721 {
    address public owner;

    constructor(address owner_) ERC721("Changing", "CHG") {
        owner = owner_;
    }

    function setOwner(address owner_) external {
        owner = owner_;
    }
}

/// @dev An ERC-721 whose owner() answers any word, or nothing.
contract OddCollection is ERC721 {
    uint256 private immutable WORD;

    constructor(uint256 word) ERC721("Odd", "ODD") {
        WORD = word;
    }

    fallback() external {
        uint256 word = WORD;
        assembly {
            mstore(0, word)
            return(0, mul(0x20, iszero(eq(word, 1))))
        }
    }
}
