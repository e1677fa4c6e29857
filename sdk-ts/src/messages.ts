/**
 * Every signed message as EIP-712 typed data, for wallets (`signTypedData`) and for checks.
 *
 * Messages about nodes and days are verified in the registry's domain, those that a reward contract checks
 * or that name its terms (`PointsUpload`, `RewardCommit`, `Claim`) in the distributor's.
 */

import { encodeAbiParameters, hashStruct, hashTypedData, keccak256 } from 'viem';

import type { Address, Hash, Hex } from './parse.js';

export const TYPES = {
  NodeAuthorization: [
    { name: 'operator', type: 'address' },
    { name: 'nodeKey', type: 'address' },
    { name: 'notAfter', type: 'uint64' },
    { name: 'nonce', type: 'uint256' },
  ],
  NodeRevocation: [
    { name: 'operator', type: 'address' },
    { name: 'nodeKey', type: 'address' },
    { name: 'nonce', type: 'uint256' },
  ],
  LeaseRequest: [
    { name: 'nodeKey', type: 'address' },
    { name: 'license', type: 'bytes32' },
    { name: 'nonce', type: 'uint64' },
  ],
  LeaseStatus: [
    { name: 'license', type: 'bytes32' },
    { name: 'fence', type: 'uint64' },
    { name: 'status', type: 'uint8' },
    { name: 'release', type: 'uint64' },
  ],
  Heartbeat: [
    { name: 'nodeKey', type: 'address' },
    { name: 'minute', type: 'uint64' },
    { name: 'seq', type: 'uint64' },
    { name: 'challenge', type: 'bytes32' },
    { name: 'leases', type: 'LeaseStatus[]' },
  ],
  Accepted: [
    { name: 'nodeKey', type: 'address' },
    { name: 'seq', type: 'uint64' },
    { name: 'heartbeatHash', type: 'bytes32' },
    { name: 'credited', type: 'uint64' },
    { name: 'nextChallenge', type: 'bytes32' },
  ],
  ReceiptBatch: [
    { name: 'minute', type: 'uint64' },
    { name: 'serverTimeMillis', type: 'uint64' },
    { name: 'root', type: 'bytes32' },
  ],
  DayClosed: [
    { name: 'day', type: 'uint64' },
    { name: 'uptimeHash', type: 'bytes32' },
    { name: 'evidenceRoot', type: 'bytes32' },
  ],
  PointsUpload: [
    { name: 'epoch', type: 'uint64' },
    { name: 'pointsHash', type: 'bytes32' },
    { name: 'termsHash', type: 'bytes32' },
  ],
  RewardCommit: [
    { name: 'epoch', type: 'uint64' },
    { name: 'revision', type: 'uint32' },
    { name: 'previous', type: 'bytes32' },
    { name: 'root', type: 'bytes32' },
    { name: 'total', type: 'uint256' },
    { name: 'dataHash', type: 'bytes32' },
  ],
  Claim: [
    { name: 'account', type: 'address' },
    { name: 'root', type: 'bytes32' },
    { name: 'cumulative', type: 'uint256' },
    { name: 'recipient', type: 'address' },
    { name: 'relayer', type: 'address' },
    { name: 'relayerFee', type: 'uint256' },
    { name: 'deadline', type: 'uint64' },
  ],
  NotifyRequest: [
    { name: 'nodeKey', type: 'address' },
    { name: 'action', type: 'uint8' },
    { name: 'url', type: 'string' },
    { name: 'target', type: 'uint64' },
    { name: 'nonce', type: 'uint64' },
  ],
  WorkloadTicket: [
    { name: 'project', type: 'address' },
    { name: 'license', type: 'bytes32' },
    { name: 'fence', type: 'uint64' },
    { name: 'audience', type: 'bytes32' },
    { name: 'notAfter', type: 'uint64' },
  ],
} as const;

export type MessageName = keyof typeof TYPES;
type Value<T extends string> = T extends 'LeaseStatus[]'
  ? readonly Message<'LeaseStatus'>[]
  : T extends 'uint8' | 'uint32'
    ? number
    : T extends `uint${string}`
      ? bigint
      : T extends 'string'
        ? string
        : Hex;
/** A message's values; numbers of 64 bits and more are bigints. */
export type Message<N extends MessageName> = {
  [F in (typeof TYPES)[N][number] as F['name']]: Value<F['type']>;
};
export type RewardCommit = Message<'RewardCommit'>;
export type Claim = Message<'Claim'>;

/** The messages that are verified in the distributor's domain. */
export const IN_DISTRIBUTOR_DOMAIN: ReadonlySet<MessageName> = new Set(['PointsUpload', 'RewardCommit', 'Claim']);

export interface Domain {
  name: 'NodeSystem';
  version: '1';
  chainId: number;
  verifyingContract: Address;
}

/** The domain of a registry or a distributor. */
export function domainOf(chainId: bigint | number, verifyingContract: Address): Domain {
  return { name: 'NodeSystem', version: '1', chainId: Number(chainId), verifyingContract };
}

/** What viem's `signTypedData` takes. */
export interface TypedData<N extends MessageName> {
  domain: Domain;
  types: Pick<typeof TYPES, N> & { LeaseStatus?: (typeof TYPES)['LeaseStatus'] };
  primaryType: N;
  message: Message<N>;
}

export function typedData<N extends MessageName>(
  domain: Domain,
  primaryType: N,
  message: Message<N>,
): TypedData<N> {
  const own = { [primaryType]: TYPES[primaryType] } as Pick<typeof TYPES, N>;
  const types = primaryType === 'Heartbeat' ? { ...own, LeaseStatus: TYPES.LeaseStatus } : own;
  return { domain, types, primaryType, message };
}

type Loose = Parameters<typeof hashStruct>[0];

/** `hashStruct(message)`. */
export function structHash<N extends MessageName>(primaryType: N, message: Message<N>): Hash {
  const data = message as unknown as Record<string, unknown>;
  return hashStruct({ data, types: TYPES, primaryType } as unknown as Loose);
}

/** What is signed: `keccak256(0x1901 || domainSeparator || hashStruct(message))`. */
export function digest<N extends MessageName>(domain: Domain, primaryType: N, message: Message<N>): Hash {
  return hashTypedData(typedData(domain, primaryType, message) as unknown as Parameters<typeof hashTypedData>[0]);
}

/** A flat message as the backend's API has it: snake_case, wide numbers as texts. */
export function toWire<N extends MessageName>(primaryType: N, message: Message<N>): Record<string, unknown> {
  const fields = TYPES[primaryType] as readonly { name: string; type: string }[];
  const given = message as unknown as Record<string, unknown>;
  return Object.fromEntries(
    fields.map(({ name, type }) => {
      const value = given[name];
      const key = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      if (type === 'address' || type === 'bytes32') return [key, String(value).toLowerCase()];
      return [key, typeof value === 'bigint' ? `${value}` : value];
    }),
  );
}

/** The license in signed messages: `keccak256(abi.encode(chainId, collection, tokenId))`. */
export function licenseHash(chainId: bigint, collection: Address, tokenId: bigint): Hash {
  const types = [{ type: 'uint256' }, { type: 'address' }, { type: 'uint256' }] as const;
  return keccak256(encodeAbiParameters(types, [chainId, collection, tokenId]));
}
