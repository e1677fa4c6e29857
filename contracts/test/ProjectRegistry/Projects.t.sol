// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DistributorDeployer} from "../../src/DistributorDeployer.sol";
import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {IProjectRegistry, Project, ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {BaseTest} from "../Base.t.sol";

contract CreateProjectTest is BaseTest {
    function reserve(address project) private returns (uint64 from, uint64 until) {
        from = uint64(vm.getBlockTimestamp()) + RESERVATION_WAIT;
        until = uint64(vm.getBlockTimestamp()) + RESERVATION_LASTS;
        vm.expectEmit(address(registry));
        emit IProjectRegistry.ProjectReserved(project, from, until);
        vm.prank(STRANGER);
        registry.reserveProject(project);
        assertReserved(project, from, until);
    }

    function assertReserved(address project, uint64 from, uint64 until) private view {
        (uint64 knownFrom, uint64 knownUntil) = registry.reservationOf(project);
        assertEq(knownFrom, from);
        assertEq(knownUntil, until);
    }

    function refuseAt(
        uint256 time,
        ProjectParams memory params,
        address project,
        uint64 from,
        uint64 until
    ) private {
        vm.warp(time);
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.ProjectNotReserved.selector, project, from, until)
        );
        vm.prank(ALICE);
        registry.createProject(params);
    }

    function paramsNamed(string memory name) private view returns (ProjectParams memory params) {
        params = defaultParams();
        params.name = name;
    }

    function test_deploysTheDistributorAtTheForetoldAddress() external {
        ProjectParams memory params = paramsNamed("beta");
        address foretold = registry.projectAddress(ALICE, params);
        reserve(foretold);
        vm.warp(vm.getBlockTimestamp() + RESERVATION_WAIT);

        vm.expectEmit(address(registry));
        emit IProjectRegistry.ProjectCreated(
            foretold, ALICE, "beta", address(token), signer, GUARDIAN, QUOTA, DELAY, "ipfs://acme"
        );
        vm.prank(ALICE);
        address project = registry.createProject(params);

        assertEq(project, foretold);
        assertEq(RewardDistributor(project).registry(), address(registry));
        assertEq(RewardDistributor(project).owner(), ALICE);
        assertEq(registry.projectByName("beta"), project);
        assertEq(registry.projectOwner(project), ALICE);
        Project memory known = registry.projectOf(project);
        assertEq(known.owner, ALICE);
        assertEq(known.pendingOwner, address(0));
        assertEq(known.name, "beta");
        assertEq(known.metadataURI, "ipfs://acme");
    }

    function test_revertWhen_notReserved() external {
        ProjectParams memory params = paramsNamed("beta");
        address project = registry.projectAddress(ALICE, params);
        assertReserved(project, 0, 0);
        refuseAt(vm.getBlockTimestamp(), params, project, 0, 0);
    }

    function test_revertWhen_reservedTooShortlyOrTooLongAgo() external {
        ProjectParams memory params = paramsNamed("beta");
        address project = registry.projectAddress(ALICE, params);
        (uint64 from, uint64 until) = reserve(project);
        refuseAt(from - 1, params, project, from, until);
        refuseAt(until, params, project, from, until);

        // It can be reserved anew, and that is used up by the creation.
        (from, until) = reserve(project);
        vm.warp(until - 1);
        vm.prank(ALICE);
        assertEq(registry.createProject(params), project);
        assertReserved(project, 0, 0);
    }

    function test_reservingAgainChangesNothing() external {
        address project = registry.projectAddress(ALICE, paramsNamed("beta"));
        (uint64 from, uint64 until) = reserve(project);
        vm.warp(until - 1);
        vm.recordLogs();
        vm.prank(BOB);
        registry.reserveProject(project);
        assertEq(vm.getRecordedLogs().length, 0);
        assertReserved(project, from, until);
    }

    /// @dev Who learns the name from the creation has to reserve it first, and is too late.
    function test_whoSeesTheCreationCannotTakeTheName() external {
        ProjectParams memory params = paramsNamed("beta");
        (uint64 from,) = reserve(registry.projectAddress(ALICE, params));
        vm.warp(from);
        // In the mempool, before the creation: first without a reservation, then with one of this block.
        params.signer = BOB;
        address stolen = registry.projectAddress(BOB, params);
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.ProjectNotReserved.selector, stolen, 0, 0));
        vm.prank(BOB);
        registry.createProject(params);
        (uint64 stolenFrom, uint64 stolenUntil) = reserve(stolen);
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.ProjectNotReserved.selector, stolen, stolenFrom, stolenUntil
            )
        );
        vm.prank(BOB);
        registry.createProject(params);

        params.signer = signer;
        vm.prank(ALICE);
        address project = registry.createProject(params);
        assertEq(registry.projectByName("beta"), project);
        vm.warp(stolenFrom);
        params.signer = BOB;
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.NameTaken.selector, "beta", project));
        vm.prank(BOB);
        registry.createProject(params);
    }

    /// @dev A demo need not wait.
    function test_onTheDevChainAReservationCountsAtOnce() external {
        vm.chainId(31_337);
        ProjectParams memory params = paramsNamed("beta");
        address project = registry.projectAddress(ALICE, params);
        refuseAt(vm.getBlockTimestamp(), params, project, 0, 0);
        registry.reserveProject(project);
        vm.prank(ALICE);
        assertEq(registry.createProject(params), project);
    }

    function test_theAddressCommitsToEveryParameter() external view {
        ProjectParams memory params = defaultParams();
        address[9] memory all;
        all[0] = registry.projectAddress(ALICE, params);
        all[1] = registry.projectAddress(BOB, params);
        params.userSalt = bytes32(uint256(1));
        all[2] = registry.projectAddress(ALICE, params);
        params.token = BOB;
        all[3] = registry.projectAddress(ALICE, params);
        params.signer = BOB;
        all[4] = registry.projectAddress(ALICE, params);
        params.guardian = BOB;
        all[5] = registry.projectAddress(ALICE, params);
        params.dailyQuota += 1;
        all[6] = registry.projectAddress(ALICE, params);
        params.delay += 1;
        all[7] = registry.projectAddress(ALICE, params);
        params.metadataURI = "";
        all[8] = registry.projectAddress(ALICE, params);
        for (uint256 i; i < all.length; ++i) {
            for (uint256 j; j < i; ++j) {
                assertNotEq(all[i], all[j]);
            }
        }
    }

    function test_unknownProjectsAreEmpty() external view {
        assertEq(registry.projectByName("nothing"), address(0));
        assertEq(registry.projectOwner(STRANGER), address(0));
        assertEq(registry.projectOf(STRANGER).owner, address(0));
    }

    function test_revertWhen_theNameIsTaken() external {
        vm.expectRevert(
            abi.encodeWithSelector(IProjectRegistry.NameTaken.selector, "acme", address(distributor))
        );
        registry.createProject(defaultParams());
    }

    function test_revertWhen_theNameBreaksTheGrammar() external {
        string[8] memory bad =
            ["", "-a", "a-", "-", "Acme", "a b", "a_b", "abcdefghijklmnopqrstuvwxyz0123456"];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.InvalidName.selector, bad[i]));
            registry.createProject(paramsNamed(bad[i]));
        }
        string[4] memory good = ["a", "0", "a-0--z", "abcdefghijklmnopqrstuvwxyz012345"];
        for (uint256 i; i < good.length; ++i) {
            newProject(address(this), paramsNamed(good[i]));
        }
    }

    function test_revertWhen_theDistributorRefuses() external {
        ProjectParams memory params = paramsNamed("beta");
        params.token = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.InvalidToken.selector, STRANGER));
        registry.createProject(params);
        assertEq(registry.projectByName("beta"), address(0));
    }

    function test_onlyTheRegistryDeploys() external {
        DistributorDeployer deployer = new DistributorDeployer();
        vm.expectRevert(
            abi.encodeWithSelector(DistributorDeployer.NotRegistry.selector, STRANGER, address(this))
        );
        vm.prank(STRANGER);
        deployer.deploy(ALICE, defaultParams());

        address foretold = deployer.addressOf(ALICE, defaultParams());
        assertEq(deployer.deploy(ALICE, defaultParams()), foretold);
    }

    function test_tellsTheDomainOfOffChainMessages() external view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,,
        ) = registry.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "NodeSystem");
        assertEq(version, "1");
        assertEq(chainId, 1);
        assertEq(verifyingContract, address(registry));
    }
}

