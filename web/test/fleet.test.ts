import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { FleetRow } from '../../sdk-ts/src/api/views.js';
import { columnsOf, filtered, FIRST_COLUMNS, orderOf, orderText, rowsOf, sorted, STATES, stateWords, summary } from '../src/lib/fleet.js';
import { drawn } from '../src/lib/window.js';

const key = (number: number) => `0x${number.toString(16).padStart(40, '0')}` as const;
const row = (node: number, state: FleetRow['state'], token?: number, more: Partial<NonNullable<FleetRow['license']>> = {}): FleetRow => ({
  node_key: key(node), not_after: 4_000_000_000n, state, heard_millis: token === undefined ? null : BigInt(node) * 1000n,
  license: token === undefined ? null : {
    license: { chain_id: 1n, collection: key(0xc), token_id: BigInt(token) }, project: key(0xd), workload: 'alpha', fence: 1n, since_millis: 0n,
    minutes: token, status: 'healthy', release: 1n, ...more,
  },
});

test('the line on top counts nodes, each by its best row, and says why the others earn nothing', () => {
  const words = (...rows: FleetRow[]) => summary(rows).words;
  assert.equal(words(row(1, 'up', 1)), 'The one node earns now.');
  assert.equal(words(row(1, 'up', 1), row(2, 'late', 2)), 'All 2 nodes earn now. 1 is late.');
  // One that runs a license and waits for others earns.
  assert.equal(words(row(1, 'up', 1), row(1, 'standby', 2), row(1, 'down', 3)), 'The one node earns now.');
  assert.equal(
    words(...[1, 2, 3, 4, 5].map((i) => row(i, 'up', i)), row(6, 'down', 6), row(7, 'down', 7), row(8, 'no_license'), row(9, 'expired', 9), row(10, 'standby', 1)),
    '5 of 10 nodes earn nothing now: 2 are down, 1 stands by, 1 has no license, 1 has an authorisation that ended.',
  );
  assert.equal(words(row(1, 'down', 1)), '1 of 1 node earns nothing now: 1 is down.');
  assert.equal(words(row(1, 'up', 1), row(2, 'revoked')), 'The one node earns now. 1 revoked node is not counted.');
  assert.equal(words(row(2, 'revoked'), row(3, 'revoked')), 'No node is authorised now. 2 revoked nodes are not counted.');
  assert.equal(summary([row(1, 'down', 1)]).bad, true);
  assert.equal(summary([row(1, 'late', 1)]).bad, false);
});

test('a row says why it is down where a heartbeat said it', () => {
  assert.equal(stateWords(row(1, 'down', 1, { status: 'degraded' })), 'down: degraded');
  assert.equal(stateWords(row(1, 'down', 1)), 'down');
  assert.equal(stateWords(row(1, 'down', 1, { status: null })), 'down');
  assert.equal(stateWords(row(1, 'up', 1)), 'up');
  assert.equal(stateWords(row(1, 'no_license')), 'no license');
});

test('pages are put together with each row once', () => {
  const all = rowsOf([{ rows: [row(1, 'up', 1), row(2, 'up', 2)] }, { rows: [row(2, 'late', 2), row(2, 'standby', 3), row(3, 'no_license')] }]);
  assert.deepEqual(all.map(({ state }) => state), ['up', 'late', 'standby', 'no_license']);
});

test('rows are sorted by every column, what is missing last, equal rows as they came', () => {
  const rows = [row(3, 'up', 10), row(1, 'no_license'), row(2, 'down', 9), row(4, 'up', 9)];
  const nodes = (order: string) => sorted(rows, orderOf(order)).map(({ node_key }) => Number(node_key));
  assert.deepEqual(nodes('state'), [2, 1, 3, 4]);
  assert.deepEqual(nodes('minutes'), [2, 4, 3, 1]);
  assert.deepEqual(nodes('-minutes'), [3, 2, 4, 1]);
  // Numbers of tokens, not their texts.
  assert.deepEqual(nodes('license'), [2, 4, 3, 1]);
  assert.deepEqual(nodes('node'), [1, 2, 3, 4]);
  assert.deepEqual(nodes('-heard'), [4, 3, 2, 1]);
  assert.deepEqual(rows.map(({ node_key }) => Number(node_key)), [3, 1, 2, 4], 'the rows themselves are left alone');
});

test('an address that names no order or column that is known has those of the start', () => {
  for (const text of [null, '', '-', 'nonsense', '--state', 'constructor']) assert.deepEqual(orderOf(text), { column: 'state', down: false });
  assert.equal(orderText(orderOf('-minutes')), '-minutes');
  for (const text of [null, '', 'nonsense', '__proto__']) assert.deepEqual(columnsOf(text), FIRST_COLUMNS);
  assert.deepEqual(columnsOf('until.state.x'), ['state', 'until']);
});

test('a filter takes parts of keys, licenses and workloads, and states', () => {
  const rows = [row(0xabc, 'up', 77), row(2, 'down', 8), row(3, 'no_license')];
  const nodes = (text: string, ...states: string[]) => filtered(rows, text, new Set(states)).map(({ node_key }) => Number(node_key));
  assert.deepEqual(nodes(''), [0xabc, 2, 3]);
  assert.deepEqual(nodes(' ABC '), [0xabc]);
  assert.deepEqual(nodes('/77'), [0xabc]);
  assert.deepEqual(nodes('alph'), [0xabc, 2]);
  assert.deepEqual(nodes('', 'down', 'no_license'), [2, 3]);
  assert.deepEqual(nodes('alpha', 'no_license'), []);
  assert.equal(new Set(STATES).size, 7);
});

test('whatever the scroll, all rows in sight are drawn, and few others', () => {
  for (const rows of [0, 1, 7, 30, 10_000]) {
    for (let scrolled = -40; scrolled < rows * 38 + 100; scrolled += rows > 1000 ? 997 : 13) {
      const { from, to } = drawn(scrolled, 700, 38, rows);
      assert.ok(from >= 0 && to <= rows && (rows === 0 || from < rows) && to - from <= 45, `${rows} ${scrolled}: ${from} ${to}`);
      const [first, last] = [Math.floor(Math.max(0, scrolled) / 38), Math.ceil((Math.max(0, scrolled) + 700) / 38)];
      if (first < rows) assert.ok(from <= first && to >= Math.min(rows, last), `${rows} ${scrolled}: ${from} ${to}`);
    }
  }
});
