/**
 * A chain by the word of one RPC or several: of several, a majority must give the same answer.
 *
 * What an RPC says alone nobody vouches for. A failure decides nothing: it is a {@link ChainError}, which
 * becomes a doubt.
 */

import {
  type Abi, BaseError, type ContractFunctionName, ContractFunctionRevertedError, decodeEventLog, type Log,
  type PublicClient, type ReadContractParameters, type ReadContractReturnType,
} from 'viem';

import { canonicalJson } from '../formats/json.js';
import type { Address, Hash } from '../parse.js';

/** The chain could not be read, or its RPCs do not agree. */
export class ChainError extends Error {
  override name = 'ChainError';
}

export interface BlockRef {
  number: bigint;
  hash: Hash;
  secs: bigint;
}

/** An event and where it stands in the chain. */
export interface Logged {
  blockNumber: bigint;
  logIndex: number;
  transaction: Hash;
  address: Address;
  name: string;
  args: Record<string, unknown>;
}

// Blocks asked for at first, and at most; a page that an RPC refuses is halved.
const WIDEST_PAGE = 50_000n;

export class Chain {
  readonly clients: readonly PublicClient[];

  constructor(clients: PublicClient | readonly PublicClient[]) {
    this.clients = Array.isArray(clients) ? clients : [clients as PublicClient];
    if (this.clients.length === 0) throw new ChainError('a chain needs at least one RPC');
  }

  /** The answer on which most RPCs agree. */
  async agreed<T>(what: string, read: (client: PublicClient) => Promise<T>): Promise<T> {
    const answers = await Promise.allSettled(this.clients.map(read));
    const [first] = answers;
    if (answers.length === 1 && first !== undefined) {
      if (first.status === 'fulfilled') return first.value;
      throw new ChainError(`${what}: ${words(first.reason)}`, { cause: first.reason });
    }
    const counted = new Map<string, { value: T; votes: number }>();
    for (const answer of answers) {
      if (answer.status === 'rejected') continue;
      const key = canonicalJson(answer.value ?? null);
      const entry = counted.get(key) ?? { value: answer.value, votes: 0 };
      entry.votes += 1;
      counted.set(key, entry);
      if (2 * entry.votes > answers.length) return entry.value;
    }
    const failed = answers.flatMap((one) => (one.status === 'rejected' ? [words(one.reason)] : []));
    const why = failed.length > 0 ? `: ${failed.join('; ')}` : '';
    throw new ChainError(`${what}: ${answers.length} RPCs gave no answer in which most of them agree${why}`);
  }

  chainId(): Promise<bigint> {
    return this.agreed('reading the chain id', async (client) => BigInt(await client.getChainId()));
  }

  block(number: bigint): Promise<BlockRef> {
    return this.agreed(`reading block ${number}`, async (client) => ref(await client.getBlock({ blockNumber: number })));
  }

  /** The newest block that most RPCs have reached. */
  async latest(): Promise<BlockRef> {
    const newest = (client: PublicClient) => client.getBlockNumber({ cacheTime: 0 });
    return this.block(await this.reached('reading the newest block', newest));
  }

  /** The newest block that most RPCs take for final; on a chain without that tag, `depth` below the newest. */
  async finalized(depth: bigint): Promise<BlockRef> {
    const final = async (client: PublicClient) => {
      try {
        const block = await client.getBlock({ blockTag: 'finalized' });
        return block.number;
      } catch (error) {
        // No such tag, or nothing final yet by it; what cannot be reached fails in the next call too.
        if (!(error instanceof BaseError)) throw error;
        const newest = await client.getBlockNumber({ cacheTime: 0 });
        return newest > depth ? newest - depth : 0n;
      }
    };
    return this.block(await this.reached('reading the finalized block', final));
  }

  /** The first block at or past a moment; `undefined` while no final block is. */
  async firstAtOrAfter(secs: bigint, depth: bigint): Promise<BlockRef | undefined> {
    let found = await this.finalized(depth);
    if (found.secs < secs) return undefined;
    let low = 0n;
    while (low < found.number) {
      const block = await this.block(low + (found.number - low) / 2n);
      if (block.secs >= secs) found = block;
      else low = block.number + 1n;
    }
    return found;
  }

