/** Reads of the chain for an account's rewards, over the visitor's own RPC or wallet. Loaded once asked for. */

import { createPublicClient, custom, type EIP1193Provider, erc20Abi, http, type PublicClient } from 'viem';

import type { ProofView } from '../../../sdk-ts/src/api/views.js';
import { distributorAbi } from '../../../sdk-ts/src/chain/abi.js';
import { Chain } from '../../../sdk-ts/src/chain/chain.js';
import { type Claimable, type ClaimState, claimState } from '../../../sdk-ts/src/claims/claims.js';
import { proofHolds } from '../../../sdk-ts/src/day/tree.js';
import type { Address, Hash } from '../../../sdk-ts/src/parse.js';

export type Source = { kind: 'rpc'; url: string } | { kind: 'wallet'; provider: EIP1193Provider };

/** Another chain answers than the backend's. */
export class WrongChain extends Error {
  override name = 'WrongChain';
  constructor(readonly found: number, readonly wanted: bigint) {
    super(`this is chain ${found}, and the network is on chain ${wanted}`);
  }
}

export const clientOf = (source: Source): PublicClient =>
  createPublicClient({
    transport: source.kind === 'rpc' ? http(source.url, { timeout: 15_000, retryCount: 1 }) : custom(source.provider, { retryCount: 0 }),
  }) as PublicClient;

/** A client that was found to be on the chain. */
export async function onChain(source: Source, wanted: bigint): Promise<PublicClient> {
  const client = clientOf(source);
  const found = await client.getChainId();
  if (BigInt(found) !== wanted) throw new WrongChain(found, wanted);
  return client;
}

export const claimableOf = ({ project, root, account, cumulative, path }: ProofView): Claimable =>
  ({ distributor: project, root, proof: { account, cumulative, path } });

/** Whether a proof leads to its root: computed here. */
export const leads = (proof: ProofView): boolean => proofHolds(claimableOf(proof).proof, proof.root);

export interface Checked {
  state: ClaimState;
  /** The root's total and day by the contract; undefined where it has no such root. */
  entry: { total: bigint; epoch: bigint } | undefined;
  token: Address;
  symbol: string;
  decimals: number;
}

/** What the chain says of a proof, and of the token. */
export async function check(client: PublicClient, proof: ProofView): Promise<Checked> {
  const on = { address: proof.project, abi: distributorAbi } as const;
  const [state, entry, token] = await Promise.all([
    claimState(client, claimableOf(proof)),
    client.readContract({ ...on, functionName: 'commitOf', args: [proof.root] }),
    client.readContract({ ...on, functionName: 'token' }),
  ]);
  // A token need not have them.
  const [symbol, decimals] = await Promise.all([
    client.readContract({ address: token, abi: erc20Abi, functionName: 'symbol' }).catch(() => ''),
    client.readContract({ address: token, abi: erc20Abi, functionName: 'decimals' }).catch(() => 18),
  ]);
  return {
    state, entry: entry.activatesAt === 0n ? undefined : { total: entry.total, epoch: entry.epoch },
    // A stranger's text: short, and without what is not seen.
    token: token.toLowerCase() as Address, symbol: symbol.replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '').slice(0, 16), decimals,
  };
}

export interface Paid { secs: bigint; block: bigint; transaction: Hash; recipient: Address; amount: bigint; cumulative: bigint }

/** Every claim of the account, by the contract's events; the sum must be what the contract says was claimed. */
export async function payments(client: PublicClient, distributor: Address, account: Address): Promise<Paid[]> {
  const chain = new Chain(client);
  const newest = await chain.latest();
  const events = await chain.logs('reading the claims', [distributor], distributorAbi, 0n, newest.number);
  const own = events.filter(({ name, args }) => name === 'Claimed' && args['account'] === account);
  const claimed = await client.readContract({
    address: distributor, abi: distributorAbi, functionName: 'claimed', args: [account], blockNumber: newest.number,
  });
  const paid = await Promise.all(own.map(async ({ blockNumber, transaction, args }): Promise<Paid> => ({
    secs: (await chain.block(blockNumber)).secs, block: blockNumber, transaction,
    recipient: args['recipient'] as Address, amount: args['amount'] as bigint, cumulative: args['cumulative'] as bigint,
  })));
  const sum = paid.reduce((all, one) => all + one.amount, 0n);
  // An RPC without old logs must not make a short list look whole.
  if (sum !== claimed) {
    throw new Error(`the events add up to ${sum} wei, and the contract has paid ${claimed} wei: this RPC lacks old logs, try another`);
  }
  return paid;
}
