// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {MerkleTree} from "../MerkleTree.sol";

/// @dev Does what signer, accounts, owner, guardian and time can do, with an honest tree each day.
/// Every call succeeds: what would be refused is not tried.
contract DistributorHandler is Test {
    uint256 private constant ACCOUNTS = 5;

    RewardDistributor public immutable DISTRIBUTOR;
    address private immutable OWNER;
    uint256 private immutable SIGNER_KEY;

    /// @dev The chain as the handler knows it, lowest first, with each commit's cumulative amounts.
    RewardCommit[] private _chain;
    uint256[ACCOUNTS][] private _amounts;

    uint256 public claimedInAll;
    uint256 public lastActiveTotal;

    constructor(RewardDistributor distributor, address owner, uint256 signerKey) {
        (DISTRIBUTOR, OWNER, SIGNER_KEY) = (distributor, owner, signerKey);
    }

    function accountOf(uint256 i) public pure returns (address) {
        // A small number.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x1000 + i % ACCOUNTS));
    }

    function waitSome(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1 hours, 2 days));
    }

    function post(uint256 seed) external {
        if (DISTRIBUTOR.isPaused()) return;
        uint64 epoch = DISTRIBUTOR.head().epoch + 1;
        if (vm.getBlockTimestamp() < (uint256(epoch) + 1) * 1 days) {
            vm.warp((uint256(epoch) + 1) * 1 days);
        }

        uint256[ACCOUNTS] memory amounts;
        if (_amounts.length != 0) amounts = _amounts[_amounts.length - 1];
        uint256 total;
        bytes32[] memory leaves = new bytes32[](ACCOUNTS);
        for (uint256 i; i < ACCOUNTS; ++i) {
            // One day in four nobody earns anything and the root is repeated.
            if (seed % 4 != 0) amounts[i] += uint256(keccak256(abi.encode(seed, i))) % 10 ether;
            total += amounts[i];
            leaves[i] = MerkleTree.leaf(accountOf(i), amounts[i]);
        }
        RewardCommit memory commit = RewardCommit({
            epoch: epoch,
            revision: DISTRIBUTOR.head().revision,
            previous: DISTRIBUTOR.head().commitHash,
            root: total == 0 ? bytes32(0) : MerkleTree.build(leaves)[0],
            total: total,
            dataHash: bytes32(seed)
        });
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, DISTRIBUTOR.hashCommit(commit));
        DISTRIBUTOR.post(commit, abi.encodePacked(r, s, v));
        _chain.push(commit);
        _amounts.push(amounts);
    }

    function claim(uint256 which, uint256 day) external {
        if (_chain.length == 0) return;
        day = bound(day, 0, _chain.length - 1);
        bytes32 root = _chain[day].root;
        address account = accountOf(which);
        uint256 cumulative = _amounts[day][which % ACCOUNTS];
        if (root == 0 || !DISTRIBUTOR.isActive(root) || cumulative <= DISTRIBUTOR.claimed(account)) return;

        bytes32[] memory leaves = new bytes32[](ACCOUNTS);
        for (uint256 i; i < ACCOUNTS; ++i) {
            leaves[i] = MerkleTree.leaf(accountOf(i), _amounts[day][i]);
        }
        bytes32[] memory nodes = MerkleTree.build(leaves);
        bytes32[] memory proof = MerkleTree.proof(nodes, MerkleTree.leaf(account, cumulative));
        vm.prank(account);
        claimedInAll += DISTRIBUTOR.claim(root, cumulative, proof, account);
        assertEq(DISTRIBUTOR.claimed(account), cumulative);
        assertGe(DISTRIBUTOR.activeTotal(), lastActiveTotal);
        lastActiveTotal = DISTRIBUTOR.activeTotal();
    }

    /// @dev Revokes the head if it is pending.
    function revoke() external {
        if (_chain.length == 0 || DISTRIBUTOR.head().activatesAt <= DISTRIBUTOR.activeUntil()) return;
        RewardCommit memory top = _chain[_chain.length - 1];
        RewardCommit[] memory down = new RewardCommit[](1);
        down[0] = top;
        RewardCommit memory newHead;
        if (_chain.length > 1) newHead = _chain[_chain.length - 2];
        vm.prank(OWNER);
        DISTRIBUTOR.revoke(down, newHead);
        _chain.pop();
        _amounts.pop();
    }

    function pause(uint256 seed) external {
        if (seed % 8 != 0) return;
        vm.prank(OWNER);
        DISTRIBUTOR.pause();
    }

    function commits() external view returns (RewardCommit[] memory) {
        return _chain;
    }
}

contract DistributorInvariantTest is BaseTest {
    DistributorHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new DistributorHandler(distributor, OWNER, signerKey);
        targetContract(address(handler));
        bytes4[] memory selectors = new bytes4[](5);
        selectors[0] = DistributorHandler.waitSome.selector;
        selectors[1] = DistributorHandler.post.selector;
        selectors[2] = DistributorHandler.claim.selector;
        selectors[3] = DistributorHandler.revoke.selector;
        selectors[4] = DistributorHandler.pause.selector;
        targetSelector(FuzzSelector(address(handler), selectors));
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_booksBalance() external view {
        uint256 paid = distributor.paid();
        assertLe(paid, distributor.activeTotal());
        assertLe(distributor.activeTotal(), distributor.head().total);
        assertEq(paid, handler.claimedInAll());
        uint256 balance = token.balanceOf(address(distributor));
        assertEq(balance, FUNDS - paid);
        assertLe(distributor.head().total - paid, balance);
        uint256 claimed;
        for (uint256 i; i < 5; ++i) {
            claimed += distributor.claimed(handler.accountOf(i));
        }
        assertEq(claimed, paid);
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_daysFormAChainAndActivateInOrder() external view {
        RewardCommit[] memory chain = handler.commits();
        bytes32 previous;
        uint64 activatesAt;
        for (uint256 i; i < chain.length; ++i) {
            assertEq(chain[i].epoch, CREATION_DAY + i);
            assertEq(chain[i].previous, previous);
            previous = distributor.structHash(chain[i]);
            uint64 next = distributor.commitOf(chain[i].root).activatesAt;
            assertNotEq(next, 0);
            assertGe(next, activatesAt);
            activatesAt = next;
        }
        assertEq(distributor.head().commitHash, previous);
        assertEq(distributor.head().epoch, CREATION_DAY + chain.length - 1);
    }
}
