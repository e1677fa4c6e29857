import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { parseBundle } from '../../sdk-ts/src/formats/bundle.js';
import { parseTable } from '../../sdk-ts/src/formats/reader.js';
import { HOLDERS, POINTS, REWARDS, UPTIME } from '../../sdk-ts/src/formats/tables.js';
import type { Address } from '../../sdk-ts/src/parse.js';
import { type Files, why } from '../src/lib/why.js';

const days = '../sdk-ts/test/fixtures/days';
const project = readdirSync(days)[0] ?? '';
const file = (day: string, name: string) => new Uint8Array(readFileSync(`${days}/${project}/${day}/${name}`));
const filesOf = (day: string): Files => ({
  bundle: parseBundle(file(day, 'bundle.json')), uptime: parseTable(UPTIME, file(day, 'uptime.csv')),
  holders: parseTable(HOLDERS, file(day, 'holders.csv')), points: parseTable(POINTS, file(day, 'points.csv')),
  rewards: parseTable(REWARDS, file(day, 'rewards.csv')),
});

test('each day of the Rust programs is explained to the wei', () => {
  const before = new Map<string, bigint>();
  for (const day of ['2026-01-01', '2026-01-02', '2026-01-03']) {
    const files = filesOf(day);
    let amounts = 0n;
    for (const { account, cumulative } of files.rewards) {
      const told = why(account, files);
      assert.ok(told.adds);
      assert.equal(told.cumulative, cumulative);
      assert.equal(told.before, before.get(account) ?? 0n, `${account} on ${day}`);
      before.set(account, cumulative);
      amounts += told.amount;
      for (const { tasks, points, license } of told.licenses) {
        // Where the rule counts tasks, its points are those of its minutes and a whole number of tasks.
        const counts = told.rule.name !== 'uptime';
        assert.equal(tasks !== undefined, counts, `license ${license} on ${day}: ${points} points`);
      }
    }
    assert.equal(amounts, files.bundle.totals.allocated);
  }
});

test('files that do not add up are told, and a stranger gets nothing', () => {
  const files = filesOf('2026-01-03');
  const [first] = files.rewards;
  assert.ok(first);
  const doubled = files.points.map((row, i) => (i === 0 ? { ...row, points: row.points * 2n } : row));
  // Twice the points of one license: its share grows, so another account's falls; the committed sum stays.
  const other = why(first.account, { ...files, points: doubled });
  assert.notEqual(other.amount, why(first.account, files).amount);
  const less = files.rewards.map((row) => ({ ...row, cumulative: 1n }));
  assert.equal(why(first.account, { ...files, rewards: less }).adds, false);
  const nobody = why(`0x${'00'.repeat(19)}01` as Address, files);
  assert.deepEqual([nobody.licenses, nobody.amount, nobody.cumulative], [[], 0n, 0n]);
});
