// The leaves that the tree vectors are made of and checked with: a formula, so that the files
// need not list thousands of them.

import { encodeAbiParameters, keccak256, toHex } from 'viem';

export const SIZES = [1, 2, 3, 5, 7, 1000, 4097];

/** Leaf i: account = last 20 bytes of keccak256(uint256 i), cumulative = (i + 1) * 10^15. */
export const formula = (leaves) => Array.from({ length: leaves }, (_, i) => [
  `0x${keccak256(encodeAbiParameters([{ type: 'uint256' }], [BigInt(i)])).slice(-40)}`,
  `${BigInt(i + 1) * 10n ** 15n}`,
]);

export const keccakText = (text) => keccak256(toHex(text));
