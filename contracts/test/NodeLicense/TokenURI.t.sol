// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {LicenseMetadata} from "../../src/LicenseMetadata.sol";
import {NodeLicense} from "../../src/NodeLicense.sol";
import {LicenseParams} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

contract TokenURITest is LicenseBase {
    string private constant JSON_PREFIX = "data:application/json;base64,";
    string private constant SVG_PREFIX = "data:image/svg+xml;base64,";

    function setUp() public override {
        super.setUp();
        mintTo(licenses, BOB, 7);
        mintTo(terms, BOB, 7);
    }

    function metadataOf(
        NodeLicense collection,
        uint256 tokenId
    ) private view returns (string memory json, string memory svg) {
        json = string(decode(collection.tokenURI(tokenId), JSON_PREFIX));
        svg = string(decode(vm.parseJsonString(json, ".image"), SVG_PREFIX));
    }

    /// @dev Decodes base64 by hand: what is under test is not asked.
    function decode(string memory uri, string memory prefix) private pure returns (bytes memory out) {
        bytes memory text = bytes(uri);
        uint256 start = bytes(prefix).length;
        for (uint256 i; i < start; ++i) {
            assertEq(text[i], bytes(prefix)[i]);
        }
        uint256 length = (text.length - start) / 4 * 3;
        if (text[text.length - 1] == "=") --length;
        if (text[text.length - 2] == "=") --length;
        out = new bytes(length);
        uint256 next;
        for (uint256 i = start; i < text.length; i += 4) {
            uint256 word = digit(text[i]) << 18 | digit(text[i + 1]) << 12 | digit(text[i + 2]) << 6
                | digit(text[i + 3]);
            for (uint256 shift = 24; shift > 0 && next < length;) {
                shift -= 8;
                // The eight bits that are next.
                // forge-lint: disable-next-line(unsafe-typecast)
                out[next++] = bytes1(uint8(word >> shift));
            }
        }
    }

    function digit(bytes1 c) private pure returns (uint256) {
        uint8 code = uint8(c);
        if (c >= "A" && c <= "Z") return code - 65;
        if (c >= "a" && c <= "z") return code - 71;
        if (c >= "0" && c <= "9") return code + 4;
        if (c == "+") return 62;
        if (c == "/") return 63;
        assertTrue(c == "=");
        return 0;
    }

    function assertShows(string memory text, string memory part) private pure {
        assertTrue(vm.indexOf(text, part) != type(uint256).max, string.concat("no '", part, "' in ", text));
    }

    function test_revertWhen_thereIsNoSuchLicense() external {
        expectNoLicense(8);
        licenses.tokenURI(8);
    }

    function test_showsAPlainLicense() external view {
        (string memory json, string memory svg) = metadataOf(licenses, 7);
        assertEq(vm.parseJsonString(json, ".name"), "Acme Node #7");
        assertShows(vm.parseJsonString(json, ".description"), "ended by its renter alone");
        assertEq(vm.parseJsonString(json, ".attributes[0].trait_type"), "Rental");
        assertEq(vm.parseJsonString(json, ".attributes[0].value"), "none");
        assertFalse(vm.keyExistsJson(json, ".attributes[1]"));
        assertShows(svg, '<svg xmlns="http://www.w3.org/2000/svg"');
        assertShows(svg, ">Acme Node</text>");
        assertShows(svg, ">License #7</text>");
        assertShows(svg, ">Not rented out</text>");
        assertShows(svg, ">Never expires</text>");
        assertShows(svg, ">Transferable</text>");
    }

    function test_showsARunningRental() external {
        vm.prank(BOB);
        licenses.setUser(7, CAROL, 1_830_297_599);
        vm.prank(BOB);
        licenses.transferFrom(BOB, ALICE, 7);
        vm.warp(1_830_297_599);
        (string memory json, string memory svg) = metadataOf(licenses, 7);
        assertEq(vm.parseJsonString(json, ".attributes[0].value"), "running");
        assertEq(vm.parseJsonString(json, ".attributes[1].trait_type"), "Renter");
        assertEq(vm.parseJsonAddress(json, ".attributes[1].value"), CAROL);
        assertEq(vm.parseJsonString(json, ".attributes[2].trait_type"), "Rented until");
        assertEq(vm.parseJsonString(json, ".attributes[2].display_type"), "date");
        assertEq(vm.parseJsonUint(json, ".attributes[2].value"), 1_830_297_599);
        assertShows(svg, "only the renter can run it");
        assertShows(svg, string.concat(">to ", Strings.toChecksumHexString(CAROL), "</text>"));
        assertShows(svg, ">until 2027-12-31 23:59:59 UTC</text>");

        vm.warp(1_830_297_600);
        (json, svg) = metadataOf(licenses, 7);
        assertEq(vm.parseJsonString(json, ".attributes[0].value"), "none");
        assertShows(svg, ">Not rented out</text>");
    }

    function test_showsTheExpiry() external {
        (string memory json, string memory svg) = metadataOf(terms, 7);
        assertEq(vm.parseJsonString(json, ".attributes[1].trait_type"), "Expires");
        assertEq(vm.parseJsonUint(json, ".attributes[1].value"), START + TERM);
        assertShows(svg, ">Expires 2028-01-15 08:00:00 UTC</text>");
        vm.warp(START + TERM);
        (json, svg) = metadataOf(terms, 7);
        assertShows(svg, ">EXPIRED 2028-01-15 08:00:00 UTC</text>");
    }

    function test_showsTheTransferLock() external {
        LicenseParams memory params = defaultParams();
        params.lockedUntil = START + 1 hours;
        licenses = new NodeLicense(params);
        mintTo(licenses, BOB, 1);
        (string memory json, string memory svg) = metadataOf(licenses, 1);
        assertEq(vm.parseJsonString(json, ".attributes[1].trait_type"), "Transferable from");
        assertEq(vm.parseJsonUint(json, ".attributes[1].value"), START + 1 hours);
        assertShows(svg, ">Not transferable before 2027-01-15 09:00:00 UTC</text>");
        vm.warp(START + 1 hours);
        (json, svg) = metadataOf(licenses, 1);
        assertFalse(vm.keyExistsJson(json, ".attributes[1]"));
        assertShows(svg, ">Transferable</text>");
    }

    function test_showsDatesOfTheCalendar() external pure {
        assertEq(LicenseMetadata.utc(0), "1970-01-01 00:00:00 UTC");
        assertEq(LicenseMetadata.utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assertEq(LicenseMetadata.utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assertEq(LicenseMetadata.utc(951_868_800), "2000-03-01 00:00:00 UTC");
        assertEq(LicenseMetadata.utc(1_709_210_096), "2024-02-29 12:34:56 UTC");
        assertEq(LicenseMetadata.utc(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assertEq(LicenseMetadata.utc(253_402_300_799), "9999-12-31 23:59:59 UTC");
        assertEq(LicenseMetadata.utc(253_402_300_800), "second 253402300800");
        assertEq(LicenseMetadata.utc(type(uint64).max), "second 18446744073709551615");
    }

    /// @dev Every day's date follows the one before as a calendar has it.
    function testFuzz_theNextDayIsTheNextDate(uint256 day) external pure {
        day = bound(day, 0, 2_932_894);
        (uint256 y, uint256 m, uint256 d) = dateOf(day);
        (uint256 nextY, uint256 nextM, uint256 nextD) = dateOf(day + 1);
        uint256 length = m == 2
            ? (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 29 : 28)
            : (m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31);
        if (d < length) {
            assertEq(abi.encode(nextY, nextM, nextD), abi.encode(y, m, d + 1));
        } else {
            assertEq(d, length);
            assertEq(abi.encode(nextY, nextM, nextD), abi.encode(m == 12 ? y + 1 : y, m % 12 + 1, 1));
        }
    }

    function dateOf(uint256 day) private pure returns (uint256 y, uint256 m, uint256 d) {
        string[] memory parts = vm.split(vm.split(LicenseMetadata.utc(day * 1 days), " ")[0], "-");
        return (vm.parseUint(parts[0]), vm.parseUint(parts[1]), vm.parseUint(parts[2]));
    }
}