  call<const A extends Abi, N extends ContractFunctionName<A, 'view' | 'pure'>>(
    what: string,
    request: ReadContractParameters<A, N>,
  ): Promise<ReadContractReturnType<A, N>> {
    return this.agreed(what, (client) => client.readContract(request)) as Promise<ReadContractReturnType<A, N>>;
  }

  /** All events of these contracts that the ABI names, in chain order. */
  logs(what: string, addresses: readonly Address[], abi: Abi, from: bigint, to: bigint): Promise<Logged[]> {
    if (addresses.length === 0) return Promise.resolve([]);
    return this.agreed(what, async (client) => {
      const logs = await pages(client, [...addresses], from, to);
      return logs.flatMap((log) => decoded(log, abi));
    });
  }

  private async reached(what: string, read: (client: PublicClient) => Promise<bigint>): Promise<bigint> {
    const answers = await Promise.allSettled(this.clients.map(read));
    const numbers = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    numbers.sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
    // The newest that a majority has reached.
    const number = numbers[Math.floor(this.clients.length / 2)];
    if (number !== undefined) return number;
    const failed = answers.flatMap((one) => (one.status === 'rejected' ? [words(one.reason)] : []));
    throw new ChainError(`${what}: ${failed.join('; ')}`);
  }
}

/** Whether a call failed because the contract refused it, not because the RPC did. */
export function isRevert(error: unknown): boolean {
  let cause: unknown = error;
  while (cause instanceof ChainError) cause = cause.cause;
  if (!(cause instanceof BaseError)) return false;
  return cause.walk((one) => one instanceof ContractFunctionRevertedError) !== null;
}

function words(error: unknown): string {
  if (error instanceof BaseError) return error.details ? `${error.shortMessage} (${error.details})` : error.shortMessage;
  return error instanceof Error ? error.message : String(error);
}

function ref(block: { number: bigint | null; hash: Hash | null; timestamp: bigint }): BlockRef {
  if (block.number === null || block.hash === null) throw new ChainError('the RPC gave a pending block');
  return { number: block.number, hash: block.hash, secs: block.timestamp };
}

async function pages(client: PublicClient, address: Address[], from: bigint, to: bigint): Promise<Log[]> {
  const logs: Log[] = [];
  let width = WIDEST_PAGE;
  for (let at = from; at <= to; ) {
    const end = at + width - 1n < to ? at + width - 1n : to;
    try {
      logs.push(...(await client.getLogs({ address, fromBlock: at, toBlock: end })));
      at = end + 1n;
      width = width * 2n < WIDEST_PAGE ? width * 2n : WIDEST_PAGE;
    } catch (error) {
      if (width === 1n) throw error;
      width /= 2n;
    }
  }
  return logs;
}

function decoded(log: Log, abi: Abi): Logged[] {
  if (log.blockNumber === null || log.logIndex === null || log.transactionHash === null) return [];
  let event: { eventName?: string | undefined; args?: unknown };
  try {
    event = decodeEventLog({ abi, data: log.data, topics: log.topics });
  } catch {
    // An event that is not asked for.
    return [];
  }
  return [
    {
      blockNumber: log.blockNumber,
      logIndex: log.logIndex,
      transaction: log.transactionHash,
      address: log.address.toLowerCase() as Address,
      name: event.eventName ?? '',
      args: lowered(event.args as Record<string, unknown>),
    },
  ];
}

/** Addresses in lower case, as files have them. */
function lowered(args: Record<string, unknown>): Record<string, unknown> {
  const plain = (value: unknown) =>
    typeof value === 'string' && /^0x[0-9a-fA-F]{40}$/.test(value) ? value.toLowerCase() : value;
  return Object.fromEntries(Object.entries(args).map(([key, value]) => [key, plain(value)]));
}
