// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// @title LicenseMetadata
/// @notice Metadata of one license as a data URI: JSON with an SVG. It says what a buyer has to know:
/// whether a rental runs, for whom and until when, when the license expires, whether it can be
/// transferred. Texts go in as they are: the collection admits only such as need no escaping.
library LicenseMetadata {
    using Strings for uint256;
    using Strings for address;

    /// @notice What there is to show.
    /// @param renter Who rents it now; zero if nobody does.
    /// @param rentedUntil Last second of that rental.
    /// @param expiresAt When the license expires; zero for never.
    /// @param lockedUntil When it can be transferred first; zero or past if it can be.
    struct Facts {
        string name;
        uint256 tokenId;
        address renter;
        uint64 rentedUntil;
        uint64 expiresAt;
        uint64 lockedUntil;
        uint64 timestamp;
    }

    string private constant DESCRIPTION =
        "The right to run one workload. A running rental can be ended by its renter alone and goes on after a transfer: the buyer of a rented license can run it only once the rental is over.";

    /// @notice The whole data URI.
    function uri(Facts memory facts) internal pure returns (string memory) {
        bytes memory json = abi.encodePacked(
            '{"name":"',
            _title(facts),
            '","description":"',
            DESCRIPTION,
            '","image":"data:image/svg+xml;base64,',
            Base64.encode(_svg(facts)),
            '","attributes":[',
            _attributes(facts),
            "]}"
        );
        return string.concat("data:application/json;base64,", Base64.encode(json));
    }

    /// @notice A time as `2026-01-31 23:59:59 UTC`; seconds since 1970 after the year 9999.
    function utc(uint256 secs) internal pure returns (string memory) {
        if (secs >= 253_402_300_800) return string.concat("second ", secs.toString());
        // Days since 0000-03-01, in eras of 400 years; a year begins in March, so a leap day is last.
        uint256 z = secs / 1 days + 719_468;
        uint256 dayOfEra = z % 146_097;
        uint256 yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
        uint256 dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        uint256 marchMonth = (5 * dayOfYear + 2) / 153;
        uint256 month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
        uint256 year = yearOfEra + z / 146_097 * 400 + (month <= 2 ? 1 : 0);
        uint256 day = dayOfYear - (153 * marchMonth + 2) / 5 + 1;
        return string.concat(
            year.toString(), "-", _twoDigits(month), "-", _twoDigits(day), " ", _timeOfDay(secs % 1 days)
        );
    }

    function _timeOfDay(uint256 secs) private pure returns (string memory) {
        return string.concat(
            _twoDigits(secs / 1 hours),
            ":",
            _twoDigits(secs / 1 minutes % 60),
            ":",
            _twoDigits(secs % 60),
            " UTC"
        );
    }

    function _twoDigits(uint256 number) private pure returns (string memory) {
        return string.concat(number < 10 ? "0" : "", number.toString());
    }

    function _title(Facts memory facts) private pure returns (string memory) {
        return string.concat(facts.name, " #", facts.tokenId.toString());
    }

    function _attributes(Facts memory facts) private pure returns (string memory list) {
        list = string.concat('{"trait_type":"Rental","value":"', _rented(facts) ? "running" : "none", '"}');
        if (_rented(facts)) {
            list = string.concat(
                list,
                ',{"trait_type":"Renter","value":"',
                facts.renter.toChecksumHexString(),
                '"}',
                _date("Rented until", facts.rentedUntil)
            );
        }
        if (facts.expiresAt != 0) list = string.concat(list, _date("Expires", facts.expiresAt));
        if (_locked(facts)) list = string.concat(list, _date("Transferable from", facts.lockedUntil));
    }

    function _date(string memory name, uint256 secs) private pure returns (string memory) {
        return
            string.concat(',{"display_type":"date","trait_type":"', name, '","value":', secs.toString(), "}");
    }

    function _svg(Facts memory facts) private pure returns (bytes memory) {
        return abi.encodePacked(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 270" font-family="sans-serif" fill="#fff">',
            '<rect width="480" height="270" fill="',
            _rented(facts) ? "#7a3b00" : "#12324a",
            '"/>',
            _line("56", "26", facts.name),
            _line("88", "20", string.concat("License #", facts.tokenId.toString())),
            _rentalLines(facts),
            _line("214", "14", _expiry(facts)),
            _line(
                "238",
                "14",
                _locked(facts)
                    ? string.concat("Not transferable before ", utc(facts.lockedUntil))
                    : "Transferable"
            ),
            "</svg>"
        );
    }

    function _rentalLines(Facts memory facts) private pure returns (string memory) {
        if (!_rented(facts)) return _line("132", "16", "Not rented out");
        return string.concat(
            _line("132", "16", "RENTED OUT: only the renter can run it, or end this"),
            _line("156", "14", string.concat("to ", facts.renter.toChecksumHexString())),
            _line("178", "14", string.concat("until ", utc(facts.rentedUntil)))
        );
    }

    function _expiry(Facts memory facts) private pure returns (string memory) {
        if (facts.expiresAt == 0) return "Never expires";
        return
            string.concat(facts.timestamp < facts.expiresAt ? "Expires " : "EXPIRED ", utc(facts.expiresAt));
    }

    function _line(
        string memory y,
        string memory size,
        string memory text
    ) private pure returns (string memory) {
        return string.concat('<text x="24" y="', y, '" font-size="', size, '">', text, "</text>");
    }

    function _rented(Facts memory facts) private pure returns (bool) {
        return facts.renter != address(0);
    }

    function _locked(Facts memory facts) private pure returns (bool) {
        return facts.timestamp < facts.lockedUntil;
    }
}
