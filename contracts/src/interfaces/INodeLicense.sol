// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice Parameters of a collection; all of them are part of its CREATE2 address.
/// @param name Its name: 1 to 64 printable ASCII characters without `"`, `\`, `<`, `>` and `&`, so
/// that it needs no escaping in JSON and SVG.
/// @param symbol Its symbol, by the same rule.
/// @param owner Sets minter and royalty, renews licenses, shortens the transfer lock.
/// @param minter Mints licenses; zero for none yet.
/// @param maxSupply Most licenses there will ever be; zero for no limit.
/// @param term Seconds from mint to expiry of a license; zero for licenses that never expire.
/// @param lockedUntil First second in which licenses can be transferred; zero for always.
/// @param royaltyReceiver Who is due a royalty of resales; zero if the royalty is zero.
/// @param royaltyBps Royalty in hundredths of a percent.
struct LicenseParams {
    string name;
    string symbol;
    address owner;
    address minter;
    uint256 maxSupply;
    uint64 term;
    uint64 lockedUntil;
    address royaltyReceiver;
    uint16 royaltyBps;
}

/// @title License collection of one workload
/// @notice ERC-721 whose tokens are licenses, with ERC-4907 rental, ERC-5643 expiry (if the
/// collection has a term), ERC-2981 royalty, an optional transfer lock and metadata on chain.
///
/// Rental binds the holder: while it runs (up to and including the second `userExpires`) the holder
/// can neither end nor replace it, and it survives a transfer. Only the renter can end it early.
///
/// Expiry: a license is valid before the second `expiresAt`; from then on nobody may run it, until
/// it is renewed. A rental ends before the license expires: a longer one is refused, and a license
/// cannot be cancelled while a rental runs. So `userOf` is zero once a license has expired, and
/// whoever asks who may run it checks `expiresAt` (zero: never) besides.
///
/// Licenses are never burned: their ids are 1 to `totalSupply`.
interface INodeLicense {
    /*//////////////////////////////////////////////////////////////////////////
                                       EVENTS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice The account that may mint changed.
    event MinterSet(address indexed previousMinter, address indexed newMinter);

    /// @notice The royalty of resales changed.
    event RoyaltySet(address indexed receiver, uint16 bps);

    /// @notice The first second in which licenses can be transferred was set, or brought forward.
    event TransferLockSet(uint64 lockedUntil);

    /*//////////////////////////////////////////////////////////////////////////
                                       ERRORS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice A name or symbol has 1 to 64 printable ASCII characters, none of them `"`, `\`, `<`,
    /// `>` or `&`.
    error InvalidText(string text);

    /// @notice A term is at most `maxTerm` seconds.
    error InvalidTerm(uint64 term, uint64 maxTerm);

    /// @notice A royalty is at most `maxBps` and goes to an account, unless it is zero.
    error InvalidRoyalty(address receiver, uint16 bps, uint16 maxBps);

    /// @notice Only the minter may do this.
    error NotMinter(address caller, address minter);

    /// @notice A batch has 1 to `maxCount` licenses.
    error InvalidBatch(uint256 count, uint256 maxCount);

    /// @notice There would be more licenses than the collection may ever have.
    error SupplyExceeded(uint256 count, uint256 totalSupply, uint256 maxSupply);

    /// @notice The caller is neither holder nor approved for the license.
    error NotHolderOrApproved(uint256 tokenId, address caller, address holder);

    /// @notice The rental runs until `expires`; only the renter can end it before, and the holder
    /// can only extend it for the same renter.
    error RentalRunning(uint256 tokenId, address renter, uint64 expires);

    /// @notice The rental would be over before it begins.
    error RentalOver(uint256 tokenId, uint64 expires, uint256 timestamp);

    /// @notice The rental would outlast the license.
    error RentalBeyondExpiry(uint256 tokenId, uint64 expires, uint64 licenseExpiresAt);

    /// @notice The license never expires, so it is neither renewed nor cancelled.
    error NeverExpires(uint256 tokenId);

    /// @notice Only owner and minter renew.
    error NotRenewer(address caller, address owner, address minter);

    /// @notice A renewal has at least one second, and a license expires at most `maxTerm` seconds
    /// from now.
    error InvalidRenewal(uint256 tokenId, uint64 duration, uint64 expiresAt, uint64 maxTerm);

    /// @notice The license has expired already.
    error LicenseExpired(uint256 tokenId, uint64 expiresAt, uint256 timestamp);

    /// @notice The collection takes no payment.
    error UnexpectedPayment(address caller, uint256 value);

    /// @notice The license cannot be transferred yet.
    error TransferLocked(uint256 tokenId, uint64 lockedUntil, uint256 timestamp);

    /// @notice The transfer lock can only be shortened.
    error LockNotShortened(uint64 lockedUntil, uint64 requested);

    /*//////////////////////////////////////////////////////////////////////////
                                      FUNCTIONS
    //////////////////////////////////////////////////////////////////////////*/

    /// @notice Mints the next license to `to`. Minter.
    function mint(address to) external returns (uint256 tokenId);

    /// @notice Mints the next `count` licenses to `to`, at most 1,000. Minter.
    /// @return firstTokenId The others follow it in sequence.
    function mintBatch(address to, uint256 count) external returns (uint256 firstTokenId);

    /// @notice Sets the account that may mint; zero stops minting. Owner.
    function setMinter(address newMinter) external;

    /// @notice Sets the royalty of resales, at most 10 percent. Owner.
    function setRoyalty(address receiver, uint16 bps) external;

    /// @notice Brings the end of the transfer lock forward. Owner.
    function shortenLock(uint64 newLockedUntil) external;

    /// @notice The account that may mint.
    function minter() external view returns (address);

    /// @notice How many licenses exist. Their ids are 1 to this number; none is ever burned.
    function totalSupply() external view returns (uint256);

    /// @notice Most licenses there will ever be; zero for no limit.
    function maxSupply() external view returns (uint256);

    /// @notice Seconds from mint to expiry; zero if licenses never expire.
    function term() external view returns (uint64);

    /// @notice First second in which licenses can be transferred; zero or past if they can be.
    function lockedUntil() external view returns (uint64);
}
