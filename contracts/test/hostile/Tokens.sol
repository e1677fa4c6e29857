// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev An ERC-20 that anyone mints, of which the tests below make bad ones.
contract PlainToken is ERC20 {
    uint8 private immutable DECIMALS;

    constructor(uint8 decimals_) ERC20("Plain", "PLN") {
        DECIMALS = decimals_;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function decimals() public view override returns (uint8) {
        return DECIMALS;
    }
}

/// @dev Burns a tenth of what is moved: the recipient gets less than was sent.
contract FeeToken is PlainToken(18) {
    function _update(address from, address to, uint256 amount) internal override {
        if (from != address(0) && to != address(0)) {
            super._update(from, address(0), amount / 10);
            amount -= amount / 10;
        }
        super._update(from, to, amount);
    }
}

/// @dev Takes a tenth from the sender on top of what is moved.
contract SurchargeToken is PlainToken(18) {
    function _update(address from, address to, uint256 amount) internal override {
        if (from != address(0) && to != address(0)) super._update(from, address(0), amount / 10);
        super._update(from, to, amount);
    }
}

/// @dev Shrinks or grows every balance by a factor in thousandths.
contract RebasingToken is PlainToken(18) {
    uint256 public factor = 1000;

    function rebase(uint256 newFactor) external {
        factor = newFactor;
    }

    function balanceOf(address account) public view override returns (uint256) {
        return super.balanceOf(account) * factor / 1000;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, (amount * 1000 + factor - 1) / factor);
    }
}

/// @dev Answers false instead of reverting, and moves nothing, once told so.
contract FalseToken is PlainToken(18) {
    bool public refusing;

    function refuse(bool refuse_) external {
        refusing = refuse_;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !refusing && super.transfer(to, amount);
    }
}

/// @dev Answers nothing, as USDT does.
contract SilentToken {
    mapping(address account => uint256) public balanceOf;

    error TooLittle(uint256 balance, uint256 amount);

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        if (balanceOf[msg.sender] < amount) revert TooLittle(balanceOf[msg.sender], amount);
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Refuses to move nothing.
contract NoZeroToken is PlainToken(18) {
    error NothingToMove();

    function _update(address from, address to, uint256 amount) internal override {
        if (amount == 0) revert NothingToMove();
        super._update(from, to, amount);
    }
}

/// @dev Refuses to move to blocked accounts, as USDC does.
contract BlockingToken is PlainToken(6) {
    mapping(address account => bool) public blocked;

    error Blocked(address account);

    function setBlocked(address account, bool blocked_) external {
        blocked[account] = blocked_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (blocked[to]) revert Blocked(to);
        super._update(from, to, amount);
    }
}

/// @dev Calls a hook of its own choosing on every transfer, as ERC-777 calls sender and receiver, and
/// keeps what the hook's call answered.
contract HookToken is PlainToken(18) {
    address private _target;
    bytes private _call;
    uint256 public calls;
    uint256 public refusals;
    bytes public lastRefusal;

    function setHook(address target, bytes calldata call) external {
        (_target, _call) = (target, call);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        address target = _target;
        if (target == address(0)) return;
        ++calls;
        (bool success, bytes memory reason) = target.call(_call);
        if (!success) (refusals, lastRefusal) = (refusals + 1, reason);
    }
}

/// @dev One ledger under two addresses, as a token has that was moved to a new contract and kept the old.
contract SharedToken is PlainToken(18) {
    SecondAddress public immutable SECOND = new SecondAddress(this);

    error NotSecond(address caller);

    function transferFor(address from, address to, uint256 amount) external {
        if (msg.sender != address(SECOND)) revert NotSecond(msg.sender);
        _transfer(from, to, amount);
    }
}

contract SecondAddress {
    SharedToken private immutable SHARED;

    constructor(SharedToken shared) {
        SHARED = shared;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        SHARED.transferFor(msg.sender, to, amount);
        return true;
    }
}
