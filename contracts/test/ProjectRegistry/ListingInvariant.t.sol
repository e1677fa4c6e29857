// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {ProjectRegistry} from "../../src/ProjectRegistry.sol";
import {Listing, ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {BaseTest} from "../Base.t.sol";
import {ChangingCollection} from "../Mocks.sol";

/// @dev Lists and delists three collections in the four places of two projects, at any time, and keeps
/// what the events say. What the books forbid is tried too, and has to fail.
contract ListingHandler is Test {
    struct Entry {
        uint256 collection;
        uint256 place;
        uint256 fromDay;
        uint256 untilDay;
    }

    uint256 public constant COLLECTIONS = 3;
    uint256 public constant PLACES = 4;

    ProjectRegistry private immutable REGISTRY;
    address private immutable OWNER;

    address[COLLECTIONS] public collections;
    address[2] private _projects;
    Entry[] private _entries;

    constructor(ProjectRegistry registry, address owner, address first, address second) {
        (REGISTRY, OWNER) = (registry, owner);
        (_projects[0], _projects[1]) = (first, second);
        for (uint256 i; i < COLLECTIONS; ++i) {
            collections[i] = address(new ChangingCollection(owner));
        }
    }

    function wait(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 5 days));
    }

    function list(uint256 collection, uint256 place) external {
        (collection, place) = (collection % COLLECTIONS, place % PLACES);
        (address project, string memory workload) = placeOf(place);
        bool free = !_isListedNow(collection) && collectionNow(place) == address(0);
        vm.prank(OWNER);
        if (!free) vm.expectRevert();
        REGISTRY.listCollection(project, workload, collections[collection]);
        if (free) _entries.push(Entry(collection, place, today(), 0));
    }

    function delist(uint256 collection) external {
        collection %= COLLECTIONS;
        (bool found, uint256 at) = _current(collection);
        bool possible = found && _entries[at].untilDay == 0;
        vm.prank(OWNER);
        if (!possible) vm.expectRevert();
        REGISTRY.delistCollection(collections[collection]);
        // Seven days are the timelock of both projects.
        if (possible) _entries[at].untilDay = (vm.getBlockTimestamp() + 7 days) / 1 days + 1;
    }

    function today() public view returns (uint256) {
        return vm.getBlockTimestamp() / 1 days;
    }

    function entries() external view returns (Entry[] memory) {
        return _entries;
    }

    function placeOf(uint256 place) public view returns (address project, string memory workload) {
        return (_projects[place / 2], place % 2 == 0 ? "render" : "store");
    }

    /// @dev By the books, not by the contract.
    function collectionNow(uint256 place) public view returns (address) {
        for (uint256 i; i < _entries.length; ++i) {
            if (_entries[i].place == place && _runs(_entries[i])) return collections[_entries[i].collection];
        }
        return address(0);
    }

    function lastListing(uint256 collection) external view returns (Listing memory listing) {
        for (uint256 i; i < _entries.length; ++i) {
            if (_entries[i].collection != collection) continue;
            (listing.project, listing.workload) = placeOf(_entries[i].place);
            // Days of a test fit.
            // forge-lint: disable-next-line(unsafe-typecast)
            (listing.fromDay, listing.untilDay) = (uint48(_entries[i].fromDay), uint48(_entries[i].untilDay));
        }
    }

    function _isListedNow(uint256 collection) private view returns (bool found) {
        (found,) = _current(collection);
    }

    function _current(uint256 collection) private view returns (bool found, uint256 at) {
        for (uint256 i; i < _entries.length; ++i) {
            if (_entries[i].collection == collection && _runs(_entries[i])) return (true, i);
        }
    }

    function _runs(Entry memory entry) private view returns (bool) {
        return entry.untilDay == 0 || today() < entry.untilDay;
    }
}

contract ListingInvariantTest is BaseTest {
    ListingHandler private handler;

    function setUp() public override {
        super.setUp();
        ProjectParams memory params = defaultParams();
        params.name = "other";
        address other = address(newProject(OWNER, params));
        handler = new ListingHandler(registry, OWNER, address(distributor), other);
        targetContract(address(handler));
        bytes4[] memory acts = new bytes4[](3);
        acts[0] = ListingHandler.wait.selector;
        acts[1] = ListingHandler.list.selector;
        acts[2] = ListingHandler.delist.selector;
        targetSelector(FuzzSelector(address(handler), acts));
    }

    /// @dev A day of a collection, and of a workload, is paid by one listing at most.
    function invariant_noTwoListingsShareADay() external view {
        ListingHandler.Entry[] memory entries = handler.entries();
        for (uint256 i; i < entries.length; ++i) {
            for (uint256 k; k < i; ++k) {
                bool same =
                    entries[i].collection == entries[k].collection || entries[i].place == entries[k].place;
                if (!same) continue;
                assertNotEq(entries[k].untilDay, 0);
                assertLe(entries[k].untilDay, entries[i].fromDay);
            }
        }
    }

    function invariant_theViewsTellWhatIsListed() external view {
        for (uint256 i; i < handler.COLLECTIONS(); ++i) {
            assertEq(
                abi.encode(registry.listingOf(handler.collections(i))), abi.encode(handler.lastListing(i))
            );
        }
        for (uint256 i; i < handler.PLACES(); ++i) {
            (address project, string memory workload) = handler.placeOf(i);
            assertEq(registry.collectionOf(project, workload), handler.collectionNow(i));
        }
    }
}
