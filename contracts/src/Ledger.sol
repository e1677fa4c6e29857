// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @dev All that a claim reads and writes of a distributor besides the root's entry and the account's
/// place, in one word: the active total and what was paid in 112 bits each (they count five thousand
/// million million tokens of 18 decimals), and the end of the last pause in 32 (until 2106). A word and
/// not a struct, because the compiler reads a struct's slot again before it writes it.
type Ledger is uint256;

using Ledgers for Ledger global;

/// @title Ledgers
library Ledgers {
    uint256 private constant TOTAL_BITS = 112;
    uint256 private constant TIME_BITS = 32;

    /// @dev The caller sees to it that each value fits.
    function pack(uint256 activeTotal_, uint256 paid_, uint256 pausedUntil_) internal pure returns (Ledger) {
        return Ledger.wrap(activeTotal_ << (TOTAL_BITS + TIME_BITS) | paid_ << TIME_BITS | pausedUntil_);
    }

    /// @dev The largest total of the commits that were claimed against.
    function activeTotal(Ledger ledger) internal pure returns (uint256) {
        return Ledger.unwrap(ledger) >> (TOTAL_BITS + TIME_BITS);
    }

    /// @dev The sum of all claims; never more than the active total.
    function paid(Ledger ledger) internal pure returns (uint256) {
        return Ledger.unwrap(ledger) >> TIME_BITS & type(uint112).max;
    }

    /// @dev When the last pause ends, or ended; zero before the first.
    function pausedUntil(Ledger ledger) internal pure returns (uint256) {
        return Ledger.unwrap(ledger) & type(uint32).max;
    }
}
