/**
 * A day from its inputs: tables, allocation, tree and the commit to sign.
 *
 * Written independently of the Rust that owners, backend and auditors run, so that one can be held against
 * the other: equal input must give equal bytes.
 */

import { encodeAbiParameters, keccak256 as keccak } from 'viem';

import { type Bitmap, bitmapText } from '../formats/bitmap.js';
import {
  type Bundle, BUNDLE_JSON, type ClosedUptime, type Format, FORMAT_2, type ProjectInfo, type Snapshot, type Terms,
  termsHash, termsProblem, writeBundle,
} from '../formats/bundle.js';
import { writeTable } from '../formats/reader.js';
import {
  HOLDERS, POINTS, type RewardRow, REWARDS, type Table, type TableFile, type Uncounted,
  UNCOUNTED, type UncountedRow, UPTIME, type UptimeRow,
} from '../formats/tables.js';
import { KeccakStream, keccak256 } from '../keccak.js';
import { type RewardCommit, structHash } from '../messages.js';
import { type Address, type Hash, ZERO_ADDRESS, ZERO_HASH } from '../parse.js';
import { accumulate, allocate, type Share } from './allocation.js';
import { RewardTree } from './tree.js';

/** What the previous day left for the next. */
export interface PreviousDay {
  /** Struct hash of its commit, zero before the first. */
  commit: Hash;
  /** Its cumulative amounts, rising by account. */
  rewards: readonly RewardRow[];
  /** Its remainder, in wei. */
  carry: bigint;
}

export const FIRST_DAY: PreviousDay = { commit: ZERO_HASH, rewards: [], carry: 0n };

/** What a rule and a beneficiary need of a license; one row for each, rising by license. */
export interface LicenseDay {
  license: number;
  minutes: number;
  points: bigint;
  holder: Address;
  renter: Address;
  /** Why it counts for nobody; it then has neither holder nor renter. */
  uncounted?: Uncounted | undefined;
}

export interface DayInput {
  format: Format;
  project: ProjectInfo;
  epoch: bigint;
  revision: number;
  dailyQuota: bigint;
  terms: Terms;
  snapshot: Snapshot;
  closed: ClosedUptime;
  licenses: readonly LicenseDay[];
  before: PreviousDay;
}

export interface BuiltDay {
  bundle: Bundle;
  bundleJson: Uint8Array;
  rewards: RewardRow[];
  /** Amount of each license, in their order. */
  allocated: bigint[];
  tree: RewardTree;
  commit: RewardCommit;
  commitHash: Hash;
}

/** A day that cannot be built. */
export class DayError extends Error {
  override name = 'DayError';
}

/** The hash of a table, without its bytes in memory. */
export async function tableHash<Row>(table: Table<Row>, rows: Iterable<Row>): Promise<Hash> {
  const stream = await KeccakStream.create();
  for (const part of writeTable(table, rows)) stream.update(part);
  return stream.finish();
}

/** The rows of uncounted.csv. */
export function uncountedOf(licenses: readonly Pick<LicenseDay, 'license' | 'uncounted'>[]): UncountedRow[] {
  return licenses.flatMap(({ license, uncounted: reason }) => (reason === undefined ? [] : [{ license, reason }]));
}

function shareOf(terms: Terms, excluded: ReadonlySet<Address>, day: LicenseDay): Share {
  const rented = terms.beneficiary === 'renter' && day.renter !== ZERO_ADDRESS;
  const beneficiary = rented ? day.renter : day.holder;
  // Nobody could claim for the zero address: a burnt token's part goes to the others.
  const counts = beneficiary !== ZERO_ADDRESS && !excluded.has(beneficiary);
  return { license: day.license, beneficiary, points: counts ? day.points : 0n };
}

