import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fromMinuteOn } from '../../sdk-ts/src/formats/bitmap.js';
import { counted, dayCell, type DayMinutes, minuteStates, ranges } from '../src/lib/minutes.js';
import { cellWords } from '../src/ui/heat.js';
import { matched } from '../src/router.js';

const none = () => new Uint8Array(180);
const day = (change: Partial<DayMinutes>): DayMinutes =>
  ({ closed: true, expected: 1440, bitmap: none(), excused: undefined, nowMinute: 1440, ...change });

test('each minute is exactly one of the states', () => {
  const excused = none();
  excused[0] = 0b11; // minutes 0 and 1
  const states = minuteStates(day({ bitmap: fromMinuteOn(10), excused }));
  assert.deepEqual(ranges(states), [
    { state: 'excused', from: 0, to: 2 }, { state: 'down', from: 2, to: 10 }, { state: 'up', from: 10, to: 1440 },
  ]);
});

test('before the first lease nothing was expected', () => {
  const states = minuteStates(day({ expected: 60 }));
  assert.equal(counted(states, 'not_expected'), 1380);
  assert.equal(counted(states, 'down'), 60);
});

test('of an open day the future is not expected, and the running minutes are unknown', () => {
  const states = minuteStates(day({ closed: false, expected: 601, nowMinute: 600 }));
  assert.deepEqual(ranges(states), [
    { state: 'down', from: 0, to: 599 }, { state: 'unknown', from: 599, to: 601 }, { state: 'not_expected', from: 601, to: 1440 },
  ]);
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

test('paths and their parameters', () => {
  assert.deepEqual(matched('/nodes/:key', '/nodes/0x1/'), { key: '0x1' });
  assert.deepEqual(matched('', '/'), {});
  assert.deepEqual(matched('/projects/:p', '/projects/%3Cb%3E'), { p: '<b>' });
  assert.equal(matched('/projects/:p', '/projects/%'), undefined);
  assert.equal(matched('/nodes/:key', '/nodes'), undefined);
});
