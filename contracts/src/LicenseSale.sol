// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Code, ILicenseSale, Order, SaleParams, SaleState, Tier} from "./interfaces/ILicenseSale.sol";
import {INodeLicense} from "./interfaces/INodeLicense.sol";

/// @title LicenseSale
/// @notice See {ILicenseSale}.
/// @dev Every function that pays or is paid is guarded against reentry by any other of them, besides
/// keeping the order check, effect, interaction.
contract LicenseSale is ILicenseSale, Ownable2Step, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev `end` counts the licenses up to the end of the tier. One slot.
    struct StoredTier {
        uint128 price;
        uint64 end;
    }

    /// @dev All a purchase reads besides its tiers, in one slot. 100 tiers of 2^32 licenses fit 40 bits.
    struct Status {
        uint40 sold;
        uint8 tier;
        bool paused;
        uint32 walletCap;
        uint64 startsAt;
        uint64 endsAt;
    }

    /// @dev What became of an order.
    struct Bill {
        bytes32 codeHash;
        address referrer;
        uint256 gross;
        uint256 discount;
        uint256 reward;
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      CONSTANTS
    //////////////////////////////////////////////////////////////////////////*/

    uint256 private constant MAX_TIERS = 100;
    uint256 private constant MAX_DISCOUNT_BPS = 5000;
    uint256 private constant MAX_REWARD_BPS = 3000;
    uint256 private constant WHOLE_BPS = 10_000;

    address private constant NATIVE_COIN = address(0);

    INodeLicense private immutable COLLECTION;
    address private immutable PAYMENT_TOKEN;
    uint256 private immutable SUPPLY;

    /*//////////////////////////////////////////////////////////////////////////
                                       STORAGE
    //////////////////////////////////////////////////////////////////////////*/

    Status private _status;
    StoredTier[] private _tiers;
    bytes32 private _allowlistRoot;
    mapping(bytes32 codeHash => Code) private _codes;

    /// @inheritdoc ILicenseSale
    mapping(address buyer => uint256) public bought;

    /// @inheritdoc ILicenseSale
    mapping(address referrer => uint256) public rewardOf;

    /// @inheritdoc ILicenseSale
    uint256 public rewardsOwed;

    /*//////////////////////////////////////////////////////////////////////////
                                     CONSTRUCTOR
    //////////////////////////////////////////////////////////////////////////*/

    constructor(SaleParams memory params) Ownable(params.owner) {
        // Check
        if (params.collection.code.length == 0) revert InvalidCollection(params.collection);
        if (params.paymentToken != NATIVE_COIN && params.paymentToken.code.length == 0) {
            revert InvalidPaymentToken(params.paymentToken);
        }
        if (params.tiers.length == 0 || params.tiers.length > MAX_TIERS) {
            revert InvalidTierCount(params.tiers.length, MAX_TIERS);
        }

        // Effect
        COLLECTION = INodeLicense(params.collection);
        PAYMENT_TOKEN = params.paymentToken;
        SUPPLY = _storeTiers(params.tiers);
        emit SaleCreated(params.collection, params.paymentToken, params.tiers);
        _setWindow(params.startsAt, params.endsAt);
        _status.walletCap = params.walletCap;
        emit WalletCapSet(params.walletCap);
        _setAllowlist(params.allowlistRoot);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       BUYING
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc ILicenseSale
    function buy(Order calldata order)
        external
        payable
        nonReentrant
        returns (uint256 firstTokenId, uint256 cost)
    {
        // Check
        Status memory status = _status;
        _requireOpen(status);
        _requireRecipient(order.recipient);
        Bill memory bill = _billFor(status, order.count, order.code);
        if (bill.referrer != address(0) && (bill.referrer == msg.sender || bill.referrer == order.recipient))
        {
            revert SelfReferral(bill.referrer);
        }
        bool counted = _checkEntitled(order, status.walletCap);
        cost = bill.gross - bill.discount;
        if (cost > order.maxCost) revert CostAboveMax(cost, order.maxCost);

        // Effect
        _status = status;
        if (counted) bought[msg.sender] += order.count;
        if (bill.codeHash != 0) {
            // At most the licenses left, as was checked.
            // forge-lint: disable-next-line(unsafe-typecast)
            _codes[bill.codeHash].licensesLeft -= uint32(order.count);
        }
        if (bill.reward != 0) {
            rewardOf[bill.referrer] += bill.reward;
            rewardsOwed += bill.reward;
        }

        // Interaction: the token may call the buyer, and the refund does.
        uint256 refund = _takePayment(cost);
        firstTokenId = COLLECTION.mintBatch(order.recipient, order.count);
        emit Sold(
            msg.sender,
            order.recipient,
            bill.codeHash,
            firstTokenId,
            order.count,
            bill.gross,
            bill.discount,
            bill.referrer,
            bill.reward
        );
        if (refund != 0) _sendCoins(msg.sender, refund);
    }

    /// @inheritdoc ILicenseSale
    function claimReward(address recipient) external nonReentrant returns (uint256 amount) {
        // Check
        _requireRecipient(recipient);
        amount = rewardOf[msg.sender];
        if (amount == 0) revert NothingOwed(msg.sender);

        // Effect
        rewardOf[msg.sender] = 0;
        rewardsOwed -= amount;
        emit RewardClaimed(msg.sender, recipient, amount);

        // Interaction
        _send(recipient, amount);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        OWNER
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc ILicenseSale
    function withdrawProceeds(address recipient) external onlyOwner nonReentrant returns (uint256 amount) {
        // Check
        _requireRecipient(recipient);
        amount = proceeds();
        if (amount == 0) revert NothingOwed(msg.sender);

        // Effect: the balance is the record.
        emit ProceedsWithdrawn(recipient, amount);

        // Interaction
        _send(recipient, amount);
    }

    /// @inheritdoc ILicenseSale
    function withdrawStrayToken(
        address strayToken,
        address recipient,
        uint256 amount
    ) external onlyOwner nonReentrant {
        // Check
        _requireRecipient(recipient);
        if (strayToken == PAYMENT_TOKEN) revert NotStray(strayToken);
        uint256 balanceBefore = _balance();
        emit StrayWithdrawn(strayToken, recipient, amount);

        // Interaction
        IERC20(strayToken).safeTransfer(recipient, amount);

        // Check: a token with two addresses has one balance.
        uint256 balanceAfter = _balance();
        if (balanceAfter < balanceBefore) revert BalanceFell(balanceBefore, balanceAfter);
    }

    /// @inheritdoc ILicenseSale
    function setWindow(uint64 startsAt, uint64 endsAt) external onlyOwner {
        _setWindow(startsAt, endsAt);
    }

    /// @inheritdoc ILicenseSale
    function raiseWalletCap(uint32 walletCap) external onlyOwner {
        // Check
        uint32 before = _status.walletCap;
        if (before == 0 || (walletCap != 0 && walletCap <= before)) revert CapNotRaised(before, walletCap);

        // Effect
        _status.walletCap = walletCap;
        emit WalletCapSet(walletCap);
    }

    /// @inheritdoc ILicenseSale
    function setAllowlist(bytes32 allowlistRoot) external onlyOwner {
        _setAllowlist(allowlistRoot);
    }

    /// @inheritdoc ILicenseSale
    function setCode(bytes32 codeHash, Code calldata code) external onlyOwner {
        // Check
        if (
            codeHash == 0 || code.discountBps > MAX_DISCOUNT_BPS || code.rewardBps > MAX_REWARD_BPS
                || (code.rewardBps == 0) != (code.referrer == address(0))
                || (code.discountBps == 0 && code.rewardBps == 0)
        ) {
            revert InvalidCode(codeHash, code.referrer, code.discountBps, code.rewardBps);
        }

        // Effect
        _codes[codeHash] = code;
        emit CodeSet(codeHash, code.referrer, code.discountBps, code.rewardBps, code.licensesLeft);
    }

    /// @inheritdoc ILicenseSale
    function pause() external onlyOwner {
        // Check
        if (_status.paused) revert Paused();

        // Effect
        _status.paused = true;
        emit SalePaused();
    }

    /// @inheritdoc ILicenseSale
    function resume() external onlyOwner {
        // Check
        if (!_status.paused) revert NotPaused();

        // Effect
        _status.paused = false;
        emit SaleResumed();
    }

    /// @inheritdoc Ownable
    /// @dev Refused: nobody could withdraw the proceeds.
    function renounceOwnership() public view override onlyOwner {
        revert OwnerNeeded(owner());
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        VIEWS
    //////////////////////////////////////////////////////////////////////////*/

    /// @inheritdoc ILicenseSale
    function quote(
        uint256 count,
        string calldata code
    ) external view returns (uint256 gross, uint256 discount) {
        Bill memory bill = _billFor(_status, count, code);
        return (bill.gross, bill.discount);
    }

    /// @inheritdoc ILicenseSale
    function tiers() external view returns (Tier[] memory list) {
        list = new Tier[](_tiers.length);
        uint64 start;
        for (uint256 i; i < list.length; ++i) {
            StoredTier memory tier = _tiers[i];
            // It was 32 bits wide when it came.
            // forge-lint: disable-next-line(unsafe-typecast)
            list[i] = Tier(tier.price, uint32(tier.end - start));
            start = tier.end;
        }
    }

    /// @inheritdoc ILicenseSale
    function state() external view returns (SaleState memory) {
        Status memory status = _status;
        StoredTier memory tier;
        if (status.sold < SUPPLY) tier = _tiers[status.tier];
        return SaleState({
            collection: address(COLLECTION),
            paymentToken: PAYMENT_TOKEN,
            startsAt: status.startsAt,
            endsAt: status.endsAt,
            paused: status.paused,
            walletCap: status.walletCap,
            allowlistRoot: _allowlistRoot,
            sold: status.sold,
            supply: SUPPLY,
            price: tier.price,
            leftAtPrice: tier.end == 0 ? 0 : tier.end - status.sold,
            proceeds: proceeds(),
            rewardsOwed: rewardsOwed
        });
    }

    /// @inheritdoc ILicenseSale
    function codeOf(bytes32 codeHash) external view returns (Code memory) {
        return _codes[codeHash];
    }

    /// @inheritdoc ILicenseSale
    /// @dev Zero, should a rebasing token have taken more than the proceeds.
    function proceeds() public view returns (uint256) {
        return Math.saturatingSub(_balance(), rewardsOwed);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      INTERNALS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Checks the tiers and returns how many licenses they have together.
    function _storeTiers(Tier[] memory list) private returns (uint64 supply) {
        uint128 priceBefore;
        for (uint256 i; i < list.length; ++i) {
            Tier memory tier = list[i];
            if (tier.count == 0 || (i != 0 && tier.price <= priceBefore)) {
                revert InvalidTier(i, tier.price, tier.count, priceBefore);
            }
            supply += tier.count;
            _tiers.push(StoredTier(tier.price, supply));
            priceBefore = tier.price;
        }
    }

    function _setWindow(uint64 startsAt, uint64 endsAt) private {
        // Check
        if (startsAt >= endsAt) revert InvalidWindow(startsAt, endsAt);

        // Effect
        _status.startsAt = startsAt;
        _status.endsAt = endsAt;
        emit WindowSet(startsAt, endsAt);
    }

    function _setAllowlist(bytes32 allowlistRoot) private {
        _allowlistRoot = allowlistRoot;
        emit AllowlistSet(allowlistRoot);
    }

    /// @dev Prices the next licenses and moves `status`, in memory, past them.
    function _billFor(
        Status memory status,
        uint256 count,
        string calldata code
    ) private view returns (Bill memory bill) {
        if (count == 0) revert InvalidCount(count);
        uint256 left = SUPPLY - status.sold;
        if (count > left) revert NotEnoughLeft(count, left);

        // 40 bits of licenses of 128 bits each: no sum comes near 256 bits, even times 10,000.
        uint256 sold = status.sold;
        uint256 soldAfter = sold + count;
        uint256 index = status.tier;
        while (sold != soldAfter) {
            StoredTier memory tier = _tiers[index];
            uint256 until = Math.min(tier.end, soldAfter);
            bill.gross += (until - sold) * tier.price;
            sold = until;
            if (sold == tier.end) ++index;
        }
        // At most the supply, and at most a hundred tiers.
        // forge-lint: disable-next-line(unsafe-typecast)
        (status.sold, status.tier) = (uint40(sold), uint8(index));

        if (bytes(code).length != 0) _applyCode(bill, count, code);
    }

    /// @dev Both the discount and the reward are rounded down.
    function _applyCode(Bill memory bill, uint256 count, string calldata text) private view {
        bytes32 codeHash = keccak256(bytes(text));
        Code memory code = _codes[codeHash];
        if (code.discountBps == 0 && code.rewardBps == 0) revert UnknownCode(codeHash);
        if (count > code.licensesLeft) revert CodeSpent(codeHash, count, code.licensesLeft);
        bill.codeHash = codeHash;
        bill.referrer = code.referrer;
        bill.discount = bill.gross * code.discountBps / WHOLE_BPS;
        bill.reward = (bill.gross - bill.discount) * code.rewardBps / WHOLE_BPS;
    }

    /// @dev Makes sure that exactly the cost stays here; returns what is to be sent back.
    function _takePayment(uint256 cost) private returns (uint256 refund) {
        if (PAYMENT_TOKEN == NATIVE_COIN) {
            if (msg.value < cost) revert PaymentTooLow(msg.value, cost);
            return msg.value - cost;
        }
        if (msg.value != 0) revert UnexpectedPayment(msg.value);
        // Some tokens refuse transfers of nothing.
        if (cost == 0) return 0;
        uint256 balanceBefore = _balance();
        IERC20(PAYMENT_TOKEN).safeTransferFrom(msg.sender, address(this), cost);
        uint256 balanceAfter = _balance();
        unchecked {
            // A balance that fell differs from the cost too.
            if (balanceAfter - balanceBefore != cost) {
                revert PaymentNotExact(cost, balanceBefore, balanceAfter);
            }
        }
    }

    function _send(address recipient, uint256 amount) private {
        if (PAYMENT_TOKEN == NATIVE_COIN) _sendCoins(recipient, amount);
        else IERC20(PAYMENT_TOKEN).safeTransfer(recipient, amount);
    }

    /// @dev Whatever the recipient answers is not copied, so it can cost nobody gas.
    function _sendCoins(address recipient, uint256 amount) private {
        if (!LowLevelCall.callNoReturn(recipient, amount, "")) revert CoinsRefused(recipient, amount);
    }

    function _balance() private view returns (uint256) {
        return
            PAYMENT_TOKEN == NATIVE_COIN
                ? address(this).balance
                : IERC20(PAYMENT_TOKEN).balanceOf(address(this));
    }

    function _requireOpen(Status memory status) private view {
        if (status.paused) revert Paused();
        if (block.timestamp < status.startsAt) revert NotStarted(status.startsAt, block.timestamp);
        if (block.timestamp >= status.endsAt) revert Ended(status.endsAt, block.timestamp);
    }

    function _requireRecipient(address recipient) private view {
        if (recipient == address(0) || recipient == address(this)) revert InvalidRecipient(recipient);
    }

    /// @return counted Whether a cap or an allowlist is in force; else nothing is counted, which spares
    /// a buyer the dearest write.
    function _checkEntitled(Order calldata order, uint256 walletCap) private view returns (bool counted) {
        bytes32 root = _allowlistRoot;
        if (walletCap == 0 && root == 0) return false;
        uint256 boughtBefore = bought[msg.sender];
        uint256 boughtAfter = boughtBefore + order.count;
        if (walletCap != 0 && boughtAfter > walletCap) {
            revert WalletCapExceeded(msg.sender, boughtBefore, order.count, walletCap);
        }
        if (root == 0) return true;
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(msg.sender, order.allowance))));
        if (!MerkleProof.verifyCalldata(order.proof, root, leaf)) {
            revert NotOnAllowlist(msg.sender, order.allowance, root);
        }
        if (boughtAfter > order.allowance) {
            revert AllowanceExceeded(msg.sender, boughtBefore, order.count, order.allowance);
        }
        return true;
    }
}
