// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {LicenseSale} from "../../src/LicenseSale.sol";
import {NodeLicense} from "../../src/NodeLicense.sol";
import {DevToken} from "../../src/dev/DevToken.sol";
import {Code, Order, SaleState, Tier} from "../../src/interfaces/ILicenseSale.sol";
import {MerkleTree} from "../MerkleTree.sol";
import {SaleBase} from "./SaleBase.sol";

/// @dev Does what buyers, referrers, owner and time can do to one sale, and keeps its own books. What
/// would be refused is not done; where a refusal is the point, it is tried and must fail.
contract SaleHandler is Test {
    uint256 private constant ACCOUNTS = 4;

    LicenseSale public immutable SALE;
    NodeLicense public immutable LICENSES;
    address private immutable OWNER;
    DevToken private immutable TOKEN;

    /// @dev The allowance of account i is ALLOWANCES[i] while the allowlist is on.
    uint256[ACCOUNTS] private ALLOWANCES = [uint256(3), 9, 20, 60];
    string[3] private CODES = ["early", "dave", "erin"];

    uint256 public received;
    uint256 public refunded;
    uint256 public withdrawn;
    uint256 public grossInAll;
    uint256 public discountInAll;
    mapping(address account => uint256) public boughtBy;
    mapping(address account => uint256) public countedBy;
    mapping(address account => uint256) public earnedBy;
    mapping(address account => uint256) public claimedBy;
    mapping(address account => uint256) public mintedTo;
    mapping(bytes32 codeHash => uint256) public codeLeft;

    constructor(LicenseSale sale, NodeLicense licenses, address owner, DevToken token) {
        (SALE, LICENSES, OWNER, TOKEN) = (sale, licenses, owner, token);
    }

    function accountOf(uint256 i) public pure returns (address) {
        // A small number.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x2000 + i % ACCOUNTS));
    }

    function isNative() private view returns (bool) {
        return address(TOKEN) == address(0);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        BUYERS
    //////////////////////////////////////////////////////////////////////////*/

    function buy(uint256 who, uint256 count, uint256 codeSeed, uint256 tip) external {
        SaleState memory state = SALE.state();
        address buyer = accountOf(who);
        uint256 most = state.supply - state.sold;
        uint256 bought = SALE.bought(buyer);
        if (state.walletCap != 0) most = min(most, state.walletCap - bought);
        if (state.allowlistRoot != 0) {
            uint256 allowance = ALLOWANCES[who % ACCOUNTS];
            most = min(most, allowance > bought ? allowance - bought : 0);
        }
        if (most == 0 || state.paused) return;
        if (vm.getBlockTimestamp() < state.startsAt || vm.getBlockTimestamp() >= state.endsAt) return;

        Order memory order;
        order.recipient = accountOf(who % ACCOUNTS + codeSeed / 8 % 2);
        order.count = bound(count, 1, min(most, 8));
        (order.allowance, order.proof) = entryOf(who % ACCOUNTS);
        Code memory code;
        if (codeSeed % 4 != 3) {
            order.code = CODES[codeSeed % 4];
            code = SALE.codeOf(keccak256(bytes(order.code)));
            bool mine = code.referrer == buyer || code.referrer == order.recipient;
            if (order.count > code.licensesLeft || (mine && code.referrer != address(0))) {
                order.code = "";
                delete code;
            }
        }
        place(buyer, order, code, bound(tip, 0, 1 ether), state.sold);
    }

    function place(address buyer, Order memory order, Code memory code, uint256 tip, uint256 sold) private {
        uint256 gross = priceOf(sold, sold + order.count);
        uint256 discount = gross * code.discountBps / 10_000;
        uint256 cost = gross - discount;
        order.maxCost = cost;
        pay(buyer, order, cost, tip);

        grossInAll += gross;
        discountInAll += discount;
        boughtBy[buyer] += order.count;
        mintedTo[order.recipient] += order.count;
        earnedBy[code.referrer] += cost * code.rewardBps / 10_000;
        if (bytes(order.code).length != 0) codeLeft[keccak256(bytes(order.code))] -= order.count;

        SaleState memory state = SALE.state();
        if (state.walletCap != 0 || state.allowlistRoot != 0) countedBy[buyer] += order.count;
        if (state.walletCap != 0) assertLe(SALE.bought(buyer), state.walletCap);
        if (state.allowlistRoot != 0) assertLe(SALE.bought(buyer), order.allowance);
    }

    function pay(address buyer, Order memory order, uint256 cost, uint256 tip) private {
        if (isNative()) {
            vm.deal(buyer, cost + tip);
            uint256 before = address(SALE).balance;
            vm.prank(buyer);
            SALE.buy{value: cost + tip}(order);
            received += cost + tip;
            refunded += buyer.balance;
            assertEq(buyer.balance, tip);
            assertEq(address(SALE).balance, before + cost);
        } else {
            TOKEN.mint(buyer, cost);
            uint256 before = TOKEN.balanceOf(buyer);
            vm.prank(buyer);
            TOKEN.approve(address(SALE), cost);
            vm.prank(buyer);
            SALE.buy(order);
            received += before - TOKEN.balanceOf(buyer);
            assertEq(before - TOKEN.balanceOf(buyer), cost);
        }
    }

    /// @dev More than a wallet may, or than there is, is never sold.
    function buyTooMany(uint256 who) external {
        SaleState memory state = SALE.state();
        address buyer = accountOf(who);
        Order memory order;
        order.recipient = buyer;
        order.maxCost = type(uint256).max;
        (order.allowance, order.proof) = entryOf(who % ACCOUNTS);
        uint256 most = state.supply - state.sold;
        if (state.walletCap != 0) most = min(most, state.walletCap - SALE.bought(buyer));
        if (state.allowlistRoot != 0 && order.allowance >= SALE.bought(buyer)) {
            most = min(most, order.allowance - SALE.bought(buyer));
        }
        order.count = most + 1;
        mustFail(buyer, 1000 ether, abi.encodeCall(LicenseSale.buy, (order)));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                    REFERRERS AND OWNER
    //////////////////////////////////////////////////////////////////////////*/

    function claimReward(uint256 who, uint256 to) external {
        address referrer = accountOf(who);
        address recipient = accountOf(to);
        uint256 owed = earnedBy[referrer] - claimedBy[referrer];
        if (owed != 0) {
            uint256 before = balanceOf(recipient);
            vm.prank(referrer);
            assertEq(SALE.claimReward(recipient), owed);
            assertEq(balanceOf(recipient) - before, owed);
            claimedBy[referrer] += owed;
        }
        mustFail(referrer, 0, abi.encodeCall(LicenseSale.claimReward, (recipient)));
    }

    function withdrawProceeds(uint256 seed) external {
        if (seed % 3 != 0) return;
        if (SALE.proceeds() != 0) {
            uint256 before = balanceOf(OWNER);
            vm.prank(OWNER);
            SALE.withdrawProceeds(OWNER);
            withdrawn += balanceOf(OWNER) - before;
        }
        mustFail(OWNER, 0, abi.encodeCall(LicenseSale.withdrawProceeds, (OWNER)));
        mustFail(accountOf(seed), 0, abi.encodeCall(LicenseSale.withdrawProceeds, (OWNER)));
    }

    function setCode(uint256 which, uint256 seed) external {
        which = which % 3;
        Code memory code;
        code.discountBps = uint16(bound(seed, 1, 5000));
        if (which != 0) {
            code.referrer = accountOf(which);
            code.rewardBps = uint16(bound(seed >> 16, 1, 3000));
        }
        code.licensesLeft = uint32(bound(seed >> 32, 0, 29));
        bytes32 hash = keccak256(bytes(CODES[which]));
        vm.prank(OWNER);
        SALE.setCode(hash, code);
        codeLeft[hash] = code.licensesLeft;
    }

    function setAllowlist(bool on) external {
        vm.prank(OWNER);
        SALE.setAllowlist(on ? rootOf() : bytes32(0));
    }

    function raiseWalletCap(uint256 by) external {
        uint32 cap = SALE.state().walletCap;
        if (cap == 0) return;
        uint32 raised = by % 16 == 0 ? 0 : cap + uint32(bound(by, 1, 4));
        vm.prank(OWNER);
        SALE.raiseWalletCap(raised);
        mustFail(OWNER, 0, abi.encodeCall(LicenseSale.raiseWalletCap, (cap)));
    }

    function pauseOrResume(uint256 seed) external {
        bool paused = SALE.state().paused;
        if (!paused && seed % 4 != 0) return;
        vm.prank(OWNER);
        if (paused) SALE.resume();
        else SALE.pause();
    }

    function moveTimeAndWindow(uint256 time, uint256 length) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 5 days));
        if (length % 2 == 0 && vm.getBlockTimestamp() < SALE.state().endsAt) return;
        uint64 now_ = uint64(vm.getBlockTimestamp());
        vm.prank(OWNER);
        SALE.setWindow(now_ - 1 days, now_ + uint64(bound(length, 1, 20 days)));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        HELPERS
    //////////////////////////////////////////////////////////////////////////*/

    function mustFail(address caller, uint256 coins, bytes memory data) private {
        if (!isNative()) coins = 0;
        vm.deal(caller, caller.balance + coins);
        vm.prank(caller);
        (bool success,) = address(SALE).call{value: coins}(data);
        assertFalse(success);
        vm.deal(caller, caller.balance - coins);
    }

    function balanceOf(address account) private view returns (uint256) {
        return isNative() ? account.balance : TOKEN.balanceOf(account);
    }

    function leaves() private view returns (bytes32[] memory list) {
        list = new bytes32[](ACCOUNTS);
        for (uint256 i; i < ACCOUNTS; ++i) {
            list[i] = MerkleTree.leaf(accountOf(i), ALLOWANCES[i]);
        }
    }

    function rootOf() private view returns (bytes32) {
        return MerkleTree.build(leaves())[0];
    }

    function entryOf(uint256 i) private view returns (uint256 allowance, bytes32[] memory proof) {
        allowance = ALLOWANCES[i];
        proof = MerkleTree.proof(MerkleTree.build(leaves()), MerkleTree.leaf(accountOf(i), allowance));
    }

    /// @dev License by license.
    function priceOf(uint256 from, uint256 to) public view returns (uint256 sum) {
        Tier[] memory tiers = SALE.tiers();
        for (uint256 i = from; i < to; ++i) {
            uint256 left = i;
            uint256 tier;
            while (left >= tiers[tier].count) left -= tiers[tier++].count;
            sum += tiers[tier].price;
        }
    }

    function min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function codeHash(uint256 i) external view returns (bytes32) {
        return keccak256(bytes(CODES[i]));
    }
}

