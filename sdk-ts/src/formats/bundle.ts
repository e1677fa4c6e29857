/** `bundle.json`: everything that a day's root was made from, by hash. */

import { keccak256, stringToBytes } from 'viem';

import { rule, ruleProblem } from '../day/rule.js';
import {
  address, amount, decimal, type Hash, hash, list, name, object, oneOf, ParseError, type Parsed, type Parser, record, uint32,
  uint64,
} from '../parse.js';
import { signature } from '../signature.js';
import { bitmap, bitmapText } from './bitmap.js';
import { canonicalJson, parseCanonical } from './json.js';

export const BUNDLE_JSON = 'bundle.json';
export const COMMIT_JSON = 'commit.json';
export const TREE_JSON = 'tree.json';
/** The last log of a license decided who held it. */
export const FORMAT_1 = 'nodesys-bundle-1';
/** `uncounted.csv` names licenses whose logs contradict themselves, and `terms_hash` the terms. */
export const FORMAT_2 = 'nodesys-bundle-2';

export const terms = object({
  /** What the project pays for the day, in wei. */
  day_reward: amount,
  rule,
  beneficiary: oneOf('renter', 'holder'),
  /** Addresses that count as 0 points, in rising order. */
  excluded: list(address),
});
export type Terms = Parsed<typeof terms>;

export const snapshot = object({ block_number: uint64, block_hash: hash, block_secs: uint64 });
export type Snapshot = Parsed<typeof snapshot>;

export const projectInfo = object({ chain_id: uint64, registry: address, distributor: address, name });
export type ProjectInfo = Parsed<typeof projectInfo>;

export const closedUptime = object({
  closed: object({
    message: object({ day: uint64, uptime_hash: hash, evidence_root: hash }),
    signature,
  }),
  receipt_key: address,
  /** keccak256 of `uptime.csv`. */
  uptime_csv: hash,
  /** Minutes excused for everybody. */
  excused: bitmap,
  path: list(hash),
});
export type ClosedUptime = Parsed<typeof closedUptime>;

const fields = {
  format: oneOf(FORMAT_1, FORMAT_2),
  project: projectInfo,
  /** The day's number. */
  epoch: uint64,
  revision: uint32,
  /** Struct hash of the commit before, zero for the first. */
  previous: hash,
  terms,
  snapshot,
  daily_quota: amount,
  carry_in: amount,
  carry_out: amount,
  /** What was divided, in wei. */
  pool: amount,
  /** keccak256 of each table. */
  files: record(hash),
  totals: object({
    licenses: uint64,
    minutes: uint64,
    points: decimal(128),
    accounts: uint64,
    allocated: amount,
    cumulative: amount,
  }),
  root: hash,
  uptime: closedUptime,
};
const bundle1 = object(fields);
const bundle2 = object({
  ...fields,
  /** {@link termsHash}, as the registry's `TermsAnnounced` has it. */
  terms_hash: hash,
});
export type Format = typeof FORMAT_1 | typeof FORMAT_2;
export type Bundle = Parsed<typeof bundle1> & { terms_hash?: Hash };

/** A parser for each format that this version knows. */
const FORMATS: Record<string, Parser<Bundle>> = { [FORMAT_1]: bundle1, [FORMAT_2]: bundle2 };

/** A bundle of a format that a later version of this package may know: nothing is proven by it. */
export class UnknownFormat extends Error {
  override name = 'UnknownFormat';
  constructor(readonly format: string) {
    super(`its format is ${JSON.stringify(format.slice(0, 80))}, which this version of nodesys-sdk does not know`);
  }
}

/** Reads `bundle.json` strictly: canonical bytes of a known format, or a {@link ParseError}. */
export function parseBundle(bytes: Uint8Array): Bundle {
  const value = parseCanonical(bytes);
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format !== 'string') throw new ParseError('/format', 'there is none');
  const parser = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (parser === undefined) throw new UnknownFormat(format);
  const bundle = parser(value);
  if (bundle.format === FORMAT_2 && bundle.terms_hash !== termsHash(bundle.terms)) {
    throw new ParseError('/terms_hash', 'not the hash of the terms');
  }
  return bundle;
}

/** keccak256 of the terms' canonical JSON. */
export const termsHash = (of: Terms): Hash => keccak256(stringToBytes(canonicalJson(of)));

/** The bundle as JSON has it. */
export function bundleValue(bundle: Bundle): unknown {
  const { uptime } = bundle;
  return JSON.parse(canonicalJson({ ...bundle, uptime: { ...uptime, excused: bitmapText(uptime.excused) } }));
}

/** The bundle's only spelling. */
export function writeBundle(bundle: Bundle): Uint8Array {
  return new TextEncoder().encode(canonicalJson(bundleValue(bundle)));
}

/** Why terms are out of range; `undefined` where they are not. */
export function termsProblem(terms: Terms): string | undefined {
  const problem = ruleProblem(terms.rule);
  if (problem !== undefined) return problem;
  const rising = terms.excluded.every((one, i) => i === 0 || (terms.excluded[i - 1] as string) < one);
  return rising ? undefined : 'excluded addresses must rise and not repeat';
}
