// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {LicenseSale} from "../../src/LicenseSale.sol";
import {Order} from "../../src/interfaces/ILicenseSale.sol";

/// @dev How a token may differ from ERC-20 as one expects it.
enum Oddity {
    None,
    TakesAFee,
    AddsABonus,
    TakesFromTheReceiver,
    AnswersFalse,
    AnswersNothing,
    RevertsOnZero,
    CallsTheSender,
    CallsTheReceiver
}

interface ITokenHooks {
    function onToken() external;
}

/// @dev A token with one oddity, six decimals, and a blocklist.
contract OddToken is ERC20 {
    Oddity private _oddity;
    mapping(address account => bool) public blocked;

    error Blocked(address account);
    error NothingToTransfer();

    constructor(Oddity oddity) ERC20("Odd", "ODD") {
        _oddity = oddity;
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @dev As a rebasing token does.
    function burnFrom(address from, uint256 amount) external {
        _burn(from, amount);
    }

    function setBlocked(address account, bool flag) external {
        blocked[account] = flag;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (_oddity == Oddity.AnswersFalse) return false;
        super.transfer(to, amount);
        return _answer();
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (_oddity == Oddity.AnswersFalse) return false;
        super.transferFrom(from, to, amount);
        return _answer();
    }

    function _answer() private view returns (bool) {
        if (_oddity == Oddity.AnswersNothing) {
            assembly {
                return(0, 0)
            }
        }
        return true;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (from == address(0) || to == address(0)) return super._update(from, to, amount);
        if (blocked[from]) revert Blocked(from);
        if (blocked[to]) revert Blocked(to);
        if (_oddity == Oddity.RevertsOnZero && amount == 0) revert NothingToTransfer();
        if (_oddity == Oddity.CallsTheSender && from.code.length != 0) ITokenHooks(from).onToken();
        super._update(from, to, amount);
        if (_oddity == Oddity.CallsTheReceiver && to.code.length != 0) ITokenHooks(to).onToken();
        if (_oddity == Oddity.TakesAFee) _burn(to, 1);
        if (_oddity == Oddity.AddsABonus) _mint(to, 1);
        if (_oddity == Oddity.TakesFromTheReceiver) _burn(to, balanceOf(to));
    }
}

/// @dev Buys, and calls the sale again as soon as it gets coins or its token calls it. It keeps what
/// it was told, and refuses coins if it is to.
contract Reentrant is ITokenHooks {
    LicenseSale private immutable SALE;

    bytes private _again;
    bool private _refusing;
    bytes public refusal;

    error NoCoins();

    constructor(LicenseSale sale) {
        SALE = sale;
    }

    function prepare(bytes calldata again, bool refusing) external {
        (_again, _refusing) = (again, refusing);
        refusal = "not called";
    }

    function approve(ERC20 token) external {
        token.approve(address(SALE), type(uint256).max);
    }

    function buy(Order calldata order) external payable {
        SALE.buy{value: msg.value}(order);
    }

    function claimReward(address recipient) external {
        SALE.claimReward(recipient);
    }

    function withdrawProceeds(address recipient) external {
        SALE.withdrawProceeds(recipient);
    }

    function acceptOwnership() external {
        SALE.acceptOwnership();
    }

    receive() external payable {
        if (_refusing) revert NoCoins();
        _reenter();
    }

    function onToken() external {
        _reenter();
    }

    function _reenter() private {
        if (_again.length == 0) return;
        (bool success, bytes memory answer) = address(SALE).call(_again);
        refusal = success ? bytes("went through") : answer;
    }
}

/// @dev A collection that is not ours: minting calls the receiver back.
contract CallingCollection {
    function mintBatch(address to, uint256) external returns (uint256) {
        if (to.code.length != 0) ITokenHooks(to).onToken();
        return 1;
    }
}
