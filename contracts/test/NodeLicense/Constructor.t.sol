// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {NodeLicense} from "../../src/NodeLicense.sol";
import {INodeLicense, LicenseParams} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

contract ConstructorTest is LicenseBase {
    function refuse(LicenseParams memory params, bytes memory reason) private {
        vm.expectRevert(reason);
        new NodeLicense(params);
    }

    function test_revertWhen_theOwnerIsZero() external {
        LicenseParams memory params = defaultParams();
        params.owner = address(0);
        refuse(params, abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
    }

    function test_revertWhen_aTextIsNotPlain() external {
        string[10] memory bad = [
            "",
            "0123456789012345678901234567890123456789012345678901234567890123x",
            'say "hi"',
            "back\\slash",
            "<script>",
            "a>b",
            "R&D",
            "new\nline",
            "del\x7f",
            unicode"é"
        ];
        for (uint256 i; i < bad.length; ++i) {
            LicenseParams memory params = defaultParams();
            params.name = bad[i];
            refuse(params, abi.encodeWithSelector(INodeLicense.InvalidText.selector, bad[i]));
            params = defaultParams();
            params.symbol = bad[i];
            refuse(params, abi.encodeWithSelector(INodeLicense.InvalidText.selector, bad[i]));
        }
    }

    function test_revertWhen_theTermIsTooLong() external {
        LicenseParams memory params = defaultParams();
        params.term = MAX_TERM + 1;
        refuse(params, abi.encodeWithSelector(INodeLicense.InvalidTerm.selector, MAX_TERM + 1, MAX_TERM));
        params.term = MAX_TERM;
        assertEq(new NodeLicense(params).term(), MAX_TERM);
    }

    function test_revertWhen_theRoyaltyIsNone() external {
        LicenseParams memory params = defaultParams();
        params.royaltyBps = 500;
        refuse(params, abi.encodeWithSelector(INodeLicense.InvalidRoyalty.selector, address(0), 500, 1000));
        (params.royaltyReceiver, params.royaltyBps) = (ALICE, 0);
        refuse(params, abi.encodeWithSelector(INodeLicense.InvalidRoyalty.selector, ALICE, 0, 1000));
        params.royaltyBps = 1001;
        refuse(params, abi.encodeWithSelector(INodeLicense.InvalidRoyalty.selector, ALICE, 1001, 1000));
    }

    function test_keepsItsParameters() external {
        LicenseParams memory params = defaultParams();
        params.name = "0123456789012345678901234567890123456789012345678901234567890123";
        params.symbol = " !#$%'()*+,-./:;=?@[]^_`{|}~";
        params.maxSupply = 70;
        params.term = 80;
        params.lockedUntil = 90;
        params.royaltyReceiver = BOB;
        params.royaltyBps = 1000;
        vm.expectEmit();
        emit INodeLicense.MinterSet(address(0), MINTER);
        vm.expectEmit();
        emit INodeLicense.TransferLockSet(90);
        vm.expectEmit();
        emit INodeLicense.RoyaltySet(BOB, 1000);
        NodeLicense made = new NodeLicense(params);
        assertEq(made.name(), params.name);
        assertEq(made.symbol(), params.symbol);
        assertEq(made.owner(), OWNER);
        assertEq(made.minter(), MINTER);
        assertEq(made.maxSupply(), 70);
        assertEq(made.term(), 80);
        assertEq(made.lockedUntil(), 90);
        assertEq(made.totalSupply(), 0);
        (address receiver, uint256 amount) = made.royaltyInfo(1, 50);
        assertEq(receiver, BOB);
        assertEq(amount, 5);
    }
}
