// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC721 as OpenZeppelin} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721Burnable} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721Burnable.sol";
import {ERC721Base as Thirdweb} from "@thirdweb-dev/contracts/base/ERC721Base.sol";
import {ERC721A} from "erc721a/contracts/ERC721A.sol";
import {ERC721 as Solady} from "solady/src/tokens/ERC721.sol";
import {ERC721 as Solmate} from "solmate/src/tokens/ERC721.sol";

// Each mints `count` more licenses to an account by `give`, as its own kind does it.

contract OfERC721A is ERC721A("ERC-721A", "A") {
    function give(address to, uint256 count) external {
        _mint(to, count);
    }
}

contract OfERC2309 is ERC721A("ERC-2309", "R") {
    constructor(address to, uint256 count) {
        _mintERC2309(to, count);
    }
}

contract OfThirdweb is Thirdweb(msg.sender, "thirdweb", "T", msg.sender, 0) {
    function give(address to, uint256 count) external {
        _safeMint(to, count);
    }
}

contract OfSolmate is Solmate("Solmate", "M") {
    uint256 internal _last;

    function give(address to, uint256 count) external {
        for (uint256 i; i < count; i++) {
            _mint(to, ++_last);
        }
    }

    function tokenURI(uint256) public pure override returns (string memory) {
        return "";
    }
}

contract OfSolady is Solady {
    uint256 internal _last;

    function give(address to, uint256 count) external {
        for (uint256 i; i < count; i++) {
            _mint(to, ++_last);
        }
    }

    function name() public pure override returns (string memory) {
        return "Solady";
    }

    function symbol() public pure override returns (string memory) {
        return "D";
    }

    function tokenURI(uint256) public pure override returns (string memory) {
        return "";
    }
}

contract Soulbound is OpenZeppelin("Soulbound", "S") {
    uint256 internal _last;

    function give(address to, uint256 count) external {
        for (uint256 i; i < count; i++) {
            _mint(to, ++_last);
        }
    }

    function _update(address to, uint256 id, address caller) internal override returns (address from) {
        from = super._update(to, id, caller);
        require(from == address(0), "soulbound");
    }
}

contract Burnable is ERC721Burnable {
    uint256 internal _last;

    constructor() OpenZeppelin("Burnable", "B") {}

    function give(address to, uint256 count) external {
        for (uint256 i; i < count; i++) {
            _mint(to, ++_last);
        }
    }
}
