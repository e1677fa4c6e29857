/** Who held the licenses of a day, as committed, held against the logs row by row. */

import type { Difference } from '../formats/reader.js';
import { HOLDERS, type HolderRow, type Table, UNCOUNTED, type UncountedRow } from '../formats/tables.js';
import { type Token, tokenKey } from './facts.js';

/** The rows of holders.csv and uncounted.csv. */
export interface DayHolders {
  rows: readonly HolderRow[];
  /** Rising by license; none in days of the first format. */
  uncounted: readonly UncountedRow[];
}

type License = Token & { license: number };

/** Licenses of which the logs say something else; all of them where the committed rows are not known. */
export function suspects(
  committed: DayHolders | undefined,
  ours: DayHolders,
  licenses: readonly License[],
): License[] {
  if (committed === undefined) return [...licenses];
  const spelled = ({ rows, uncounted }: DayHolders) => {
    const by = new Map(rows.map((row) => [row.license, HOLDERS.write(row)]));
    for (const row of uncounted) by.set(row.license, `${by.get(row.license)} ${row.reason}`);
    return by;
  };
  const [theirs, own] = [spelled(committed), spelled(ours)];
  return licenses.filter(({ license }) => theirs.get(license) !== own.get(license));
}

/** What committed holders prove, and the first reason why something about them cannot be told. */
export interface Comparison {
  differences: { problem: string; difference: Difference }[];
  doubt: string | undefined;
}

/** `doubtful` are tokens whose logs may not be all of them. */
export function compareHolders(
  committed: DayHolders,
  ours: DayHolders,
  licenses: readonly License[],
  doubtful: ReadonlyMap<string, string>,
): Comparison {
  const [theirReasons, ourReasons] = [reasons(committed), reasons(ours)];
  const differences: Comparison['differences'] = [];
  let doubt: string | undefined;
  for (const [i, row] of ours.rows.entries()) {
    const given = committed.rows[i];
    const [theirs, own] = [theirReasons.get(row.license), ourReasons.get(row.license)];
    const [givenRow, ownRow] = [given && HOLDERS.write(given), HOLDERS.write(row)];
    const sameReason = theirs?.row.reason === own?.row.reason;
    if (givenRow === ownRow && sameReason) continue;
    const token = licenses[i] as License;
    const why = doubtful.get(tokenKey(token));
    if (why !== undefined) {
      doubt ??= `the holder of license ${row.license} (${token.tokenId}): ${why}`;
      continue;
    }
    const spelled = (one: typeof own) => one && UNCOUNTED.write(one.row);
    const difference = sameReason
      ? at(HOLDERS, i + 2, givenRow, ownRow)
      : at(UNCOUNTED, (theirs ?? own)?.line ?? 1, spelled(theirs), spelled(own));
    differences.push({ problem: COMMITTED, difference });
    // One proof is enough, and a shifted file would differ in each row.
    break;
  }
  const extra = committed.rows[ours.rows.length];
  if (extra !== undefined) {
    const difference = at(HOLDERS, ours.rows.length + 2, HOLDERS.write(extra), undefined);
    differences.push({ problem: 'there is no such license in uptime.csv', difference });
  }
  return { differences, doubt };
}

/** The rows of uncounted.csv with their lines, by license. */
const reasons = ({ uncounted }: DayHolders) => new Map(uncounted.map((row, i) => [row.license, { line: i + 2, row }]));

export const COMMITTED = 'it was committed, but it is wrong';

/** A row that differs, or has no right to be there. */
export function at<Row>(
  table: Table<Row>,
  line: number,
  given: string | undefined,
  computed: string | undefined,
): Difference {
  return { file: table.file, line, header: table.header, given, computed };
}
