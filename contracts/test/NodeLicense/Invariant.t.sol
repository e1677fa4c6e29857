// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {Test} from "forge-std/Test.sol";

import {NodeLicense} from "../../src/NodeLicense.sol";
import {LicenseParams} from "../../src/interfaces/INodeLicense.sol";
import {LicenseBase} from "./LicenseBase.sol";

/// @dev Does what minter, holders, renters, owner and time can do to one collection, and keeps a plain
/// list of what should come of it.
contract LicenseHandler is Test {
    struct Expected {
        address holder;
        address renter;
        uint64 rentedUntil;
        uint64 expiresAt;
    }

    uint256 private constant ACCOUNTS = 4;
    uint256 private constant MAX_SUPPLY = 100;

    NodeLicense public immutable LICENSES;
    address private immutable OWNER;
    address private immutable MINTER;

    Expected[] private _list;

    constructor(NodeLicense licenses, address owner, address minter) {
        (LICENSES, OWNER, MINTER) = (licenses, owner, minter);
    }

    function accountOf(uint256 i) public pure returns (address) {
        // A small number.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x3000 + i % ACCOUNTS));
    }

    function list() external view returns (Expected[] memory) {
        return _list;
    }

    function timeNow() private view returns (uint64) {
        return uint64(vm.getBlockTimestamp());
    }

    function pick(uint256 seed) private view returns (uint256 tokenId, Expected storage license) {
        tokenId = seed % _list.length + 1;
        license = _list[tokenId - 1];
    }

    function isRunning(Expected storage license) private view returns (bool) {
        return license.renter != address(0) && license.rentedUntil >= timeNow();
    }

    function mustFail(address caller, bytes memory data) private {
        vm.prank(caller);
        (bool success,) = address(LICENSES).call(data);
        assertFalse(success);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                  MINTER, HOLDERS, TIME
    //////////////////////////////////////////////////////////////////////////*/

    function waitSome(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 20 days));
    }

    function mint(uint256 who, uint256 count) external {
        count = bound(count, 1, 6);
        if (_list.length + count > MAX_SUPPLY) {
            return mustFail(MINTER, abi.encodeCall(NodeLicense.mintBatch, (accountOf(who), count)));
        }
        vm.prank(MINTER);
        if (count == 1) assertEq(LICENSES.mint(accountOf(who)), _list.length + 1);
        else assertEq(LICENSES.mintBatch(accountOf(who), count), _list.length + 1);
        uint64 expiry = LICENSES.term() == 0 ? 0 : timeNow() + LICENSES.term();
        for (uint256 i; i < count; ++i) {
            _list.push(Expected(accountOf(who), address(0), 0, expiry));
        }
    }

    function transfer(uint256 which, uint256 to) external {
        if (_list.length == 0) return;
        (uint256 tokenId, Expected storage license) = pick(which);
        bytes memory data = abi.encodeCall(IERC721.transferFrom, (license.holder, accountOf(to), tokenId));
        if (timeNow() < LICENSES.lockedUntil()) return mustFail(license.holder, data);
        vm.prank(license.holder);
        LICENSES.transferFrom(license.holder, accountOf(to), tokenId);
        license.holder = accountOf(to);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        RENTAL
    //////////////////////////////////////////////////////////////////////////*/

    /// @dev Begins a rental, or extends the running one.
    function rent(uint256 which, uint256 renter, uint256 time) external {
        if (_list.length == 0) return;
        (uint256 tokenId, Expected storage license) = pick(which);
        address user = isRunning(license) ? license.renter : accountOf(renter);
        uint64 until = timeNow() + uint64(bound(time, 0, 90 days));
        if (isRunning(license) && until < license.rentedUntil) until = license.rentedUntil;
        bytes memory data = abi.encodeCall(NodeLicense.setUser, (tokenId, user, until));
        if (license.expiresAt != 0 && until >= license.expiresAt) return mustFail(license.holder, data);
        vm.prank(license.holder);
        LICENSES.setUser(tokenId, user, until);
        (license.renter, license.rentedUntil) = (user, until);
    }

    /// @dev The holder can neither end, replace, shorten nor cancel under a running rental.
    function breakRental(uint256 which, uint256 renter) external {
        if (_list.length == 0) return;
        (uint256 tokenId, Expected storage license) = pick(which);
        if (!isRunning(license)) return;
        address holder = license.holder;
        // A holder that rents from itself may end it as its renter.
        if (license.renter != holder) {
            mustFail(holder, abi.encodeCall(NodeLicense.setUser, (tokenId, address(0), 0)));
        }
        if (accountOf(renter) != license.renter) {
            mustFail(
                holder,
                abi.encodeCall(NodeLicense.setUser, (tokenId, accountOf(renter), license.rentedUntil + 1))
            );
        }
        mustFail(
            holder, abi.encodeCall(NodeLicense.setUser, (tokenId, license.renter, license.rentedUntil - 1))
        );
        mustFail(holder, abi.encodeCall(NodeLicense.cancelSubscription, (tokenId)));
        mustFail(OWNER, abi.encodeCall(NodeLicense.setUser, (tokenId, address(0), 0)));
    }

    function endRental(uint256 which) external {
        if (_list.length == 0) return;
        (uint256 tokenId, Expected storage license) = pick(which);
        if (!isRunning(license)) return;
        vm.prank(license.renter);
        LICENSES.setUser(tokenId, address(0), 0);
        (license.renter, license.rentedUntil) = (address(0), 0);
    }

    /*//////////////////////////////////////////////////////////////////////////
                                        EXPIRY
    //////////////////////////////////////////////////////////////////////////*/

    function renew(uint256 which, uint64 duration) external {
        if (_list.length == 0) return;
        (uint256 tokenId, Expected storage license) = pick(which);
        duration = uint64(bound(duration, 1, 100 days));
        if (license.expiresAt == 0) {
            return mustFail(OWNER, abi.encodeCall(NodeLicense.renewSubscription, (tokenId, duration)));
        }
        mustFail(license.holder, abi.encodeCall(NodeLicense.renewSubscription, (tokenId, duration)));
        vm.prank(OWNER);
        LICENSES.renewSubscription(tokenId, duration);
        license.expiresAt = (license.expiresAt > timeNow() ? license.expiresAt : timeNow()) + duration;
    }

    function cancel(uint256 which) external {
        if (_list.length == 0) return;
        (uint256 tokenId, Expected storage license) = pick(which);
        if (license.expiresAt <= timeNow() || isRunning(license)) {
            return mustFail(license.holder, abi.encodeCall(NodeLicense.cancelSubscription, (tokenId)));
        }
        vm.prank(license.holder);
        LICENSES.cancelSubscription(tokenId);
        license.expiresAt = timeNow();
    }
}

