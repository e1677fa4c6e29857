// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice Some licenses at one price.
/// @param price Of one license, in the smallest unit of the payment token (wei for the native coin).
/// @param count How many there are at this price.
struct Tier {
    uint128 price;
    uint32 count;
}

/// @notice Parameters of a sale; all of them are part of its CREATE2 address.
/// @param collection What is sold; the sale has to be its minter before anything can be bought.
/// @param owner Administers the sale and gets the proceeds.
/// @param paymentToken An ERC-20 token, or zero for the chain's native coin.
/// @param startsAt First second of the sale.
/// @param endsAt First second after it.
/// @param walletCap Most licenses one wallet buys; zero for no cap.
/// @param allowlistRoot Root of the tree of (account, allowance); zero if everyone may buy.
/// @param tiers 1 to 100 of them, each dearer than the one before. They never change.
struct SaleParams {
    address collection;
    address owner;
    address paymentToken;
    uint64 startsAt;
    uint64 endsAt;
    uint32 walletCap;
    bytes32 allowlistRoot;
    Tier[] tiers;
}

/// @notice What a buyer asks for.
/// @param recipient Who gets the licenses.
/// @param count How many, at most as many as the collection mints at once.
/// @param maxCost Most the buyer pays for all of them together.
/// @param code A promo code, or nothing.
/// @param allowance The buyer's allowance in the allowlist; not read where there is none.
/// @param proof Its proof; not read where there is no allowlist.
struct Order {
    address recipient;
    uint256 count;
    uint256 maxCost;
    string code;
    uint256 allowance;
    bytes32[] proof;
}

/// @notice What a promo code does; kept under the keccak256 of its text, so that it becomes known
/// only when it is used.
/// @param referrer Who earns the reward; zero if the code only gives a discount.
/// @param discountBps Discount to the buyer, in hundredths of a percent, at most 5,000.
/// @param rewardBps Reward to the referrer on what is paid, at most 3,000.
/// @param licensesLeft How many licenses can still be bought with it.
struct Code {
    address referrer;
    uint16 discountBps;
    uint16 rewardBps;
    uint32 licensesLeft;
}

/// @notice The sale at a glance.
/// @param price Price of the next license; zero once all are sold.
/// @param leftAtPrice How many are left at that price.
/// @param proceeds What the owner can withdraw now.
/// @param rewardsOwed What all referrers together can claim now.
struct SaleState {
    address collection;
    address paymentToken;
    uint64 startsAt;
    uint64 endsAt;
    bool paused;
    uint32 walletCap;
    bytes32 allowlistRoot;
    uint256 sold;
    uint256 supply;
    uint256 price;
    uint256 leftAtPrice;
    uint256 proceeds;
    uint256 rewardsOwed;
}

