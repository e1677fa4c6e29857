// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NodeLicense} from "../../src/NodeLicense.sol";
import {IProjectRegistry, Listing, ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {BaseTest} from "../Base.t.sol";
import {ChangingCollection} from "../Mocks.sol";

contract DelistTest is BaseTest {
    // Seven days from noon of the creation's day: the seventh day after it is the last.
    // Days of a test fit.
    // forge-lint: disable-next-line(unsafe-typecast)
    uint48 private constant UNTIL_DAY = uint48(CREATION_DAY + 8);

    address private project;
    NodeLicense private collection;

    function setUp() public override {
        super.setUp();
        project = address(distributor);
        collection = newLicense(ALICE);
        consent(project, "render");
        list(project, "render");
    }

    function consent(address to, string memory workload) private {
        vm.prank(collection.owner());
        registry.consentToListing(address(collection), to, workload, type(uint64).max);
    }

    function list(address in_, string memory workload) private {
        vm.prank(OWNER);
        registry.listCollection(in_, workload, address(collection));
    }

    function delist() private {
        vm.prank(ALICE);
        registry.delistCollection(address(collection));
    }

    function newProject(string memory name) private returns (address) {
        ProjectParams memory params = defaultParams();
        params.name = name;
        return address(newProject(OWNER, params));
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      THE END
    //////////////////////////////////////////////////////////////////////////*/

    function test_announcesTheEnd() external {
        vm.expectEmit(address(registry));
        emit IProjectRegistry.CollectionDelisted(project, address(collection), UNTIL_DAY);
        delist();
        Listing memory listing = registry.listingOf(address(collection));
        assertEq(listing.project, project);
        assertEq(listing.fromDay, CREATION_DAY);
        assertEq(listing.untilDay, UNTIL_DAY);
        assertEq(listing.workload, "render");
        assertEq(registry.collectionOf(project, "render"), address(collection));
    }

    /// @dev The whole of a day is on one side, and the notice is a timelock at least.
    function testFuzz_theLastDayIsThatInWhichTheTimelockPasses(uint256 time, uint64 timelock) external {
        time = bound(time, vm.getBlockTimestamp(), vm.getBlockTimestamp() + 3650 days);
        timelock = uint64(bound(timelock, TIMELOCK + 1, 30 days));
        vm.prank(OWNER);
        distributor.raiseTimelock(timelock);
        vm.warp(time);
        delist();
        uint256 end = uint256(registry.listingOf(address(collection)).untilDay) * 1 days;
        assertGt(end, time + timelock);
        assertLe(end, time + timelock + 1 days);
    }

    /// @dev Whenever a collection is delisted and somebody tries to list again, and however long the timelock is:
    /// each day of the collection, and of the workload, is one listing's. None is two's, and none is lost to who
    /// lists again on the first day that is free. A fuzzed test, because a solver does not end with the division
    /// into days.
    function testFuzz_noDayIsTwosAndNoneIsLost(
        uint256 delistedAt,
        uint256 againAt,
        uint64 timelock
    ) external {
        address other = newProject("other");
        NodeLicense another = newLicense(OWNER);
        delistedAt = bound(delistedAt, vm.getBlockTimestamp(), vm.getBlockTimestamp() + 3650 days);
        timelock = uint64(bound(timelock, TIMELOCK + 1, 30 days));
        // Around the end, where it matters.
        againAt = bound(againAt, delistedAt, delistedAt + timelock + 3 days);
        vm.prank(OWNER);
        distributor.raiseTimelock(timelock);
        vm.warp(delistedAt);
        delist();
        consent(other, "render");
        uint256 untilDay = registry.listingOf(address(collection)).untilDay;

        vm.warp(againAt);
        bool over = againAt / 1 days >= untilDay;
        assertEq(registry.collectionOf(project, "render"), over ? address(0) : address(collection));
        assertEq(tryListing(other, address(collection)), over);
        assertEq(tryListing(project, address(another)), over);
        if (over) assertEq(registry.listingOf(address(collection)).fromDay, againAt / 1 days);
    }

    function tryListing(address in_, address listed) private returns (bool success) {
        vm.prank(OWNER);
        (success,) = address(registry).call(abi.encodeCall(registry.listCollection, (in_, "render", listed)));
    }

    /// @dev The notice is the timelock's length when the end is announced.
    function test_aTimelockRaisedLaterMovesNothing() external {
        delist();
        vm.prank(OWNER);
        distributor.raiseTimelock(30 days);
        assertEq(registry.listingOf(address(collection)).untilDay, UNTIL_DAY);
    }

    function test_stands_untilTheEnd() external {
        delist();
        address other = newProject("other");
        consent(other, "render");
        consent(project, "store");
        NodeLicense another = newLicense(OWNER);
        vm.warp(uint256(UNTIL_DAY) * 1 days - 1);
        assertEq(registry.collectionOf(project, "render"), address(collection));
        bytes memory listed = abi.encodeWithSelector(
            IProjectRegistry.CollectionAlreadyListed.selector, address(collection), project
        );
        vm.expectRevert(listed);
        list(other, "render");
        vm.expectRevert(listed);
        list(project, "store");
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.WorkloadTaken.selector, project, "render", address(collection)
            )
        );
        vm.prank(OWNER);
        registry.listCollection(project, "render", address(another));
    }

    function test_freesCollectionAndWorkload() external {
        delist();
        vm.warp(uint256(UNTIL_DAY) * 1 days);
        assertEq(registry.collectionOf(project, "render"), address(0));
        // Whose its days were is still told.
        Listing memory over = registry.listingOf(address(collection));
        assertEq(over.project, project);
        assertEq(over.untilDay, UNTIL_DAY);

        // The collection elsewhere, and another in its place: neither hides the other.
        address other = newProject("other");
        consent(other, "store");
        vm.expectEmit(address(registry));
        emit IProjectRegistry.CollectionListed(other, address(collection), "store", UNTIL_DAY);
        list(other, "store");
        assertEq(registry.collectionOf(project, "render"), address(0));
        address another = address(newLicense(OWNER));
        vm.prank(OWNER);
        registry.listCollection(project, "render", another);
        assertEq(registry.collectionOf(project, "render"), another);
        assertEq(registry.collectionOf(other, "store"), address(collection));
        assertEq(registry.listingOf(address(collection)).project, other);
        assertEq(registry.listingOf(address(collection)).untilDay, 0);
    }

    function test_listsItAnewInItsPlace() external {
        delist();
        vm.warp(uint256(UNTIL_DAY) * 1 days);
        consent(project, "render");
        list(project, "render");
        assertEq(registry.collectionOf(project, "render"), address(collection));
        assertEq(registry.listingOf(address(collection)).fromDay, UNTIL_DAY);
        delist();
        assertEq(registry.listingOf(address(collection)).untilDay, UNTIL_DAY + 8);
    }

    /// @dev Else the project could keep what its owner took away.
    function test_theOldConsentListsItNoMore() external {
        delist();
        vm.warp(uint256(UNTIL_DAY) * 1 days);
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.ListingNotConsented.selector, address(collection), project, ALICE
            )
        );
        list(project, "render");
    }

    function test_aNewOwnerOfTheCollectionDelists() external {
        vm.prank(ALICE);
        collection.transferOwnership(BOB);
        vm.prank(BOB);
        collection.acceptOwnership();
        vm.prank(BOB);
        registry.delistCollection(address(collection));
        assertEq(registry.listingOf(address(collection)).untilDay, UNTIL_DAY);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                      REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_notListed() external {
        address unlisted = address(newLicense(ALICE));
        bytes memory reason = abi.encodeWithSelector(IProjectRegistry.NotListed.selector, unlisted);
        vm.expectRevert(reason);
        vm.prank(ALICE);
        registry.delistCollection(unlisted);

        delist();
        vm.warp(uint256(UNTIL_DAY) * 1 days);
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.NotListed.selector, address(collection)));
        delist();
    }

    /// @dev Whoever owns the project: it must not take the licenses' rewards away.
    function test_revertWhen_notTheCollectionsOwner() external {
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.NotCollectionOwner.selector, address(collection), OWNER, ALICE
            )
        );
        vm.prank(OWNER);
        registry.delistCollection(address(collection));
    }

    /// @dev It cannot be withdrawn, nor put off.
    function test_revertWhen_theEndIsAnnounced() external {
        delist();
        vm.warp(vm.getBlockTimestamp() + 3 days);
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.AlreadyDelisted.selector, address(collection), UNTIL_DAY)
        );
        delist();
    }

    /// @dev Then the listing is for good: nobody speaks for the collection.
    function test_revertWhen_theOwnerIsNotToldAnyMore() external {
        ChangingCollection changing = new ChangingCollection(OWNER);
        vm.startPrank(OWNER);
        registry.listCollection(project, "store", address(changing));
        changing.setOwner(address(0));
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.CollectionOwnerUnknown.selector, address(changing))
        );
        registry.delistCollection(address(changing));
    }
}
