// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {Claim, IRewardDistributor, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {MerkleTree} from "../MerkleTree.sol";

/// @dev What a contract wallet may do when it is asked for a signature.
contract HostileWallet {
    enum Mood {
        Accepts,
        Reenters,
        BurnsGas,
        WrongMagic,
        DirtyMagic,
        ShortAnswer,
        Reverts
    }

    Mood private immutable MOOD;
    IRewardDistributor private immutable DISTRIBUTOR;

    constructor(Mood mood, IRewardDistributor distributor) {
        (MOOD, DISTRIBUTOR) = (mood, distributor);
    }

    function isValidSignature(bytes32, bytes calldata signature) external returns (bytes4) {
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        if (MOOD == Mood.Reenters) {
            // The signature carries the call to make; called statically, it can only fail.
            (bool success,) = address(DISTRIBUTOR).call(signature);
            require(success, "refused");
        }
        while (MOOD == Mood.BurnsGas) {}
        if (MOOD == Mood.Reverts) revert("no");
        if (MOOD == Mood.WrongMagic) magic = bytes32(bytes4(0xffffffff));
        if (MOOD == Mood.DirtyMagic) magic |= bytes32(uint256(1));
        uint256 size = MOOD == Mood.ShortAnswer ? 4 : 32;
        assembly {
            mstore(0, magic)
            return(0, size)
        }
    }
}

contract HostileSignatureTest is BaseTest {
    /// @dev Half of the order of secp256k1, above which s is malleable.
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    address private account;
    uint256 private key;
    bytes32[] private noProof;

    function setUp() public override {
        super.setUp();
        (account, key) = makeAddrAndKey("account");
    }

    function claimOf(address of_) private returns (Claim memory) {
        bytes32 root = MerkleTree.leaf(of_, 5 ether);
        postActive(root, distributor.head().total + 5 ether);
        return Claim(of_, root, 5 ether, STRANGER, address(0), 0, type(uint64).max);
    }

    function refuse(Claim memory claim, bytes memory signature) private {
        bytes32 digest = distributor.hashClaim(claim);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.InvalidSignature.selector, claim.account, digest)
        );
        distributor.claimWithSignature(claim, noProof, signature);
        assertEq(distributor.claimed(claim.account), 0);
    }

    function refuse(RewardCommit memory commit, bytes memory signature) private {
        bytes32 digest = distributor.hashCommit(commit);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.InvalidSignature.selector, distributor.signer(), digest)
        );
        distributor.post(commit, signature);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                     CONTRACT WALLETS
    //////////////////////////////////////////////////////////////////////////*/

    function test_wallets() external {
        for (uint256 i; i <= uint256(type(HostileWallet.Mood).max); ++i) {
            HostileWallet.Mood mood = HostileWallet.Mood(i);
            address wallet = address(new HostileWallet(mood, distributor));
            Claim memory claim = claimOf(wallet);
            // What the wallet that reenters would call: its own claim, which would succeed.
            bytes memory again =
                abi.encodeCall(distributor.claim, (claim.root, claim.cumulative, noProof, STRANGER));
            if (mood == HostileWallet.Mood.Accepts) {
                distributor.claimWithSignature(claim, noProof, again);
                assertEq(token.balanceOf(STRANGER), 5 ether);
            } else if (mood == HostileWallet.Mood.BurnsGas) {
                // The sender loses the gas that it gave, and nothing else happens.
                vm.expectRevert();
                distributor.claimWithSignature{gas: 2_000_000}(claim, noProof, again);
            } else {
                refuse(claim, again);
            }
        }
        assertEq(token.balanceOf(STRANGER), 5 ether);
    }

    /// @dev As the signer such a wallet only keeps its own project from posting.
    function test_walletsAsSigners() external {
        for (uint256 i = 1; i <= uint256(type(HostileWallet.Mood).max); ++i) {
            HostileWallet.Mood mood = HostileWallet.Mood(i);
            if (mood == HostileWallet.Mood.BurnsGas) continue;
            address wallet = address(new HostileWallet(mood, distributor));
            makeCall(abi.encodeCall(distributor.setSigner, (wallet)));
            RewardCommit memory commit = nextCommit(keccak256("root"), 1);
            refuse(commit, abi.encodeCall(distributor.disableSigner, ()));
        }
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       FORMS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev The same signature in every other form that recovers, or nearly so.
    function test_onlyOneFormIsTaken() external {
        Claim memory claim = claimOf(account);
        bytes32 digest = distributor.hashClaim(claim);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        bytes32 highS = bytes32(ORDER - uint256(s));
        uint8 otherV = v == 27 ? 28 : 27;
        bytes32 compact = bytes32(uint256(s) | (uint256(v - 27) << 255));

        refuse(claim, abi.encodePacked(r, highS, otherV));
        refuse(claim, abi.encodePacked(r, compact));
        refuse(claim, abi.encodePacked(r, s, v - 27));
        refuse(claim, abi.encodePacked(r, s, otherV));
        refuse(claim, abi.encodePacked(r, s, v, uint8(0)));
        refuse(claim, abi.encodePacked(r, s));
        refuse(claim, abi.encode(v, r, s));
        refuse(claim, new bytes(65));
        refuse(claim, "");
        distributor.claimWithSignature(claim, noProof, abi.encodePacked(r, s, v));
        assertEq(token.balanceOf(STRANGER), 5 ether);
    }

    function test_signedForAnotherChain() external {
        Claim memory claim = claimOf(account);
        vm.chainId(2);
        bytes memory signature = signDigest(key, distributor.hashClaim(claim));
        vm.chainId(1);
        refuse(claim, signature);
    }

    /// @dev The domain follows the chain id, so after a fork the old signatures end.
    function test_afterAForkTheOldSignaturesEnd() external {
        Claim memory claim = claimOf(account);
        bytes memory signature = signDigest(key, distributor.hashClaim(claim));
        vm.chainId(2);
        refuse(claim, signature);
    }

    function test_signedForAnotherDistributor() external {
        Claim memory claim = claimOf(account);
        RewardDistributor other = new RewardDistributor(registry, defaultParams());
        refuse(claim, signDigest(key, other.hashClaim(claim)));
    }

    /// @dev A commit's digest is no claim's, whatever the fields.
    function testFuzz_commitAndClaimNeverShareADigest(
        RewardCommit memory commit,
        Claim memory claim
    ) external view {
        assertNotEq(distributor.hashCommit(commit), distributor.hashClaim(claim));
    }
}