contract TransferProjectTest is BaseTest {
    function test_takesTwoSteps() external {
        address project = address(distributor);
        vm.expectEmit(address(registry));
        emit IProjectRegistry.ProjectTransferStarted(project, OWNER, ALICE);
        vm.prank(OWNER);
        registry.transferProject(project, ALICE);
        assertEq(registry.projectOf(project).pendingOwner, ALICE);
        assertEq(registry.projectOwner(project), OWNER);

        vm.expectEmit(address(registry));
        emit IProjectRegistry.ProjectTransferred(project, OWNER, ALICE);
        vm.prank(ALICE);
        registry.acceptProject(project);
        assertEq(registry.projectOwner(project), ALICE);
        assertEq(registry.projectOf(project).pendingOwner, address(0));
    }

    function test_anOfferCanBeWithdrawn() external {
        vm.startPrank(OWNER);
        registry.transferProject(address(distributor), ALICE);
        registry.transferProject(address(distributor), address(0));
        vm.stopPrank();
        refuseAccept(ALICE, address(0));
    }

    function test_revertWhen_acceptedByAnother() external {
        vm.prank(OWNER);
        registry.transferProject(address(distributor), ALICE);
        refuseAccept(BOB, ALICE);
    }

    function refuseAccept(address caller, address pendingOwner) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.NotPendingProjectOwner.selector, address(distributor), caller, pendingOwner
            )
        );
        vm.prank(caller);
        registry.acceptProject(address(distributor));
    }

    function test_revertWhen_notTheOwner() external {
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.NotProjectOwner.selector, address(distributor), ALICE, OWNER
            )
        );
        vm.prank(ALICE);
        registry.transferProject(address(distributor), ALICE);
    }

    function test_revertWhen_unknown() external {
        bytes memory reason = abi.encodeWithSelector(IProjectRegistry.UnknownProject.selector, STRANGER);
        vm.expectRevert(reason);
        registry.transferProject(STRANGER, ALICE);
        vm.expectRevert(reason);
        registry.acceptProject(STRANGER);
    }
}

contract SetMetadataTest is BaseTest {
    function test_replaces() external {
        vm.expectEmit(address(registry));
        emit IProjectRegistry.MetadataSet(address(distributor), "ipfs://new");
        vm.prank(OWNER);
        registry.setMetadata(address(distributor), "ipfs://new");
        assertEq(registry.projectOf(address(distributor)).metadataURI, "ipfs://new");
    }

    function test_revertWhen_notTheOwner() external {
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjectRegistry.NotProjectOwner.selector, address(distributor), ALICE, OWNER
            )
        );
        vm.prank(ALICE);
        registry.setMetadata(address(distributor), "");
    }

    function test_revertWhen_unknown() external {
        vm.expectRevert(abi.encodeWithSelector(IProjectRegistry.UnknownProject.selector, STRANGER));
        registry.setMetadata(STRANGER, "");
    }
}
