/**
 * What pages need of Ethereum's hash: checksums and a license's hash.
 *
 * viem has the same, but shares modules with what wallets need, so that every page would load those. A test holds
 * these against viem and the SDK.
 */

import { keccak_256 } from '@noble/hashes/sha3';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils';

import type { Address, Hash } from '../../../sdk-ts/src/parse.js';

export const keccak256 = (bytes: Uint8Array): Hash => `0x${bytesToHex(keccak_256(bytes))}`;

/** An address as people should see it: with its checksum (EIP-55). */
export function checksummed(address: Address): string {
  const digits = address.slice(2);
  const hash = bytesToHex(keccak_256(utf8ToBytes(digits)));
  return `0x${Array.from(digits, (digit, i) => (Number.parseInt(hash.charAt(i), 16) >= 8 ? digit.toUpperCase() : digit)).join('')}`;
}

/** The license in signed messages: `keccak256(abi.encode(chainId, collection, tokenId))`. */
export function licenseHash(chainId: bigint, collection: Address, tokenId: bigint): Hash {
  const words = [chainId, BigInt(collection), tokenId].map((word) => word.toString(16).padStart(64, '0'));
  return keccak256(hexToBytes(words.join('')));
}
