// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Multicall3
/// @notice For dev chains only: `aggregate3` of the well-known contract, whose runtime code is put
/// at the canonical address, so it has neither constructor nor immutables.
contract Multicall3 {
    struct Call3 {
        address target;
        bool allowFailure;
        bytes callData;
    }

    struct Result {
        bool success;
        bytes returnData;
    }

    /// @notice The call at `index` failed and was not allowed to.
    error CallFailed(uint256 index, address target, bytes returnData);

    /// @notice Makes all calls in order.
    function aggregate3(Call3[] calldata calls) external payable returns (Result[] memory returnData) {
        returnData = new Result[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            (bool success, bytes memory data) = calls[i].target.call(calls[i].callData);
            if (!success && !calls[i].allowFailure) revert CallFailed(i, calls[i].target, data);
            returnData[i] = Result(success, data);
        }
    }
}
