/** What the chain says of a day, and what of it cannot be told. */

import type { ProjectInfo, Snapshot } from '../formats/bundle.js';
import type { Uncounted } from '../formats/tables.js';
import type { RewardCommit } from '../messages.js';
import type { Address, Hash } from '../parse.js';

/** A fact, or why it cannot be told. */
export type Fact<T> = { known: true; value: T } | { known: false; reason: string };
export const known = <T>(value: T): Fact<T> => ({ known: true, value });
export const unknown = <T>(reason: string): Fact<T> => ({ known: false, reason });

/** A commit that stands on chain. */
export interface PostedCommit {
  day: string;
  commit: RewardCommit;
  commitHash: Hash;
  /** When it becomes active, seconds since 1970. */
  activatesAt: bigint;
  blockNumber: bigint;
  transaction: Hash;
}

/** A token of a collection. */
export interface Token {
  collection: Address;
  tokenId: bigint;
}
export const tokenKey = ({ collection, tokenId }: Token) => `${collection}/${tokenId}`;

/** What the chain says of a day; each question is asked when it is needed. */
export interface DayFacts {
  project: ProjectInfo;
  posted: PostedCommit;
  /** When it was posted, seconds since 1970. */
  postedSecs(): Promise<Fact<bigint>>;
  /** First final block at or past the day's end. */
  snapshot(): Promise<Fact<Snapshot>>;
  /** When a receipt key counts for the project, in seconds since 1970: from, and until just before. */
  receiptKey(key: Address): Promise<Fact<readonly { from: bigint; until: bigint }[]>>;
  /** Whether a collection was the project's on the day. */
  listed(collection: Address): Promise<Fact<boolean>>;
  /** The daily quotas in force between the snapshot and the post. */
  quotas(): Promise<Fact<readonly bigint[]>>;
  /** Holder and renter (zero for none) by the logs up to the snapshot, at a block's time. */
  owned(token: Token, secs: bigint): { holder: Address; renter: Address };
  /** Why these logs do not tell who holds it; `undefined` where they do. */
  uncounted(token: Token): Uncounted | undefined;
  /** Tokens among these whose logs contradict themselves or the chain's state, with the reason. */
  doubtful(tokens: readonly Token[]): Promise<ReadonlyMap<string, string>>;
}
