/**
 * A committed day's files, checked against the hash that the chain was given.
 *
 * `bundle.json` must have the commit's `data_hash`, each table the hash that `bundle.json` names. So rows shown from
 * here are what was committed, or nothing is shown. Loaded once a page needs it.
 */

import type { CommitView } from '../../../sdk-ts/src/api/views.js';
import { type Bundle, FORMAT_1, parseBundle } from '../../../sdk-ts/src/formats/bundle.js';
import { TableReader } from '../../../sdk-ts/src/formats/reader.js';
import {
  type HolderRow, HOLDERS, POINTS, type PointsRow, type RewardRow, REWARDS, type Table, UNCOUNTED, type UncountedRow, UPTIME,
  type UptimeRow,
} from '../../../sdk-ts/src/formats/tables.js';
import type { Address, Hash } from '../../../sdk-ts/src/parse.js';
import { keccak256 } from '../lib/keccak.js';
import { reads } from './backend.js';

/** A table larger than this is read by the verification's worker, not by a page. */
const MOST_BYTES = 4 * 2 ** 20;
/** A file is not the committed one. */
export class WrongFile extends Error {
  override name = 'WrongFile';
}

async function committed(project: Address, day: string, file: string, expected: Hash): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of await reads.bundleFile(project, day, file)) {
    size += part.length;
    if (size > MOST_BYTES) throw new WrongFile(`${file} of ${day} is too large for this page; nodesys audit reads it`);
    parts.push(part);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  const found = keccak256(whole);
  if (found !== expected) throw new WrongFile(`${file} of ${day} is not the committed file: its hash is ${found}, not ${expected}`);
  return whole;
}

function rows<Row>(table: Table<Row>, bytes: Uint8Array): Row[] {
  const all: Row[] = [];
  const reader = new TableReader(table, (row) => all.push(row));
  reader.push(bytes);
  reader.end();
  if (reader.error !== undefined) throw reader.error;
  return all;
}

export interface DayTables {
  bundle: Bundle;
  uptime: UptimeRow[];
  holders: HolderRow[];
  points: PointsRow[];
  rewards: RewardRow[];
}

/** `bundle.json` of a commit. */
export const bundleOf = async ({ project, day, commit }: CommitView): Promise<Bundle> =>
  parseBundle(await committed(project, day, 'bundle.json', commit.data_hash));

/** Its licenses that count for nobody. */
export async function uncountedOf({ project, day }: CommitView, bundle: Bundle): Promise<UncountedRow[]> {
  if (bundle.format === FORMAT_1) return [];
  return rows(UNCOUNTED, await committed(project, day, UNCOUNTED.file, bundle.files[UNCOUNTED.file] as Hash));
}

/** Its tables. */
export async function tablesOf({ project, day }: CommitView, bundle: Bundle): Promise<DayTables> {
  const read = async <Row>(table: Table<Row>) =>
    rows(table, await committed(project, day, table.file, bundle.files[table.file] as Hash));
  const [uptime, holders, points, rewards] = await Promise.all([read(UPTIME), read(HOLDERS), read(POINTS), read(REWARDS)]);
  return { bundle, uptime, holders, points, rewards };
}
