// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {IDistributorControl} from "../../src/interfaces/IDistributorControl.sol";
import {ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {Entry} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";

contract ConstructorTest is BaseTest {
    function deploy(ProjectParams memory params) private returns (RewardDistributor) {
        return new RewardDistributor(registry, params);
    }

    function test_keepsTheParameters() external view {
        assertEq(distributor.registry(), address(registry));
        assertEq(distributor.token(), address(token));
        assertEq(distributor.signer(), signer);
        assertEq(distributor.guardian(), GUARDIAN);
        assertEq(distributor.owner(), OWNER);
        assertEq(distributor.dailyQuota(), QUOTA);
        assertEq(distributor.delay(), DELAY);
        assertFalse(distributor.guardianPauseSpent());
        assertFalse(distributor.isPaused());
    }

    function test_beginsTheDayBeforeCreation() external view {
        assertEq(distributor.head().epoch, CREATION_DAY - 1);
        assertEq(distributor.head().commitHash, NO_COMMIT);
        assertEq(distributor.head().total, 0);
        assertEq(distributor.head().revision, 0);
        assertEq(distributor.head().activatesAt, 0);
        assertEq(distributor.activeTotal(), 0);
        assertEq(distributor.paid(), 0);
        Entry memory none = distributor.commitOf(bytes32(0));
        assertEq(none.activatesAt, 0);
    }

    function test_tellsItsDomain() external view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,,
        ) = distributor.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "NodeSystem");
        assertEq(version, "1");
        assertEq(chainId, 1);
        assertEq(verifyingContract, address(distributor));
    }

    function test_revertWhen_tokenHasNoCode() external {
        ProjectParams memory params = defaultParams();
        params.token = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.InvalidToken.selector, STRANGER));
        deploy(params);
    }

    function test_revertWhen_signerIsZero() external {
        ProjectParams memory params = defaultParams();
        params.signer = address(0);
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.InvalidSigner.selector, address(0)));
        deploy(params);
    }

    function test_revertWhen_quotaIsZero() external {
        ProjectParams memory params = defaultParams();
        params.dailyQuota = 0;
        vm.expectRevert(abi.encodeWithSelector(IDistributorControl.InvalidQuota.selector, 0));
        deploy(params);
    }

    function test_guardianMayBeNone() external {
        ProjectParams memory params = defaultParams();
        params.guardian = address(0);
        assertEq(deploy(params).guardian(), address(0));
    }

    function test_delayBounds() external {
        ProjectParams memory params = defaultParams();
        params.delay = 24 hours;
        deploy(params);
        params.delay = 14 days;
        deploy(params);

        params.delay = 24 hours - 1;
        expectOutOfBounds(params.delay, 24 hours);
        deploy(params);
        params.delay = 14 days + 1;
        expectOutOfBounds(params.delay, 24 hours);
        deploy(params);
    }

    function test_delayBounds_ofTheDevChain() external {
        vm.chainId(31_337);
        ProjectParams memory params = defaultParams();
        params.delay = 0;
        assertEq(deploy(params).delay(), 0);

        params.delay = 14 days + 1;
        expectOutOfBounds(params.delay, 0);
        deploy(params);
    }

    function expectOutOfBounds(uint64 delay, uint64 minDelay) private {
        vm.expectRevert(
            abi.encodeWithSelector(IDistributorControl.DelayOutOfBounds.selector, delay, minDelay, 14 days)
        );
    }
}
