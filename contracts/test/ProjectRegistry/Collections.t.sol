// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NodeLicense} from "../../src/NodeLicense.sol";
import {IProjectRegistry, Listing, ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {BaseTest} from "../Base.t.sol";
import {OddCollection, YesCollection} from "../Mocks.sol";

contract CollectionsTest is BaseTest {
    // forge-lint: disable-next-line(unsafe-typecast)
    uint64 private constant TODAY = uint64(CREATION_DAY);

    address private project;
    uint64 private until;

    function setUp() public override {
        super.setUp();
        project = address(distributor);
        until = uint64(vm.getBlockTimestamp()) + 1 days;
    }

    function list(string memory workload, address collection) private {
        vm.prank(OWNER);
        registry.listCollection(project, workload, collection);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       LISTED
    //////////////////////////////////////////////////////////////////////////*/

    function test_listsTheOwnersCollection() external {
        address collection = address(newLicense(OWNER));
        vm.expectEmit(address(registry));
        emit IProjectRegistry.CollectionListed(project, collection, "render", TODAY);
        list("render", collection);

        assertEq(registry.collectionOf(project, "render"), collection);
        Listing memory listing = registry.listingOf(collection);
        assertEq(listing.project, project);
        assertEq(listing.fromDay, CREATION_DAY);
        assertEq(listing.untilDay, 0);
        assertEq(listing.workload, "render");
    }

    function test_unknownCollectionsAreEmpty() external view {
        assertEq(registry.collectionOf(project, "render"), address(0));
        Listing memory empty;
        assertEq(abi.encode(registry.listingOf(STRANGER)), abi.encode(empty));
        assertEq(abi.encode(registry.listingOf(address(0))), abi.encode(empty));
    }

    function test_listsAnothersCollectionWithConsent() external {
        address collection = address(newLicense(ALICE));
        assertEq(registry.listingConsent(collection, project, "render"), 0);

        vm.expectEmit(address(registry));
        emit IProjectRegistry.ListingConsentSet(collection, project, ALICE, "render", until);
        vm.prank(ALICE);
        registry.consentToListing(collection, project, "render", until);
        assertEq(registry.listingConsent(collection, project, "render"), until);
        vm.warp(until - 1);
        list("render", collection);
        assertEq(registry.listingConsent(collection, project, "render"), 0);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                       REFUSED
    //////////////////////////////////////////////////////////////////////////*/

    function test_revertWhen_notConsented() external {
        address collection = address(newLicense(ALICE));
        refuseListing(collection, ALICE);

        vm.startPrank(ALICE);
        registry.consentToListing(collection, project, "render", until);
        registry.consentToListing(collection, project, "render", 0);
        vm.stopPrank();
        assertEq(registry.listingConsent(collection, project, "render"), 0);
        refuseListing(collection, ALICE);
    }

    function test_revertWhen_theConsentHasEnded() external {
        address collection = address(newLicense(ALICE));
        vm.prank(ALICE);
        registry.consentToListing(collection, project, "render", until);
        vm.warp(until);
        assertEq(registry.listingConsent(collection, project, "render"), 0);
        refuseListing(collection, ALICE);
    }

    function test_revertWhen_theConsentIsForAnotherWorkload() external {
        address collection = address(newLicense(ALICE));
        vm.prank(ALICE);
        registry.consentToListing(collection, project, "store", until);
        refuseListing(collection, ALICE);
        list("store", collection);
    }

    /// @dev Alice consented to what OWNER does with it. Whoever buys the project asks again.
    function test_revertWhen_theProjectWasSold() external {
        address collection = address(newLicense(ALICE));
        vm.prank(ALICE);
        registry.consentToListing(collection, project, "render", until);
        vm.prank(OWNER);
        registry.transferProject(project, BOB);
        vm.startPrank(BOB);
        registry.acceptProject(project);
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.ListingNotConsented.selector, collection, project, ALICE)
        );
        registry.listCollection(project, "render", collection);
    }

    function test_revertWhen_theConsentIsAFormerOwners() external {
        NodeLicense collection = newLicense(ALICE);
        vm.startPrank(ALICE);
        registry.consentToListing(address(collection), project, "render", until);
        collection.transferOwnership(BOB);
        vm.stopPrank();
        vm.prank(BOB);
        collection.acceptOwnership();
        refuseListing(address(collection), BOB);
    }

    function test_revertWhen_theConsentIsForAnotherProject() external {
        ProjectParams memory params = defaultParams();
        params.name = "other";
        address other = address(newProject(address(this), params));
        address collection = address(newLicense(ALICE));
        vm.prank(ALICE);
        registry.consentToListing(collection, other, "render", until);
        refuseListing(collection, ALICE);
    }

    function refuseListing(address collection, address collectionOwner) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.ListingNotConsented.selector, collection, project, collectionOwner
            )
        );
        list("render", collection);
    }

    function test_revertWhen_notTheProjectsOwner() external {
        address collection = address(newLicense(ALICE));
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.NotProjectOwner.selector, project, ALICE, OWNER)
        );
        vm.prank(ALICE);
        registry.listCollection(project, "render", collection);
    }

    function test_revertWhen_theProjectIsUnknown() external {
        address collection = address(newLicense(ALICE));
        bytes memory reason = abi.encodeWithSelector(IProjectRegistry.UnknownProject.selector, STRANGER);
        vm.startPrank(ALICE);
        vm.expectRevert(reason);
        registry.listCollection(STRANGER, "render", collection);
        vm.expectRevert(reason);
        registry.consentToListing(collection, STRANGER, "render", until);
    }

    function test_revertWhen_theWorkloadsNameBreaksTheGrammar() external {
        address collection = address(newLicense(OWNER));
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.InvalidName.selector, "Render"));
        list("Render", collection);
    }

    function test_revertWhen_theWorkloadIsTaken() external {
        address first = address(newLicense(OWNER));
        address second = address(newLicense(OWNER));
        list("render", first);
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.WorkloadTaken.selector, project, "render", first)
        );
        list("render", second);
    }

    function test_revertWhen_theCollectionIsListed() external {
        address collection = address(newLicense(OWNER));
        list("render", collection);
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.CollectionAlreadyListed.selector, collection, project)
        );
        list("store", collection);
    }

    function test_revertWhen_notACollection() external {
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.NotCollection.selector, address(token)));
        list("render", address(token));
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.NotCollection.selector, STRANGER));
        list("render", STRANGER);
        // Whoever says yes to every question has not understood it.
        address yes = address(new YesCollection());
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.NotCollection.selector, yes));
        list("render", yes);
    }

    function test_revertWhen_theCollectionTellsNoOwner() external {
        // Zero, no word at all, and a word that is no address.
        uint256[3] memory words = [uint256(0), 1, type(uint256).max];
        for (uint256 i; i < words.length; ++i) {
            address odd = address(new OddCollection(words[i]));
            bytes memory reason =
                abi.encodeWithSelector(IProjectRegistry.CollectionOwnerUnknown.selector, odd);
            vm.expectRevert(reason);
            list("render", odd);
            vm.expectRevert(reason);
            registry.consentToListing(odd, project, "render", until);
            vm.expectRevert(reason);
            registry.listingConsent(odd, project, "render");
        }
    }

    function test_consent_revertWhen_notTheCollectionsOwner() external {
        address collection = address(newLicense(ALICE));
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.NotCollectionOwner.selector, collection, BOB, ALICE)
        );
        vm.prank(BOB);
        registry.consentToListing(collection, project, "render", until);
    }

    function test_consent_revertWhen_theWorkloadsNameBreaksTheGrammar() external {
        address collection = address(newLicense(ALICE));
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.InvalidName.selector, "Render"));
        vm.prank(ALICE);
        registry.consentToListing(collection, project, "Render", until);
    }
}
