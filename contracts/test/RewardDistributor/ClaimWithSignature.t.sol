// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {Claim, IRewardDistributor} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {MerkleTree} from "../MerkleTree.sol";
import {Wallet1271} from "../Mocks.sol";

contract ClaimWithSignatureTest is BaseTest {
    address private immutable RELAYER = makeAddr("relayer");
    address private immutable RECIPIENT = makeAddr("recipient");

    address private account;
    uint256 private key;
    bytes32 private root;
    bytes32[] private noProof;

    function setUp() public override {
        super.setUp();
        (account, key) = makeAddrAndKey("account");
        root = activeTreeOf(account, 30 ether);
    }

    /// @dev The root of a tree of one, active.
    function activeTreeOf(address of_, uint256 cumulative) private returns (bytes32 made) {
        made = MerkleTree.leaf(of_, cumulative);
        postActive(made, cumulative);
    }

    function aClaim() private view returns (Claim memory) {
        uint64 deadline = uint64(vm.getBlockTimestamp()) + 1 hours;
        return Claim(account, root, 30 ether, RECIPIENT, RELAYER, 2 ether, deadline);
    }

    function signed(Claim memory claim) private view returns (bytes memory) {
        return signDigest(key, distributor.hashClaim(claim));
    }

    function send(Claim memory claim, bytes memory signature) private returns (uint256) {
        vm.prank(RELAYER);
        return distributor.claimWithSignature(claim, noProof, signature);
    }

    function refuse(Claim memory claim, bytes memory signature, bytes memory reason) private {
        vm.expectRevert(reason);
        send(claim, signature);
    }

    function refuseSignature(Claim memory claim, bytes memory signature) private {
        bytes32 digest = distributor.hashClaim(claim);
        refuse(
            claim,
            signature,
            abi.encodeWithSelector(IRewardDistributor.InvalidSignature.selector, claim.account, digest)
        );
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        PAID
    //////////////////////////////////////////////////////////////////////////*/

    function test_paysRecipientAndRelayer() external {
        Claim memory claim = aClaim();
        bytes memory signature = signed(claim);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Claimed(account, root, RECIPIENT, 30 ether);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.RelayerPaid(account, RELAYER, 2 ether);
        assertEq(send(claim, signature), 30 ether);

        assertEq(token.balanceOf(RECIPIENT), 28 ether);
        assertEq(token.balanceOf(RELAYER), 2 ether);
        assertEq(distributor.claimed(account), 30 ether);
        assertEq(distributor.paid(), 30 ether);
        assertEq(distributor.activeTotal(), 30 ether);
    }

    function test_anyoneMaySendWhereNoRelayerIsNamed() external {
        Claim memory claim = aClaim();
        claim.relayer = address(0);
        bytes memory signature = signed(claim);
        vm.prank(STRANGER);
        distributor.claimWithSignature(claim, noProof, signature);
        assertEq(token.balanceOf(STRANGER), 2 ether);
        assertEq(token.balanceOf(RECIPIENT), 28 ether);
    }

    function test_withoutAFeeTheRecipientGetsAll() external {
        Claim memory claim = aClaim();
        claim.relayerFee = 0;
        send(claim, signed(claim));
        assertEq(token.balanceOf(RECIPIENT), 30 ether);
        assertEq(token.balanceOf(RELAYER), 0);
    }

    function test_theFeeMayBeAll() external {
        Claim memory claim = aClaim();
        claim.relayerFee = 30 ether;
        send(claim, signed(claim));
        assertEq(token.balanceOf(RECIPIENT), 0);
        assertEq(token.balanceOf(RELAYER), 30 ether);
    }

    function test_theDeadlineIsTheLastSecond() external {
        Claim memory claim = aClaim();
        vm.warp(claim.deadline);
        send(claim, signed(claim));
    }

    function test_aContractWalletSignsByERC1271() external {
        address wallet = address(new Wallet1271(account));
        root = activeTreeOf(wallet, 50 ether);
        Claim memory claim = aClaim();
        (claim.account, claim.cumulative) = (wallet, 50 ether);
        send(claim, signed(claim));
        assertEq(token.balanceOf(RECIPIENT), 48 ether);
        assertEq(distributor.claimed(wallet), 50 ether);
    }

    /// @dev A key that delegated its code (EIP-7702) still signs.
    function test_anAccountWithCodeSignsWithItsKey() external {
        vm.etch(account, hex"fe");
        Claim memory claim = aClaim();
        send(claim, signed(claim));
        assertEq(token.balanceOf(RECIPIENT), 28 ether);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_sentTwice() external {
        Claim memory claim = aClaim();
        bytes memory signature = signed(claim);
        send(claim, signature);
        refuse(
            claim,
            signature,
            abi.encodeWithSelector(IRewardDistributor.NothingToClaim.selector, account, 30 ether, 30 ether)
        );
    }

    function test_revertWhen_tooLate() external {
        Claim memory claim = aClaim();
        bytes memory signature = signed(claim);
        vm.warp(claim.deadline + 1);
        refuse(
            claim,
            signature,
            abi.encodeWithSelector(
                IRewardDistributor.ClaimExpired.selector, claim.deadline, claim.deadline + 1
            )
        );
    }

    function test_revertWhen_sentByAnother() external {
        Claim memory claim = aClaim();
        bytes memory signature = signed(claim);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.WrongRelayer.selector, STRANGER, RELAYER));
        vm.prank(STRANGER);
        distributor.claimWithSignature(claim, noProof, signature);
    }

    function test_revertWhen_theFeeIsMoreThanTheAmount() external {
        Claim memory claim = aClaim();
        claim.relayerFee = 30 ether + 1;
        refuse(
            claim,
            signed(claim),
            abi.encodeWithSelector(IRewardDistributor.RelayerFeeTooHigh.selector, 30 ether + 1, 30 ether)
        );
    }

    /// @dev The account claimed a part itself in the meantime; the fee counts against the rest.
    function test_revertWhen_theFeeIsMoreThanWhatIsLeft() external {
        vm.prank(account);
        distributor.claim(root, 30 ether, noProof, account);
        root = activeTreeOf(account, 31 ether);
        Claim memory claim = aClaim();
        claim.cumulative = 31 ether;
        refuse(
            claim,
            signed(claim),
            abi.encodeWithSelector(IRewardDistributor.RelayerFeeTooHigh.selector, 2 ether, 1 ether)
        );
    }

    function test_revertWhen_theRecipientIsZeroOrTheDistributor() external {
        address[2] memory bad = [address(0), address(distributor)];
        for (uint256 i; i < 2; ++i) {
            Claim memory claim = aClaim();
            claim.recipient = bad[i];
            bytes memory reason =
                abi.encodeWithSelector(IDistributorControl.InvalidRecipient.selector, bad[i]);
            refuse(claim, signed(claim), reason);
        }
    }

    function test_revertWhen_theRootIsUnknownOrPending() external {
        Claim memory claim = aClaim();
        claim.root = keccak256("unknown");
        refuse(
            claim, signed(claim), abi.encodeWithSelector(IRewardDistributor.UnknownRoot.selector, claim.root)
        );
        claim.root = MerkleTree.leaf(account, 60 ether);
        postNext(claim.root, 60 ether);
        claim.cumulative = 60 ether;
        claim.deadline = type(uint64).max;
        uint256 activatesAt = distributor.head().activatesAt;
        refuse(
            claim,
            signed(claim),
            abi.encodeWithSelector(
                IRewardDistributor.RootNotActive.selector, claim.root, activatesAt, vm.getBlockTimestamp()
            )
        );
    }

    function test_revertWhen_theProofIsWrong() external {
        Claim memory claim = aClaim();
        claim.cumulative = 31 ether;
        refuse(
            claim,
            signed(claim),
            abi.encodeWithSelector(IRewardDistributor.InvalidProof.selector, root, account, 31 ether)
        );
    }

    function test_revertWhen_anotherSigned() external {
        (, uint256 other) = makeAddrAndKey("other");
        Claim memory claim = aClaim();
        refuseSignature(claim, signDigest(other, distributor.hashClaim(claim)));
    }

    /// @dev Every field is signed: with any of them altered the signature is void.
    function test_revertWhen_aFieldWasAltered() external {
        Claim memory claim = aClaim();
        bytes memory signature = signed(claim);
        claim.recipient = STRANGER;
        refuseSignature(claim, signature);
        claim = aClaim();
        claim.relayer = address(0);
        refuseSignature(claim, signature);
        claim = aClaim();
        claim.relayerFee += 1;
        refuseSignature(claim, signature);
        claim = aClaim();
        claim.deadline += 1;
        refuseSignature(claim, signature);
        // Account, root and amount: each of another active root's leaf.
        root = activeTreeOf(account, 40 ether);
        claim = aClaim();
        claim.cumulative = 40 ether;
        refuseSignature(claim, signature);
        root = activeTreeOf(BOB, 50 ether);
        claim = aClaim();
        (claim.account, claim.cumulative) = (BOB, 50 ether);
        refuseSignature(claim, signature);
    }

    /// @dev Nobody signs for the zero address, though recovery fails to it.
    function test_revertWhen_theAccountIsZero() external {
        root = activeTreeOf(address(0), 31 ether);
        Claim memory claim = aClaim();
        (claim.account, claim.cumulative) = (address(0), 31 ether);
        refuseSignature(claim, new bytes(65));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                         FUZZ
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Recipient and relayer get exactly the amount between them, once.
    function testFuzz_feeAndRestAreTheAmount(uint256 cumulative, uint256 fee, address recipient) external {
        cumulative = bound(cumulative, 1, QUOTA);
        fee = bound(fee, 0, cumulative);
        vm.assume(recipient != address(0) && recipient != address(distributor) && recipient != RELAYER);
        vm.assume(recipient != address(token));
        root = activeTreeOf(account, 30 ether + cumulative);
        Claim memory claim = aClaim();
        claim.cumulative = 30 ether + cumulative;
        (claim.relayerFee, claim.recipient) = (fee, recipient);
        bytes memory signature = signed(claim);
        send(claim, signature);
        assertEq(token.balanceOf(RELAYER), fee);
        assertEq(token.balanceOf(recipient), 30 ether + cumulative - fee);
        assertEq(distributor.paid(), 30 ether + cumulative);
        vm.expectPartialRevert(IRewardDistributor.NothingToClaim.selector);
        send(claim, signature);
    }
}
