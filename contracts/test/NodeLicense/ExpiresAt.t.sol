// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LicenseBase} from "./LicenseBase.sol";

contract ExpiresAtTest is LicenseBase {
    function test_revertWhen_thereIsNoSuchLicense() external {
        mintTo(terms, BOB, 2);
        uint256[3] memory none = [0, 3, type(uint256).max];
        for (uint256 i; i < none.length; ++i) {
            expectNoLicense(none[i]);
            terms.expiresAt(none[i]);
            expectNoLicense(none[i]);
            terms.isRenewable(none[i]);
            expectNoLicense(none[i]);
            licenses.expiresAt(none[i]);
        }
    }

    function test_neverWithoutATerm() external {
        mintTo(licenses, BOB, 2);
        assertEq(licenses.expiresAt(2), 0);
        assertFalse(licenses.isRenewable(2));
    }

    function test_aTermAfterTheMint() external {
        mintTo(terms, BOB, 2);
        vm.warp(START + 7);
        vm.prank(MINTER);
        terms.mint(ALICE);
        vm.warp(START + 9);
        mintTo(terms, BOB, 2);
        uint64[5] memory ages = [uint64(0), 0, 7, 9, 9];
        for (uint256 id = 1; id <= 5; ++id) {
            assertEq(terms.expiresAt(id), START + ages[id - 1] + TERM);
        }
        vm.prank(ALICE);
        terms.transferFrom(ALICE, BOB, 3);
        assertEq(terms.expiresAt(3), START + 7 + TERM);
        vm.warp(START + 2 * TERM);
        assertTrue(terms.isRenewable(3));
    }
}