/// @dev The same handler over a collection that never expires but begins locked, and one with a term.
contract LicenseInvariantTest is LicenseBase {
    LicenseHandler[2] private handlers;

    function setUp() public override {
        super.setUp();
        LicenseParams memory params = defaultParams();
        params.maxSupply = 100;
        params.lockedUntil = START + 60 days;
        handlers[0] = new LicenseHandler(new NodeLicense(params), OWNER, MINTER);
        params.lockedUntil = 0;
        params.term = 60 days;
        handlers[1] = new LicenseHandler(new NodeLicense(params), OWNER, MINTER);
        for (uint256 i; i < 2; ++i) {
            targetContract(address(handlers[i]));
            bytes4[] memory selectors = new bytes4[](8);
            selectors[0] = LicenseHandler.waitSome.selector;
            selectors[1] = LicenseHandler.mint.selector;
            selectors[2] = LicenseHandler.transfer.selector;
            selectors[3] = LicenseHandler.rent.selector;
            selectors[4] = LicenseHandler.breakRental.selector;
            selectors[5] = LicenseHandler.endRental.selector;
            selectors[6] = LicenseHandler.renew.selector;
            selectors[7] = LicenseHandler.cancel.selector;
            targetSelector(FuzzSelector(address(handlers[i]), selectors));
        }
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_everyLicenseHasItsHolder() external view {
        for (uint256 h; h < 2; ++h) {
            NodeLicense collection = handlers[h].LICENSES();
            LicenseHandler.Expected[] memory list = handlers[h].list();
            assertEq(collection.totalSupply(), list.length);
            uint256[4] memory counts;
            for (uint256 i; i < list.length; ++i) {
                assertEq(collection.ownerOf(i + 1), list[i].holder);
                ++counts[uint160(list[i].holder) % 4];
            }
            for (uint256 a; a < 4; ++a) {
                assertEq(collection.balanceOf(handlers[h].accountOf(a)), counts[a]);
            }
        }
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_aRentalRunsUntilItsEndOrItsRentersWord() external view {
        for (uint256 h; h < 2; ++h) {
            NodeLicense collection = handlers[h].LICENSES();
            LicenseHandler.Expected[] memory list = handlers[h].list();
            for (uint256 i; i < list.length; ++i) {
                bool running = list[i].renter != address(0) && list[i].rentedUntil >= vm.getBlockTimestamp();
                assertEq(collection.userOf(i + 1), running ? list[i].renter : address(0));
                assertEq(collection.userExpires(i + 1), list[i].rentedUntil);
            }
        }
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_noRentalOutlastsItsLicense() external view {
        for (uint256 h; h < 2; ++h) {
            NodeLicense collection = handlers[h].LICENSES();
            LicenseHandler.Expected[] memory list = handlers[h].list();
            for (uint256 i; i < list.length; ++i) {
                uint64 expiry = collection.expiresAt(i + 1);
                assertEq(expiry, list[i].expiresAt);
                if (expiry != 0 && collection.userOf(i + 1) != address(0)) {
                    assertLt(collection.userExpires(i + 1), expiry);
                    assertLt(vm.getBlockTimestamp(), expiry);
                }
            }
        }
    }
}
