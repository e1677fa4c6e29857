import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fromMinuteOn } from '../../sdk-ts/src/formats/bitmap.js';
import { causeWords, countCell, counted, dayCell, type DayMinutes, excusedOf, minuteStates, ranges } from '../src/lib/minutes.js';
import { cellWords } from '../src/ui/heat.js';
import { matched } from '../src/router.js';

const none = () => new Uint8Array(180);
const day = (change: Partial<DayMinutes>): DayMinutes =>
  ({ closed: true, expected: 1440, bitmap: none(), excused: undefined, nowMinute: 1440, ...change });

test('each minute is exactly one of the states', () => {
  const excused = none();
  excused[0] = 0b11; // minutes 0 and 1
  const states = minuteStates(day({ bitmap: fromMinuteOn(10), excused }));
  assert.deepEqual(ranges(states).map(({ state, from, to }) => [state, from, to]), [['excused', 0, 2], ['down', 2, 10], ['up', 10, 1440]]);
});

test('before the first lease nothing was expected', () => {
  const states = minuteStates(day({ expected: 60 }));
  assert.equal(counted(states, 'not_expected'), 1380);
  assert.equal(counted(states, 'down'), 60);
});

test('of an open day the future is not expected, and the running minutes are unknown', () => {
  const states = minuteStates(day({ closed: false, expected: 601, nowMinute: 600 }));
  assert.deepEqual(ranges(states).map(({ state, from, to }) => [state, from, to]), [['down', 0, 599], ['unknown', 599, 601], ['not_expected', 601, 1440]]);
});

test('a day as one cell: never up where nothing was due', () => {
  assert.equal(dayCell('2026-01-01', undefined).state, 'unknown');
  assert.equal(dayCell('2026-01-01', day({ expected: 0 })).state, 'not_expected');
  assert.equal(dayCell('2026-01-01', day({ excused: fromMinuteOn(0) })).state, 'excused');
  assert.equal(dayCell('2026-01-01', day({})).state, 'down');
  assert.equal(dayCell('2026-01-01', day({ bitmap: fromMinuteOn(0) })).state, 'up');
  const partly = dayCell('2026-01-01', day({ bitmap: fromMinuteOn(720) }));
  assert.equal(partly.state, 'partly');
  assert.equal(cellWords(partly), '2026-01-01: partly up, 720 of 1,440 minutes (50.0 %)');
});

test('a range without credit has the cause that the backend gives, and one it does not know has none', () => {
  const missing = [{ from: 0, to: 2, cause: 'excused' }, { from: 2, to: 5, cause: 'silent' }, { from: 5, to: 8, cause: 'expired' }, { from: 8, to: 10, cause: 'a newer one' }];
  const states = minuteStates(day({ bitmap: fromMinuteOn(10), excused: excusedOf(missing) }));
  const told = ranges(states, missing);
  assert.deepEqual(told.map(({ state, from, to }) => [state, from, to]), [
    ['excused', 0, 2], ['down', 2, 5], ['down', 5, 8], ['down', 8, 10], ['up', 10, 1440],
  ]);
  assert.match(told.map(causeWords).join('|'), /^the backend’s own downtime[^|]*\|no heartbeat of the node came\|no node had the lease[^|]*silent[^|]*\|no heartbeat was credited\|a heartbeat/);
});

test('a day of the year by its numbers: not yet, unknown, and never up where nothing was due', () => {
  const cell = (counts: { minutes: number; expected: number; excused: number } | null, closed = true) =>
    countCell('2026-01-05', '2026-01-05', { day: '2026-01-05', closed, counts });
  const of = (minutes: number, expected: number, excused: number, closed = true) => cell({ minutes, expected, excused }, closed);
  assert.equal(countCell('2026-01-04', '2026-01-05', undefined).state, 'not_yet');
  assert.equal(cellWords(countCell('2026-01-04', '2026-01-05', undefined)), '2026-01-04: not yet');
  assert.equal(countCell('2026-01-05', '2026-01-05', undefined).state, 'unknown');
  assert.equal(cell(null).state, 'unknown');
  assert.equal(of(0, 0, 0).state, 'not_expected');
  assert.equal(of(0, 1440, 1440).state, 'excused');
  assert.equal(of(1440, 1440, 0).state, 'up');
  assert.equal(of(1400, 1440, 40).state, 'up');
  assert.equal(of(0, 1440, 40).state, 'down');
  assert.deepEqual([of(720, 1440, 0).state, of(720, 1440, 0).due], ['partly', 1440]);
  // The running minute and the one before may still be credited.
  assert.deepEqual([of(598, 600, 0, false).state, of(598, 600, 0, false).due], ['up', 598]);
  assert.equal(of(597, 600, 0, false).state, 'partly');
});

test('paths and their parameters', () => {
  assert.deepEqual(matched('/nodes/:key', '/nodes/0x1/'), { key: '0x1' });
  assert.deepEqual(matched('', '/'), {});
  assert.deepEqual(matched('/projects/:p', '/projects/%3Cb%3E'), { p: '<b>' });
  assert.equal(matched('/projects/:p', '/projects/%'), undefined);
  assert.equal(matched('/nodes/:key', '/nodes'), undefined);
});
