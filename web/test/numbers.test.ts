import assert from 'node:assert/strict';
import { test } from 'node:test';

import { clock, count, dayAfter, daysDown, exactUnits, percent, units, utc } from '../src/lib/format.js';
import { figures, pendingUntil } from '../src/lib/rewards.js';
import { ruleWords } from '../src/lib/terms.js';

test('an amount is rounded down, and never to nothing', () => {
  assert.equal(units(1_999_999_999_999_999_999_999n), '1,999.999999');
  assert.equal(units(0n), '0');
  assert.equal(units(1n), '<0.000001');
  assert.equal(units(10n ** 18n), '1');
  assert.equal(units(1234n, 0), '1,234');
  assert.equal(units(1_500_000n, 6), '1.5');
  assert.equal(exactUnits(1_999_999_999_999_999_999_999n), '1999.999999999999999999');
  assert.equal(exactUnits(1n), '0.000000000000000001');
  assert.equal(exactUnits(7n, 0), '7');
  // What is written exactly can be read back.
  for (const wei of [0n, 1n, 10n ** 18n, 2n ** 128n - 1n]) {
    const [whole = '', fraction = ''] = exactUnits(wei).split('.');
    assert.equal(BigInt(whole + fraction.padEnd(18, '0')), wei);
  }
});

test('only all of the minutes are 100 %', () => {
  assert.equal(percent(1440, 1440), '100.0 %');
  assert.equal(percent(1439, 1440), '99.9 %');
  assert.equal(percent(0, 1440), '0.0 %');
  assert.equal(percent(0, 0), '–');
});

test('days and clocks', () => {
  assert.equal(dayAfter('2026-02-28'), '2026-03-01');
  assert.equal(dayAfter('2026-01-01', -1), '2025-12-31');
  assert.deepEqual(daysDown('2026-01-01', '2026-01-03', 10), ['2026-01-03', '2026-01-02', '2026-01-01']);
  assert.deepEqual(daysDown('2026-01-04', '2026-01-03', 10), []);
  assert.equal(clock(1440), '24:00');
  assert.equal(clock(785), '13:05');
  assert.equal(utc(Date.UTC(2026, 0, 1, 13, 5)), '2026-01-01 13:05 UTC');
  assert.equal(utc(1e20), 'a moment beyond the calendar');
  assert.equal(count(1234567n), '1,234,567');
});

test('the figures of rewards are what the chain will pay', () => {
  assert.deepEqual(figures({ cumulative: 30n, active: 20n, claimed: 5n }), { claimable: 15n, pending: 10n, claimed: 5n });
  // A revoked commit may leave less than was claimed.
  assert.deepEqual(figures({ cumulative: 4n, active: 4n, claimed: 5n }), { claimable: 0n, pending: 0n, claimed: 5n });
  assert.deepEqual(figures({ cumulative: 7n, active: 4n, claimed: 5n }), { claimable: 0n, pending: 2n, claimed: 5n });
});

test('pending ends when the last of it becomes active, if that is known', () => {
  const at = (state: 'accepted' | 'posted' | 'active', secs: bigint | null) => ({ state, activates_at_secs: secs });
  assert.equal(pendingUntil([at('active', 5n)]), undefined);
  assert.equal(pendingUntil([at('active', 5n), at('posted', 9n), at('posted', 7n)]), 9000);
  assert.equal(pendingUntil([at('posted', 9n), at('accepted', null)]), undefined);
});

test('a rule in a sentence', () => {
  assert.equal(
    ruleWords({ name: 'uptime', rate: 1440n, minimum_uptime_ppm: 500_000 }),
    'A license that is up all day earns 1,440 points, and in proportion for less. Below 50 % of its minutes it earns none.',
  );
  assert.match(ruleWords({ name: 'tasks', per_task: 5n, max_tasks: 10, minimum_uptime_ppm: 0 }), /^Each accepted task earns 5 points/);
});
