/** Signatures of keys: 65 bytes r, s, v of secp256k1, low s only, v 27 or 28. */

import { recoverAddress } from 'viem';

import { type Address, bytes, type Hash, type Hex, ParseError, type Parser } from './parse.js';

// Half the order of the curve: the largest s that EIP-2 allows.
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

/** A key's signature. */
export const signature: Parser<Hex> = (value, path = '') => {
  const read = bytes(value, path);
  if (read.length !== 132) throw new ParseError(path, 'not a signature of 65 bytes');
  if (BigInt(`0x${read.slice(66, 130)}`) > HALF_ORDER) {
    throw new ParseError(path, 'not a low-S signature: the upper half of S is refused (EIP-2)');
  }
  if (!/(?:1b|1c)$/.test(read)) throw new ParseError(path, "a signature's last byte is 27 or 28");
  return read;
};

/** Who signed a digest; `undefined` where no key can have. */
export async function signerOf(digest: Hash, given: Hex): Promise<Address | undefined> {
  try {
    return (await recoverAddress({ hash: digest, signature: signature(given) })).toLowerCase() as Address;
  } catch {
    return undefined;
  }
}