/// @dev The same handler over a sale in the native coin and one in a token, at once.
contract SaleInvariantTest is SaleBase {
    SaleHandler[2] private handlers;

    function setUp() public override {
        super.setUp();
        (licenses, sale) = newSale(address(0), 12, 0);
        (tokenLicenses, tokenSale) = newSale(address(token), 12, 0);
        handlers[0] = new SaleHandler(sale, licenses, OWNER, DevToken(address(0)));
        handlers[1] = new SaleHandler(tokenSale, tokenLicenses, OWNER, token);
        token.transferOwnership(address(handlers[1]));
        for (uint256 i; i < 2; ++i) {
            targetContract(address(handlers[i]));
            bytes4[] memory selectors = new bytes4[](11);
            selectors[0] = SaleHandler.buy.selector;
            // Buying is what the rest is about: it is as likely as all else.
            selectors[1] = SaleHandler.buy.selector;
            selectors[2] = SaleHandler.buy.selector;
            selectors[3] = SaleHandler.buyTooMany.selector;
            selectors[4] = SaleHandler.claimReward.selector;
            selectors[5] = SaleHandler.withdrawProceeds.selector;
            selectors[6] = SaleHandler.setCode.selector;
            selectors[7] = SaleHandler.setAllowlist.selector;
            selectors[8] = SaleHandler.raiseWalletCap.selector;
            selectors[9] = SaleHandler.pauseOrResume.selector;
            selectors[10] = SaleHandler.moveTimeAndWindow.selector;
            targetSelector(FuzzSelector(address(handlers[i]), selectors));
        }
    }

    function balanceOf(uint256 i) private view returns (uint256) {
        return i == 0 ? address(sale).balance : token.balanceOf(address(tokenSale));
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_proceedsAndRewardsAreWhatWasReceivedLessRefunds() external view {
        for (uint256 i; i < 2; ++i) {
            SaleHandler h = handlers[i];
            LicenseSale s = h.SALE();
            uint256 claimed;
            uint256 owed;
            for (uint256 a; a < 4; ++a) {
                claimed += h.claimedBy(h.accountOf(a));
                owed += s.rewardOf(h.accountOf(a));
            }
            assertEq(s.rewardsOwed(), owed);
            assertEq(s.proceeds() + owed + h.withdrawn() + claimed, h.received() - h.refunded());
            assertEq(s.proceeds() + owed, balanceOf(i));
        }
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_eachReferrerIsPaidWhatItEarnedOnce() external view {
        for (uint256 i; i < 2; ++i) {
            SaleHandler h = handlers[i];
            for (uint256 a; a < 4; ++a) {
                address account = h.accountOf(a);
                assertEq(h.SALE().rewardOf(account) + h.claimedBy(account), h.earnedBy(account));
            }
        }
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_mintedIsTheSumOfTheTiersSold() external view {
        for (uint256 i; i < 2; ++i) {
            SaleHandler h = handlers[i];
            SaleState memory state = h.SALE().state();
            assertEq(h.LICENSES().totalSupply(), state.sold);
            assertLe(state.sold, state.supply);
            assertEq(h.grossInAll(), h.priceOf(0, state.sold));
            assertEq(h.received() - h.refunded(), h.grossInAll() - h.discountInAll());
            uint256 bought;
            for (uint256 a; a < 4; ++a) {
                address account = h.accountOf(a);
                assertEq(h.SALE().bought(account), h.countedBy(account));
                assertEq(h.LICENSES().balanceOf(account), h.mintedTo(account));
                bought += h.boughtBy(account);
            }
            assertEq(bought, state.sold);
        }
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_noWalletIsAboveItsCapAndNoCodeBelowZero() external view {
        for (uint256 i; i < 2; ++i) {
            SaleHandler h = handlers[i];
            uint256 cap = h.SALE().state().walletCap;
            for (uint256 a; a < 4; ++a) {
                if (cap != 0) assertLe(h.SALE().bought(h.accountOf(a)), cap);
            }
            for (uint256 c; c < 3; ++c) {
                bytes32 hash = h.codeHash(c);
                assertEq(h.SALE().codeOf(hash).licensesLeft, h.codeLeft(hash));
            }
        }
    }
}
