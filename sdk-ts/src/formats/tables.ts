/** The tables of a day: one row type each, and one spelling of every row. */

import { address, amount, type Address, decimal, oneOf, type Parsed, ParseError, points, uint256 } from '../parse.js';
import { type Bitmap, bitmap, bitmapText, countMinutes, MINUTES_PER_DAY } from './bitmap.js';

/** How rows of one table are read and written. */
export interface Table<Row> {
  readonly file: TableFile;
  readonly header: string;
  /** Reads as many columns as the header has; throws a {@link ParseError} that names the column. */
  read(columns: readonly string[]): Row;
  write(row: Row): string;
  /** What rows rise by. */
  key(row: Row): number | string;
}

export type TableFile = 'uptime.csv' | 'holders.csv' | 'uncounted.csv' | 'points.csv' | 'rewards.csv';

export interface UptimeRow {
  license: number;
  collection: Address;
  tokenId: bigint;
  /** Credited minutes: how many bits of `bitmap` are set. */
  minutes: number;
  /** Minutes in which it was expected to run: the last ones of the day. */
  expected: number;
  bitmap: Bitmap;
}

export interface HolderRow {
  license: number;
  /** Zero where the token is burnt, or not counted. */
  holder: Address;
  /** Zero where no rental runs. */
  renter: Address;
}

/** Why a license counts for nobody on a day: by its logs nobody can tell who holds it. */
export const uncounted = oneOf('no_transfer', 'rented_before_transfer', 'taken_from_another');
export type Uncounted = Parsed<typeof uncounted>;

/** The reasons in words. */
export const UNCOUNTED_WORDS: Record<Uncounted, string> = {
  no_transfer: 'no log of its collection transfers it',
  rented_before_transfer: 'it is rented, and no log before mints it',
  taken_from_another: 'a log takes it from somebody who does not hold it by the logs before',
};

/** A license that counts for nobody: its row of holders.csv names nobody. */
export interface UncountedRow {
  license: number;
  reason: Uncounted;
}

export interface PointsRow {
  license: number;
  points: bigint;
}

export interface RewardRow {
  account: Address;
  /** All that the account ever earned, in wei. */
  cumulative: bigint;
}

const index = decimal(32);
const minutesOf = decimal(11);

const license = (column: string | undefined) => Number(index(column, 'license'));

function minutes(column: string | undefined, name: string): number {
  const number = Number(minutesOf(column, name));
  if (number > MINUTES_PER_DAY) throw new ParseError(name, `not a number of minutes from 0 to 1440: ${number}`);
  return number;
}

export const UPTIME: Table<UptimeRow> = {
  file: 'uptime.csv',
  header: 'license,collection,token_id,minutes,expected,bitmap',
  read([first, collection, token, credited, expected, bits]) {
    const row = {
      license: license(first),
      collection: address(collection, 'collection'),
      tokenId: uint256(token, 'token_id'),
      minutes: minutes(credited, 'minutes'),
      expected: minutes(expected, 'expected'),
      bitmap: bitmap(bits, 'bitmap'),
    };
    // Said twice: people read the number, rules the bitmap. So the two must agree.
    const count = countMinutes(row.bitmap);
    if (count === row.minutes) return row;
    throw new ParseError('minutes', `license ${row.license}: minutes ${row.minutes} but the bitmap has ${count}`);
  },
  write: (row) =>
    `${row.license},${row.collection},${row.tokenId},${row.minutes},${row.expected},${bitmapText(row.bitmap)}`,
  key: (row) => row.license,
};

export const HOLDERS: Table<HolderRow> = {
  file: 'holders.csv',
  header: 'license,holder,renter',
  read: ([first, holder, renter]) => ({
    license: license(first),
    holder: address(holder, 'holder'),
    renter: address(renter, 'renter'),
  }),
  write: (row) => `${row.license},${row.holder},${row.renter}`,
  key: (row) => row.license,
};

export const UNCOUNTED: Table<UncountedRow> = {
  file: 'uncounted.csv',
  header: 'license,reason',
  read: ([first, reason]) => ({ license: license(first), reason: uncounted(reason, 'reason') }),
  write: (row) => `${row.license},${row.reason}`,
  key: (row) => row.license,
};

export const POINTS: Table<PointsRow> = {
  file: 'points.csv',
  header: 'license,points',
  read: ([first, given]) => ({ license: license(first), points: points(given, 'points') }),
  write: (row) => `${row.license},${row.points}`,
  key: (row) => row.license,
};

export const REWARDS: Table<RewardRow> = {
  file: 'rewards.csv',
  header: 'account,cumulative',
  read: ([account, cumulative]) => ({
    account: address(account, 'account'),
    cumulative: amount(cumulative, 'cumulative'),
  }),
  write: (row) => `${row.account},${row.cumulative}`,
  key: (row) => row.account,
};
