/** Signing in and authorising a node by the visitor's wallet. Neither costs gas. */

import { type EIP1193Provider, stringToHex } from 'viem';

import type { Network } from '../../../sdk-ts/src/api/views.js';
import { digest, domainOf, TYPES } from '../../../sdk-ts/src/messages.js';
import { type Address, bytes, type Hash, type Hex } from '../../../sdk-ts/src/parse.js';
import type { PairingView } from '../api/login.js';

/** Signs a text as it is (`personal_sign`). */
export async function signText(provider: EIP1193Provider, account: Address, text: string): Promise<Hex> {
  return signatureOf(await provider.request({ method: 'personal_sign', params: [stringToHex(text), account] }));
}

const DOMAIN = [
  { name: 'name', type: 'string' }, { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' }, { name: 'verifyingContract', type: 'address' },
];

/**
 * What the wallet is asked to sign, made here from the authorisation that is shown: so no other typed data of the
 * backend reaches a wallet, and the words are of this very digest.
 */
export function authorizationOf({ authorization }: PairingView, network: Network): { digest: Hash; json: string } {
  const domain = domainOf(network.chain_id, network.registry);
  const { operator, node_key: nodeKey, not_after: notAfter, nonce } = authorization;
  const json = {
    types: { EIP712Domain: DOMAIN, NodeAuthorization: TYPES.NodeAuthorization },
    primaryType: 'NodeAuthorization', domain,
    message: { operator, nodeKey, notAfter: `${notAfter}`, nonce: `${nonce}` },
  };
  return { digest: digest(domain, 'NodeAuthorization', { operator, nodeKey, notAfter, nonce }), json: JSON.stringify(json) };
}

/** Signs typed data (`eth_signTypedData_v4`). */
export async function signTyped(provider: EIP1193Provider, account: Address, json: string): Promise<Hex> {
  return signatureOf(await provider.request({ method: 'eth_signTypedData_v4', params: [account, json] }));
}

/** Some devices end a key's signature with 0 or 1, where contracts and backends want 27 or 28. */
function signatureOf(given: unknown): Hex {
  const signature = bytes(typeof given === 'string' ? given.toLowerCase() : given);
  const last = { '00': '1b', '01': '1c' }[signature.slice(-2)];
  return signature.length === 132 && last !== undefined ? `${signature.slice(0, -2) as Hex}${last}` : signature;
}
