/** Which account a wallet offers, and on which chain it is. */

import { type EIP1193Provider, numberToHex } from 'viem';

import type { Address } from '../../../sdk-ts/src/parse.js';

/** The account that the wallet offers; undefined where it offers none. */
export async function connect(provider: EIP1193Provider): Promise<Address | undefined> {
  const accounts = await provider.request({ method: 'eth_requestAccounts' });
  return accounts[0]?.toLowerCase() as Address | undefined;
}

export async function chainOf(provider: EIP1193Provider): Promise<bigint> {
  return BigInt(await provider.request({ method: 'eth_chainId' }));
}

export async function switchTo(provider: EIP1193Provider, chainId: bigint): Promise<void> {
  await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: numberToHex(chainId) }] });
}
