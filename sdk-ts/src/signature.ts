/** Signatures: 65 bytes r, s, v of secp256k1, low s only, v 27 or 28; or what an ERC-1271 contract accepts. */

import { type PublicClient, parseAbi, recoverAddress } from 'viem';

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

const ERC1271 = parseAbi(['function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)']);

/** Whether a wallet signed: by its key, or by its contract's word (ERC-1271). Throws where the chain fails. */
export async function walletSigned(
  client: Pick<PublicClient, 'getCode' | 'readContract'>,
  wallet: Address,
  digest: Hash,
  given: Hex,
): Promise<boolean> {
  if ((await signerOf(digest, given)) === wallet.toLowerCase()) return true;
  const code = await client.getCode({ address: wallet });
  if (code === undefined || code === '0x') return false;
  const call = { address: wallet, abi: ERC1271, functionName: 'isValidSignature', args: [digest, given] } as const;
  try {
    return (await client.readContract(call)) === '0x1626ba7e';
  } catch (error) {
    // A contract that reverts, or answers in another form, does not accept it.
    if (error instanceof Error && error.name === 'ContractFunctionExecutionError') {
      const cause = error.cause;
      if (cause instanceof Error && /Revert|ZeroData|Position|Decod/.test(cause.name)) return false;
    }
    throw error;
  }
}
