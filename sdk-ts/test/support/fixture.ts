/** Days that the Rust programs made on a development chain, with the chain's word for them. */

import { readdirSync, readFileSync } from 'node:fs';

import {
  type Address, type Bundle, type DayFacts, FIRST_DAY, type Hash, known, memoryPlace, parseBundle, parseTable, type Place,
  Places, type PostedCommit, type PreviousDay, REWARDS, structHash, HOLDERS, UNCOUNTED, UPTIME, tokenKey,
} from '../../src/index.js';
import { sdk } from './paths.js';

export const PROJECT: Address = '0xe85e36041554088d2577f9eea2f2bdef17b0e397';
const ROOT = sdk(`test/fixtures/days/${PROJECT}`);
/** Days of the first format, each after the other. */
export const DAYS = readdirSync(ROOT).sort();
const ROOT_2 = sdk('test/fixtures/days-2/0xe31f6f2ef23ca69366584573459b4a5e9ec4ee51');
/** The first day of another project, of the second format. */
export const DAY_2 = readdirSync(ROOT_2)[0] as string;
const folderOf = (day: string) => `${day === DAY_2 ? ROOT_2 : ROOT}/${day}`;
export const TABLES = ['uptime.csv', 'holders.csv', 'points.csv', 'rewards.csv'] as const;

export type Files = Map<string, Uint8Array>;

/** The files of a day, by name. */
export function filesOf(day: string): Files {
  const folder = folderOf(day);
  return new Map(readdirSync(folder).map((file) => [file, readFileSync(`${folder}/${file}`)]));
}

interface SignedCommit {
  commit: { epoch: string; revision: number; previous: Hash; root: Hash; total: string; data_hash: Hash };
  signature: `0x${string}`;
}

export function signedCommit(day: string): SignedCommit {
  return JSON.parse(readFileSync(`${folderOf(day)}/commit.json`, 'utf8'));
}

export function postedOf(day: string): PostedCommit {
  const { epoch, revision, previous, root, total, data_hash: dataHash } = signedCommit(day).commit;
  const commit = { epoch: BigInt(epoch), revision, previous, root, total: BigInt(total), dataHash };
  const commitHash = structHash('RewardCommit', commit);
  return { day, commit, commitHash, activatesAt: 0n, blockNumber: 9n, transaction: `0x${'0'.repeat(64)}` };
}

export const bundleOf = (day: string): Bundle => parseBundle(filesOf(day).get('bundle.json') as Uint8Array);

/** The chain's facts, which agree with the published day. */
export function factsOf(posted: PostedCommit, bundle: Bundle, files: Files): DayFacts {
  const uptime = parseTable(UPTIME, files.get('uptime.csv') as Uint8Array);
  const holders = parseTable(HOLDERS, files.get('holders.csv') as Uint8Array);
  const uncounted = files.get('uncounted.csv');
  const reasons = new Map(uncounted && parseTable(UNCOUNTED, uncounted).map((row) => [row.license, row.reason]));
  const owned = new Map(uptime.map((token, i) => [tokenKey(token), holders[i]]));
  const zero: Address = `0x${'0'.repeat(40)}`;
  return {
    project: bundle.project,
    posted,
    postedSecs: () => Promise.resolve(known(bundle.snapshot.block_secs + 10n)),
    snapshot: () => Promise.resolve(known(bundle.snapshot)),
    receiptKey: () => Promise.resolve(known([{ from: 0n, until: (1n << 64n) - 1n }])),
    listed: () => Promise.resolve(known(true)),
    quotas: () => Promise.resolve(known([bundle.daily_quota])),
    owned(token) {
      const { holder, renter } = owned.get(tokenKey(token)) ?? { holder: zero, renter: zero };
      return { holder, renter };
    },
    uncounted: (token) => reasons.get(owned.get(tokenKey(token))?.license ?? -1),
    doubtful: () => Promise.resolve(new Map()),
  };
}

/** A day's files as a place has them. */
export function placeOf(day: string, files: Files, name = 'a mirror'): Place {
  return memoryPlace(name, new Map([...files].map(([file, bytes]) => [`${bundleOf(day).project.distributor}/${day}/${file}`, bytes])));
}

export const places = (day: string, files: Files) => new Places([placeOf(day, files)]);

/** What a fixture's day builds on. */
export function before(day: string): PreviousDay {
  const i = DAYS.indexOf(day);
  const last = DAYS[i - 1];
  if (last === undefined) return FIRST_DAY;
  return {
    commit: postedOf(last).commitHash,
    rewards: parseTable(REWARDS, filesOf(last).get('rewards.csv') as Uint8Array),
    carry: bundleOf(last).carry_out,
  };
}
