// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../../src/RewardDistributor.sol";
import {DevToken} from "../../src/dev/DevToken.sol";
import {ProjectParams} from "../../src/interfaces/IProjectRegistry.sol";
import {Entry, Head, RewardCommit} from "../../src/interfaces/IRewardDistributor.sol";
import {BaseTest} from "../Base.t.sol";
import {ProjectHandler} from "./ProjectHandler.sol";

/// @dev Three projects side by side: two that pay in one token, of which one has a dishonest signer,
/// and one with a token of its own. Everyone does whatever their role allows, in any order.
contract DistributorInvariantTest is BaseTest {
    uint256 private constant PROJECTS = 3;
    uint256 private constant ENDOWMENT = 500 ether;

    ProjectHandler[PROJECTS] private handlers;

    function setUp() public override {
        super.setUp();
        DevToken other = new DevToken("Other", "OTH", address(this));
        handlers[0] = newProject("honest", token, true);
        handlers[1] = newProject("dishonest", token, false);
        handlers[2] = newProject("apart", other, true);
        for (uint256 i; i < PROJECTS; ++i) {
            targetContract(address(handlers[i]));
            bytes4[] memory not = new bytes4[](1);
            not[0] = ProjectHandler.settle.selector;
            excludeSelector(FuzzSelector(address(handlers[i]), not));
        }
    }

    function newProject(
        string memory name,
        DevToken paysIn,
        bool honest
    ) private returns (ProjectHandler made) {
        ProjectParams memory params = defaultParams();
        (params.name, params.token, params.dailyQuota) = (name, address(paysIn), 100 ether);
        params.claimsForContracts = true;
        RewardDistributor project = newProject(makeAddr(name), params);
        paysIn.mint(address(project), ENDOWMENT);
        made = new ProjectHandler(project, paysIn, honest);
    }

    /// @dev One campaign for all of them: each would repeat the same calls.
    function invariant_allHold() external view {
        noMoreIsPaidThanTheActiveTotal();
        theBalanceCoversWhatIsOwed();
        claimedAndActiveTotalNeverFall();
        tokensOutAreClaimsAndWithdrawals();
        daysFormAChainWithoutGaps();
        aChildIsNeverActiveBeforeItsParent();
        whatWasActiveStaysActive();
        revokedRootsAreGone();
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        BOOKS
    //////////////////////////////////////////////////////////////////////////*/

    function noMoreIsPaidThanTheActiveTotal() private view {
        for (uint256 i; i < PROJECTS; ++i) {
            RewardDistributor project = handlers[i].DISTRIBUTOR();
            assertLe(project.paid(), project.activeTotal());
            assertLe(project.activeTotal(), project.head().total);
        }
    }

    function theBalanceCoversWhatIsOwed() private view {
        for (uint256 i; i < PROJECTS; ++i) {
            RewardDistributor project = handlers[i].DISTRIBUTOR();
            uint256 balance = handlers[i].TOKEN().balanceOf(address(project));
            assertLe(project.head().total - project.paid(), balance);
            assertEq(project.unallocated(), balance - (project.head().total - project.paid()));
        }
    }

    function claimedAndActiveTotalNeverFall() private view {
        for (uint256 i; i < PROJECTS; ++i) {
            RewardDistributor project = handlers[i].DISTRIBUTOR();
            for (uint256 k; k < handlers[i].ACCOUNTS(); ++k) {
                assertEq(project.claimed(handlers[i].accountOf(k)), handlers[i].highestClaimed(k));
            }
            assertEq(project.activeTotal(), handlers[i].highestActiveTotal());
        }
    }

    /// @dev Also that no project touches another's tokens: two of them pay in one token.
    function tokensOutAreClaimsAndWithdrawals() private view {
        for (uint256 i; i < PROJECTS; ++i) {
            ProjectHandler handler = handlers[i];
            RewardDistributor project = handler.DISTRIBUTOR();
            uint256 claimed;
            for (uint256 k; k < handler.ACCOUNTS(); ++k) {
                claimed += project.claimed(handler.accountOf(k));
            }
            assertEq(claimed, project.paid());
            assertEq(claimed, handler.claimedInAll());
            uint256 balance = handler.TOKEN().balanceOf(address(project));
            assertEq(balance, handler.funded() - claimed - handler.withdrawn());
        }
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        CHAIN
    //////////////////////////////////////////////////////////////////////////*/

    function daysFormAChainWithoutGaps() private view {
        for (uint256 i; i < PROJECTS; ++i) {
            RewardDistributor project = handlers[i].DISTRIBUTOR();
            RewardCommit[] memory chain = handlers[i].chain();
            bytes32 previous;
            uint256 total;
            for (uint256 day; day < chain.length; ++day) {
                assertEq(chain[day].epoch, CREATION_DAY + day);
                assertEq(chain[day].previous, previous);
                assertGe(chain[day].total, total);
                (previous, total) = (project.structHash(chain[day]), chain[day].total);
                assertEq(project.commitOf(chain[day].root).total, total);
            }
            Head memory head = project.head();
            assertEq(head.commitHash, previous);
            assertEq(head.epoch + 1, CREATION_DAY + chain.length);
            assertEq(head.total, total);
        }
    }

    function aChildIsNeverActiveBeforeItsParent() private view {
        for (uint256 i; i < PROJECTS; ++i) {
            uint64[] memory activatesAt = handlers[i].activatesAt();
            uint64 last;
            for (uint256 day; day < activatesAt.length; ++day) {
                assertGe(activatesAt[day], last);
                last = activatesAt[day];
            }
            assertEq(handlers[i].DISTRIBUTOR().head().activatesAt, last);
        }
    }

    function whatWasActiveStaysActive() private view {
        for (uint256 i; i < PROJECTS; ++i) {
            RewardCommit[] memory chain = handlers[i].chain();
            uint256 active = handlers[i].activeSeen();
            assertGe(chain.length, active);
            for (uint256 day; day < active; ++day) {
                assertTrue(handlers[i].DISTRIBUTOR().isActive(chain[day].root));
            }
        }
    }

    /// @dev A root that only revoked commits brought is unknown; what a repeat leaves behind belongs to
    /// the commit that brought it.
    function revokedRootsAreGone() private view {
        for (uint256 i; i < PROJECTS; ++i) {
            RewardCommit[] memory chain = handlers[i].chain();
            RewardCommit[] memory revoked = handlers[i].revoked();
            for (uint256 k; k < revoked.length; ++k) {
                bool inChain;
                for (uint256 day; day < chain.length; ++day) {
                    inChain = inChain || chain[day].root == revoked[k].root;
                }
                Entry memory entry = handlers[i].DISTRIBUTOR().commitOf(revoked[k].root);
                assertEq(entry.activatesAt != 0, inChain);
            }
        }
    }

    /*//////////////////////////////////////////////////////////////////////////
                                     AT THE END
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Whoever an honest signer's active root owes can be paid, in any order of claims.
    function afterInvariant() external {
        handlers[0].settle(uint256(keccak256(abi.encode(handlers[0].claimedInAll(), vm.getBlockTimestamp()))));
        handlers[2].settle(uint256(keccak256(abi.encode(handlers[2].claimedInAll(), vm.getBlockTimestamp()))));
    }
}
