// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ledgers} from "../../src/Ledger.sol";
import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {IProjectRegistry, ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {Entry, Head} from "../../src/interfaces/IRewardDistributor.sol";

/// @dev The distributor in any state: the proofs begin from every state that keeps the invariants, so
/// they hold after any number of calls.
contract DistributorHarness is RewardDistributor {
    constructor(
        OwnerOfAll registry_,
        ProjectParams memory params
    ) RewardDistributor(IProjectRegistry(address(registry_)), params) {}

    function setLedger(uint112 activeTotal_, uint112 paid_, uint32 pausedUntil) external {
        _ledger = Ledgers.pack(activeTotal_, paid_, pausedUntil);
    }

    function setEntry(bytes32 root, Entry calldata entry) external {
        _commits[root] = entry;
    }

    function setClaimed(address account, uint256 cumulative) external {
        _claimants[account].claimed = cumulative;
    }

    function setHead(Head calldata last) external {
        _head = StoredHead(last.commitHash, last.total, last.activatesAt, uint32(last.epoch), last.revision);
    }

    function setQuota(uint128 quota) external {
        _quota = quota;
    }

    function rootOf(
        address account,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external pure returns (bytes32) {
        return _rootOf(account, cumulative, proof);
    }
}

/// @dev The least of an ERC-20, with balances that the proofs may set.
contract PlainBalances {
    mapping(address account => uint256) public balanceOf;

    error TooLittle(uint256 balance, uint256 amount);

    function setBalance(address account, uint256 balance) external {
        balanceOf[account] = balance;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        uint256 balance = balanceOf[msg.sender];
        if (balance < amount) revert TooLittle(balance, amount);
        balanceOf[msg.sender] = balance - amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// @dev All that the distributor asks of its registry.
contract OwnerOfAll {
    address public immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function projectOwner(address) external view returns (address) {
        return OWNER;
    }
}

/// @dev A token that does anything to the balance of the project's: to call it is to set that.
contract TouchesAnother {
    PlainBalances private immutable OTHER;
    address private immutable HOLDER;
    uint256 private _left;

    constructor(PlainBalances other, address holder) {
        (OTHER, HOLDER) = (other, holder);
    }

    function setLeft(uint256 left) external {
        _left = left;
    }

    function transfer(address, uint256) external returns (bool) {
        OTHER.setBalance(HOLDER, _left);
        return true;
    }
}

/// @dev A signer that signs everything: what is proven holds whatever the signer signs.
contract SignsEverything {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}
