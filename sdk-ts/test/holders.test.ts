/** Who holds a license by its logs, and how committed holders are held against them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  type Address, FORMAT_1, FORMAT_2, Holders, type HolderRow, type LicenseEvent, parseTable, tokenKey, type Uncounted, UNCOUNTED,
  writeTable,
} from '../src/index.js';
import { uncountedOf } from '../src/day/build.js';
import { compareHolders, type DayHolders, suspects } from '../src/day/compare.js';
import { holdersOf } from '../src/day/holders.js';

const collection: Address = `0x${'01'.repeat(20)}`;
const [NOBODY, ALICE, BOB, CAROL] = ['00', '02', '03', '04'].map((one) => `0x${one.repeat(20)}`) as [Address, Address, Address, Address];
const token = (number: number) => ({ collection, tokenId: BigInt(number) });
const transfer = (number: number, from: Address, to: Address): LicenseEvent => ({ ...token(number), kind: 'transfer', from, to });
const rental = (number: number, renter: Address, untilSecs: bigint): LicenseEvent =>
  ({ ...token(number), kind: 'rental', renter, untilSecs });
const row = (license: number, holder = NOBODY, renter = NOBODY): HolderRow => ({ license, holder, renter });
const licenses = (...numbers: number[]) => numbers.map((license) => ({ license, ...token(license) }));

function folded(...events: LicenseEvent[]): Holders {
  const holders = new Holders();
  for (const event of events) holders.apply(event);
  return holders;
}

function ofDay(holders: Holders, secs: bigint, format: typeof FORMAT_1 | typeof FORMAT_2, ...numbers: number[]): DayHolders {
  const facts = { owned: holders.at.bind(holders), uncounted: holders.uncounted.bind(holders) };
  const snapshot = { block_number: 1n, block_hash: `0x${'0'.repeat(64)}` as const, block_secs: secs };
  const days = holdersOf(facts, licenses(...numbers), { format, snapshot });
  return { rows: days.map(({ license, holder, renter }) => ({ license, holder, renter })), uncounted: uncountedOf(days) };
}

test('a rental runs through its last second, and survives a transfer', () => {
  const holders = folded(transfer(1, NOBODY, ALICE), rental(1, CAROL, 100n), transfer(1, ALICE, BOB));
  for (const format of [FORMAT_1, FORMAT_2] as const) {
    assert.deepEqual(ofDay(holders, 100n, format, 1).rows, [row(1, BOB, CAROL)]);
    assert.deepEqual(ofDay(holders, 101n, format, 1).rows, [row(1, BOB)]);
  }
});

test('a license whose logs contradict themselves counts for nobody, and the others are as they were', () => {
  const holders = folded(
    // Rented, and only then minted: the first contradiction is the reason.
    rental(1, CAROL, 100n), transfer(1, NOBODY, ALICE), transfer(1, BOB, ALICE),
    // Minted without a log (ERC-2309), and sold with one.
    transfer(2, ALICE, BOB),
    // Minted twice.
    transfer(3, NOBODY, ALICE), transfer(3, NOBODY, BOB),
    // Burnt, and minted again: no contradiction.
    transfer(4, NOBODY, ALICE), transfer(4, ALICE, NOBODY), transfer(4, NOBODY, BOB),
  );
  const two = ofDay(holders, 100n, FORMAT_2, 1, 2, 3, 4, 5);
  assert.deepEqual(two.rows, [row(1), row(2), row(3), row(4, BOB), row(5)]);
  const file = 'license,reason\n1,rented_before_transfer\n2,taken_from_another\n3,taken_from_another\n5,no_transfer\n';
  assert.equal([...writeTable(UNCOUNTED, two.uncounted)].map((part) => new TextDecoder().decode(part)).join(''), file);
  assert.deepEqual(parseTable(UNCOUNTED, new TextEncoder().encode(file)), two.uncounted);
  assert.throws(() => parseTable(UNCOUNTED, new TextEncoder().encode('license,reason\n1,luck\n')), /not one of/);
  // The rule of old days.
  const one = ofDay(holders, 100n, FORMAT_1, 1, 2, 3, 4, 5);
  assert.deepEqual(one, { rows: [row(1, ALICE, CAROL), row(2, BOB), row(3, BOB), row(4, BOB), row(5)], uncounted: [] });
});

test('the first row that is proven wrong is named, and what cannot be told is said', () => {
  const reason = (license: number, why: Uncounted) => ({ license, reason: why });
  const ours = { rows: [row(1, ALICE), row(2), row(3, CAROL)], uncounted: [reason(2, 'no_transfer')] };
  const compared = (committed: DayHolders, doubtful = new Map<string, string>()) => {
    const { differences, doubt } = compareHolders(committed, ours, licenses(1, 2, 3), doubtful);
    return [...differences.map(({ difference: { file, line } }) => `${file} ${line}`), ...(doubt === undefined ? [] : [doubt])];
  };
  assert.deepEqual(compared(ours), []);
  assert.deepEqual(compared({ ...ours, rows: [row(1, BOB), row(2), row(3, ALICE)] }), ['holders.csv 2']);
  assert.deepEqual(compared({ ...ours, uncounted: [reason(2, 'taken_from_another')] }), ['uncounted.csv 2']);
  assert.deepEqual(compared({ ...ours, uncounted: [] }), ['uncounted.csv 2']);
  const left = { rows: [row(1), row(2), row(3, CAROL)], uncounted: [reason(1, 'no_transfer'), reason(2, 'no_transfer')] };
  assert.deepEqual(compared(left), ['uncounted.csv 2']);
  assert.deepEqual(compared({ ...ours, rows: [...ours.rows, row(4, BOB)] }), ['holders.csv 5']);
  // An undecidable row hides no proven one.
  const doubtful = new Map([[tokenKey(token(1)), 'logs are missing']]);
  assert.deepEqual(compared(left, doubtful), ['the holder of license 1 (1): logs are missing']);
  assert.deepEqual(compared({ ...left, rows: [row(1), row(2), row(3, BOB)] }, doubtful), ['holders.csv 4', 'the holder of license 1 (1): logs are missing']);
  const asked = (committed: DayHolders | undefined) => suspects(committed, ours, licenses(1, 2, 3)).map((one) => one.license);
  assert.deepEqual([asked(undefined), asked(ours), asked(left)], [[1, 2, 3], [], [1]]);
});