/** The day. The uptime rows themselves are not needed: their hash stands in `closed`. */
export async function buildDay(input: DayInput): Promise<BuiltDay> {
  const { terms, licenses, before } = input;
  const problem = termsProblem(terms);
  if (problem !== undefined) throw new DayError(problem);
  const two = input.format === FORMAT_2;
  const counted = licenses.find(
    ({ uncounted, holder, renter }) =>
      uncounted !== undefined && (!two || holder !== ZERO_ADDRESS || renter !== ZERO_ADDRESS),
  );
  if (counted !== undefined) throw new DayError(`license ${counted.license} is in uncounted.csv, and counted`);
  const excluded = new Set(terms.excluded);
  const shares = licenses.map((day) => shareOf(terms, excluded, day));
  const budget = { dayReward: terms.day_reward, carryIn: before.carry, dailyQuota: input.dailyQuota };
  const allocation = allocate(budget, shares);
  const rewards = accumulate(before.rewards, shares, allocation.allocated);
  const tree = await RewardTree.build(rewards);
  const bundle: Bundle = {
    format: input.format,
    project: input.project,
    epoch: input.epoch,
    revision: input.revision,
    previous: before.commit,
    terms,
    ...(two ? { terms_hash: termsHash(terms) } : {}),
    snapshot: input.snapshot,
    daily_quota: input.dailyQuota,
    carry_in: before.carry,
    carry_out: allocation.carryOut,
    pool: allocation.pool,
    files: {
      'uptime.csv': input.closed.uptime_csv,
      'holders.csv': await tableHash(HOLDERS, licenses),
      ...(two ? { 'uncounted.csv': await tableHash(UNCOUNTED, uncountedOf(licenses)) } : {}),
      'points.csv': await tableHash(POINTS, licenses),
      'rewards.csv': await tableHash(REWARDS, rewards),
    },
    totals: {
      licenses: BigInt(licenses.length),
      minutes: BigInt(licenses.reduce((sum, day) => sum + day.minutes, 0)),
      points: licenses.reduce((sum, day) => sum + day.points, 0n),
      accounts: BigInt(rewards.length),
      allocated: allocation.total,
      cumulative: tree.total,
    },
    root: tree.root,
    uptime: input.closed,
  };
  const bundleJson = writeBundle(bundle);
  const commit = await commitOf(bundle, bundleJson);
  const commitHash = structHash('RewardCommit', commit);
  return { bundle, bundleJson, rewards, allocated: allocation.allocated, tree, commit, commitHash };
}

/** The commit that a `bundle.json` leads to. */
export async function commitOf(bundle: Bundle, bundleJson: Uint8Array): Promise<RewardCommit> {
  return {
    epoch: bundle.epoch,
    revision: bundle.revision,
    previous: bundle.previous,
    root: bundle.root,
    total: bundle.totals.cumulative,
    dataHash: await keccak256(bundleJson),
  };
}

/** A project's leaf in the signed uptime hash of a closed day. */
export function uptimeLeaf(project: Address, uptimeCsv: Hash, excused: Bitmap): Hash {
  const types = [{ type: 'address' }, { type: 'bytes32' }, { type: 'bytes32' }] as const;
  const leaf = encodeAbiParameters(types, [project, uptimeCsv, keccak(bitmapText(excused))]);
  return keccak(keccak(leaf));
}

/** The files of a day that are committed, as bytes by name. */
export function dayFiles(
  day: BuiltDay,
  uptime: Iterable<UptimeRow>,
  licenses: readonly LicenseDay[],
): Map<TableFile | typeof BUNDLE_JSON, Uint8Array> {
  const whole = <Row>(table: Table<Row>, rows: Iterable<Row>) => joined([...writeTable(table, rows)]);
  const two = day.bundle.format === FORMAT_2;
  return new Map<TableFile | typeof BUNDLE_JSON, Uint8Array>([
    [BUNDLE_JSON, day.bundleJson],
    [UPTIME.file, whole(UPTIME, uptime)],
    [HOLDERS.file, whole(HOLDERS, licenses)],
    ...(two ? [[UNCOUNTED.file, whole(UNCOUNTED, uncountedOf(licenses))] as const] : []),
    [POINTS.file, whole(POINTS, licenses)],
    [REWARDS.file, whole(REWARDS, day.rewards)],
  ]);
}

/** Parts as one. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
