// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title DevToken
/// @notice Reward token for dev chains and tests: a plain ERC-20 its owner mints at will.
contract DevToken is ERC20, Ownable {
    constructor(
        string memory name_,
        string memory symbol_,
        address owner_
    ) ERC20(name_, symbol_) Ownable(owner_) {}

    /// @notice Mints `amount` to `to`. Owner.
    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }
}