/// @title Sale of the licenses of one collection
/// @notice Licenses are sold in the order of the tiers. What a purchase costs:
///
///   gross    = sum of the prices of its licenses, tier by tier
///   discount = floor(gross * discountBps / 10,000)
///   cost     = gross - discount, at most `maxCost`
///   reward   = floor(cost * rewardBps / 10,000), owed to the code's referrer
///
/// The contract holds what was paid until it is pulled: referrers claim their rewards, the owner
/// everything else. Payments in the native coin may be higher than the cost; the rest goes back at
/// once. The owner can pause or end the sale and change codes, allowlist and window, but neither the
/// tiers nor what is owed to referrers.
interface ILicenseSale {
    /*//////////////////////////////////////////////////////////////////////////
                                       EVENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The sale was made.
    event SaleCreated(address indexed collection, address indexed paymentToken, Tier[] tiers);

    /// @notice When the sale begins and ends was set.
    event WindowSet(uint64 startsAt, uint64 endsAt);

    /// @notice The most that one wallet buys was set or raised; zero for no cap.
    event WalletCapSet(uint32 walletCap);

    /// @notice The allowlist was set; zero for none.
    event AllowlistSet(bytes32 allowlistRoot);

    /// @notice A promo code was set or, with `licensesLeft` zero, ended.
    event CodeSet(
        bytes32 indexed codeHash,
        address indexed referrer,
        uint16 discountBps,
        uint16 rewardBps,
        uint32 licensesLeft
    );

    /// @notice Nothing can be bought until the sale is resumed.
    event SalePaused();

    /// @notice The sale goes on.
    event SaleResumed();

    /// @notice Licenses `firstTokenId` to `firstTokenId + count - 1` were sold for `gross - discount`.
    /// @param codeHash The promo code used; zero for none.
    /// @param reward What `referrer` (zero if there is none) is owed for it.
    event Sold(
        address indexed buyer,
        address indexed recipient,
        bytes32 indexed codeHash,
        uint256 firstTokenId,
        uint256 count,
        uint256 gross,
        uint256 discount,
        address referrer,
        uint256 reward
    );

    /// @notice The owner took proceeds.
    event ProceedsWithdrawn(address indexed recipient, uint256 amount);

    /// @notice The owner took tokens that came here by mistake.
    event StrayWithdrawn(address indexed strayToken, address indexed recipient, uint256 amount);

    /// @notice A referrer took its rewards.
    event RewardClaimed(address indexed referrer, address indexed recipient, uint256 amount);

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The collection has no code.
    error InvalidCollection(address collection);

    /// @notice The payment token has no code.
    error InvalidPaymentToken(address paymentToken);

    /// @notice A sale has 1 to `maxCount` tiers.
    error InvalidTierCount(uint256 count, uint256 maxCount);

    /// @notice A tier has at least one license, and a higher price than the one before.
    error InvalidTier(uint256 index, uint128 price, uint32 count, uint128 priceBefore);

    /// @notice A sale ends after it starts.
    error InvalidWindow(uint64 startsAt, uint64 endsAt);

    /// @notice The cap can only be raised; zero (no cap) is the highest.
    error CapNotRaised(uint32 walletCap, uint32 requested);

    /// @notice A code gives a discount or a reward, each within its bound, and a reward goes to
    /// someone; the hash is not zero.
    error InvalidCode(bytes32 codeHash, address referrer, uint16 discountBps, uint16 rewardBps);

    /// @notice An owner is needed to withdraw the proceeds.
    error OwnerNeeded(address owner);

    /// @notice The sale is paused.
    error Paused();

    /// @notice The sale is not paused.
    error NotPaused();

    /// @notice The sale has not begun.
    error NotStarted(uint64 startsAt, uint256 timestamp);

    /// @notice The sale is over.
    error Ended(uint64 endsAt, uint256 timestamp);

    /// @notice A purchase has at least one license.
    error InvalidCount(uint256 count);

    /// @notice There are fewer licenses left.
    error NotEnoughLeft(uint256 count, uint256 left);

    /// @notice Neither zero nor the sale itself can be paid or given licenses.
    error InvalidRecipient(address recipient);

    /// @notice The wallet would have bought more than one wallet may.
    error WalletCapExceeded(address buyer, uint256 bought, uint256 count, uint256 walletCap);

    /// @notice The allowlist does not have this account with this allowance.
    error NotOnAllowlist(address buyer, uint256 allowance, bytes32 allowlistRoot);

    /// @notice The wallet would have bought more than its allowance.
    error AllowanceExceeded(address buyer, uint256 bought, uint256 count, uint256 allowance);

    /// @notice There is no such promo code.
    error UnknownCode(bytes32 codeHash);

    /// @notice The promo code is good for fewer licenses.
    error CodeSpent(bytes32 codeHash, uint256 count, uint256 licensesLeft);

    /// @notice Nobody earns a reward on a purchase of its own.
    error SelfReferral(address referrer);

    /// @notice The purchase costs more than the buyer is ready to pay.
    error CostAboveMax(uint256 cost, uint256 maxCost);

    /// @notice The coins sent do not cover the cost.
    error PaymentTooLow(uint256 value, uint256 cost);

    /// @notice The sale is not in the native coin.
    error UnexpectedPayment(uint256 value);

    /// @notice The token did not bring exactly the cost: such as fee-on-transfer tokens do.
    error PaymentNotExact(uint256 cost, uint256 balanceBefore, uint256 balanceAfter);

    /// @notice The recipient did not take the coins.
    error CoinsRefused(address recipient, uint256 amount);

    /// @notice There is nothing to pay this account.
    error NothingOwed(address account);

    /// @notice What the sale is paid in leaves as proceeds and rewards.
    error NotStray(address token);

    /// @notice The withdrawal moved what the sale is paid in.
    error BalanceFell(uint256 balanceBefore, uint256 balanceAfter);

    /*//////////////////////////////////////////////////////////////////////////
                                      FUNCTIONS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Buys licenses. A sale in the native coin takes the cost from the coins sent and
    /// returns the rest to the caller; one in a token pulls exactly the cost from the caller.
    function buy(Order calldata order) external payable returns (uint256 firstTokenId, uint256 cost);

    /// @notice Pays the caller's rewards.
    function claimReward(address recipient) external returns (uint256 amount);

    /// @notice Pays everything that is not owed to referrers. Owner.
    function withdrawProceeds(address recipient) external returns (uint256 amount);

    /// @notice Sends ERC-20 tokens that came here by mistake. Owner. Proceeds and rewards are none of them,
    /// under whatever address.
    function withdrawStrayToken(address strayToken, address recipient, uint256 amount) external;

    /// @notice Sets when the sale begins and ends. Owner.
    function setWindow(uint64 startsAt, uint64 endsAt) external;

    /// @notice Raises the most that one wallet buys; zero for no cap. Owner.
    function raiseWalletCap(uint32 walletCap) external;

    /// @notice Sets the allowlist's root; zero to let everyone buy. What `bought` says of an account
    /// counts against its allowance. Owner.
    function setAllowlist(bytes32 allowlistRoot) external;

    /// @notice Sets what a promo code does; with `licensesLeft` zero it ends. Owner.
    function setCode(bytes32 codeHash, Code calldata code) external;

    /// @notice Stops buying. Owner.
    function pause() external;

    /// @notice Lets buying go on. Owner.
    function resume() external;

    /// @notice What `count` licenses would cost now, before the discount, and the discount. It does not
    /// say whether the caller may buy them.
    function quote(
        uint256 count,
        string calldata code
    ) external view returns (uint256 gross, uint256 discount);

    /// @notice The tiers.
    function tiers() external view returns (Tier[] memory);

    /// @notice The sale at a glance.
    function state() external view returns (SaleState memory);

    /// @notice What a promo code does.
    function codeOf(bytes32 codeHash) external view returns (Code memory);

    /// @notice How many licenses an account has bought while there was a wallet cap or an allowlist:
    /// without either nothing is counted.
    function bought(address buyer) external view returns (uint256);

    /// @notice What an account can claim in rewards.
    function rewardOf(address referrer) external view returns (uint256);

    /// @notice What all accounts together can claim in rewards.
    function rewardsOwed() external view returns (uint256);

    /// @notice What the owner can withdraw: the balance without the rewards owed.
    function proceeds() external view returns (uint256);
}
