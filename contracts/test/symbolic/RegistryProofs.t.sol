// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {RegistryHarness} from "./RegistryHarness.sol";

/// @dev Symbolic proofs of the registry's rules about time, run by halmos as {DistributorProofs}.
contract RegistryProofs is Test {
    /// @dev Noon of a day far from zero.
    uint256 private constant TIME = 20_000 days + 12 hours;
    address private constant OWNER = address(0xa11ce);
    address private constant OPERATOR = address(0x0b);
    address private constant PROJECT = address(0x9207);
    address private constant KEY = address(0x4e1);
    address private constant OTHER_KEY = address(0x4e2);

    RegistryHarness private registry;

    function setUp() public {
        vm.warp(TIME);
        registry = new RegistryHarness(OPERATOR);
        registry.setProject(PROJECT, OWNER);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                     RECEIPT KEYS
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev A change of a key; what is recorded of it and of the key that somebody asks about; the time of which
    /// they ask, which has passed.
    struct Case {
        uint64 validFrom;
        uint64 validUntil;
        uint64 oldFrom;
        uint64 oldUntil;
        uint64 networksFrom;
        uint64 networksUntil;
        uint64 ownFrom;
        uint64 timestamp;
    }

    /// @dev In any state, whatever the network records: what counted as a receipt key at a time that has passed
    /// still does, and nothing else does.
    function check_setReceiptKey_thePastStays_network(Case memory c) external {
        _checkThePastStays(c, address(0), OPERATOR, KEY);
    }

    /// @dev The same of what a project records for itself of that key.
    function check_setReceiptKey_thePastStays_project(Case memory c) external {
        _checkThePastStays(c, PROJECT, OWNER, KEY);
    }

    /// @dev The same of another key, which may be the project's first.
    function check_setReceiptKey_thePastStays_projectsOther(Case memory c) external {
        _checkThePastStays(c, PROJECT, OWNER, OTHER_KEY);
    }

    function _checkThePastStays(Case memory c, address of_, address sender, address key) private {
        vm.assume(c.timestamp < TIME);
        // What the registry keeps: a project's own keys count from the first of them on.
        vm.assume(c.oldFrom >= c.oldUntil || (c.ownFrom != 0 && c.ownFrom <= c.oldFrom));
        registry.setValidity(address(0), KEY, c.networksFrom, c.networksUntil);
        registry.setValidity(PROJECT, key, c.oldFrom, c.oldUntil);
        registry.setOwnReceiptKeysFrom(PROJECT, c.ownFrom);
        bool before = registry.isReceiptKeyAt(PROJECT, KEY, c.timestamp);

        vm.prank(sender);
        registry.setReceiptKey(of_, key, c.validFrom, c.validUntil);

        assert(registry.isReceiptKeyAt(PROJECT, KEY, c.timestamp) == before);
        // What was assumed is kept, so the proof holds after any number of changes.
        uint64 ownFrom = registry.ownReceiptKeysFrom(PROJECT);
        (uint64 from, uint64 until) = registry.receiptKeyOf(PROJECT, key);
        assert(from >= until || (ownFrom != 0 && ownFrom <= from));
    }
}
