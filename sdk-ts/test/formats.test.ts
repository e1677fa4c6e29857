/** Tables and bundle.json have one spelling; whatever else is refused with its place. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { keccak256, toBytes } from 'viem';

import {
  bitmap, canonicalJson, countMinutes, dayOf, epochOf, FORMAT_1, FORMAT_2, fromMinuteOn, parseBundle, ParseError, parseTable, POINTS, ratioPpm,
  REWARDS, runsOf, type Table, TableError, TableReader, UnknownFormat, UPTIME, writeBundle, writeTable,
} from '../src/index.js';
import { joined } from '../src/day/build.js';
import { bitmapText } from '../src/formats/bitmap.js';
import { bundleOf, DAYS, filesOf } from './support/fixture.js';
import { Random } from './support/random.js';

const encode = (text: string) => new TextEncoder().encode(text);

function refused<Row>(table: Table<Row>, text: string | Uint8Array): TableError {
  try {
    parseTable(table, typeof text === 'string' ? encode(text) : text);
  } catch (error) {
    assert.ok(error instanceof TableError, `${error}`);
    return error;
  }
  assert.fail(`not refused: ${text}`);
}

test('a table is read strictly, and the line is named', () => {
  assert.deepEqual(parseTable(POINTS, encode('license,points\n1,5\n2,0\n')), [
    { license: 1, points: 5n }, { license: 2, points: 0n },
  ]);
  const cases: [string, number, RegExp][] = [
    ['', 1, /line feed/],
    ['license,points', 1, /line feed/],
    ['license;points\n', 1, /header/],
    ['license,points\n1,5', 2, /line feed/],
    ['license,points\n1,05\n', 2, /plain decimal/],
    ['license,points\n1,+5\n', 2, /plain decimal/],
    ['license,points\n1,5e3\n', 2, /plain decimal/],
    ['license,points\n1,5,\n', 2, /3 columns/],
    ['license,points\r\n1,5\r\n', 1, /header/],
    ['license,points\n1,5\r\n', 2, /plain decimal/],
    ['\ufefflicense,points\n1,5\n', 1, /header/],
    ['license,points\n1,5\n1,5\n', 3, /duplicate/],
    ['license,points\n1,5\n2,5\n1,6\n', 4, /out of order/],
    ['license,points\n2,5\n1,5\n', 3, /out of order/],
    ['license,points\n1,5\n\n', 3, /1 columns/],
    ['license,points\n1,9223372036854775808\n', 2, /too large/],
    ['license,points\n4294967296,1\n', 2, /too large/],
    [`license,points\n1,${'9'.repeat(2000)}\n`, 2, /too large/],
    [`license,points\n1,${'9'.repeat(100_000)}`, 2, /4096 characters/],
    ['license,points\n\u0661,5\n', 2, /plain decimal/],
  ];
  for (const [text, line, problem] of cases) {
    const error = refused(POINTS, text);
    assert.equal(error.line, line, `${error}`);
    assert.match(error.problem, problem);
  }
  assert.match(refused(POINTS, Uint8Array.of(...encode('license,points\n'), 0xff, ...encode(',5\n'))).problem, /decimal/);
  assert.match(refused(REWARDS, `account,cumulative\n0x${'AB'.repeat(20)},5\n`).problem, /lower-case/);
  assert.match(refused(REWARDS, `account,cumulative\n0x${'ab'.repeat(20)},${1n << 128n}\n`).problem, /too large/);
});

test('an uptime row says its minutes twice, and both must agree', () => {
  const row = { license: 0, collection: `0x${'cc'.repeat(20)}` as const, tokenId: (1n << 256n) - 1n };
  const good = UPTIME.write({ ...row, minutes: 1080, expected: 1440, bitmap: fromMinuteOn(360) });
  const table = (line: string) => `${UPTIME.header}\n${line}\n`;
  assert.equal(parseTable(UPTIME, encode(table(good)))[0]?.minutes, 1080);
  assert.match(refused(UPTIME, table(good.replace('1080', '1081'))).problem, /the bitmap has 1080/);
  assert.match(refused(UPTIME, table(good.replace('1440', '1441'))).problem, /from 0 to 1440/);
  assert.match(refused(UPTIME, table(good.replace(`${row.tokenId}`, `${row.tokenId + 1n}`))).problem, /too large/);
  assert.match(refused(UPTIME, table(good.slice(0, -1))).problem, /bitmap/);
});

test('however a file is cut into parts, its rows are the same', () => {
  const random = new Random(3);
  const bytes = filesOf(DAYS[0] as string).get('uptime.csv') as Uint8Array;
  const whole = parseTable(UPTIME, bytes);
  assert.equal(whole.length, 3);
  for (let round = 0; round < 50; round += 1) {
    const rows: unknown[] = [];
    const reader = new TableReader(UPTIME, (row) => rows.push(row));
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + random.int(200);
      reader.push(bytes.subarray(at, end));
      at = end;
    }
    reader.end();
    assert.equal(reader.error, undefined);
    assert.deepEqual(rows, whole);
  }
  assert.deepEqual(joined([...writeTable(UPTIME, whole)]), new Uint8Array(bytes));
});

test('minute m is bit m % 8 of byte m / 8', () => {
  const noon = fromMinuteOn(720);
  assert.deepEqual(bitmap(bitmapText(noon)), noon);
  assert.deepEqual(runsOf(noon), [[720, 1440]]);
  assert.equal(countMinutes(noon), 720);
  const morning = noon.map((byte) => ~byte & 255);
  const none = new Uint8Array(180);
  assert.deepEqual(
    [ratioPpm(noon, 1440, none), ratioPpm(noon, 720, none), ratioPpm(noon, 1440, morning), ratioPpm(morning, 720, none)],
    [500_000, 1_000_000, 1_000_000, 0],
  );
  assert.equal(ratioPpm(none, 0, none), 1_000_000, 'nothing was due');
  assert.equal(ratioPpm(fromMinuteOn(1439), 3, none), 333_333);
});

test('bundle.json has one spelling, and a known format', () => {
  for (const day of DAYS) {
    const bytes = filesOf(day).get('bundle.json') as Uint8Array;
    assert.deepEqual(writeBundle(parseBundle(bytes)), new Uint8Array(bytes));
    const text = new TextDecoder().decode(bytes);
    const changed: [string, RegExp][] = [
      [` ${text}`, /canonical/],
      [`\ufeff${text}`, /not JSON/],
      [`${text}\n`, /canonical/],
      [text.replace('{"carry_in"', '{"carry_in":"7","carry_in"'), /canonical/],
      [text.replace('"revision":0', '"revision":0.5'), /whole number/],
      [text.replace('"revision":0', '"revision":4294967296'), /whole number/],
      [text.replace('"revision":0', '"revision":0e0'), /canonical/],
      [text.replace('"revision":0', '"revision":"0"'), /revision/],
      [text.replace('"pool":"', '"pool":"0'), /decimal/],
      [text.replace('"name":"uptime"', '"name":"luck"'), /not one of/],
      [text.replace('"excluded":[]', '"excluded":[],"extra":1'), /unknown field/],
      [text.slice(0, -1), /not JSON/],
      ['null', /format/],
    ];
    for (const [other, problem] of changed) {
      assert.notEqual(other, text);
      assert.throws(() => parseBundle(encode(other)), (error) => error instanceof ParseError && problem.test(error.message), other.slice(0, 80));
    }
    for (const format of ['nodesys-bundle-3', 'constructor', '']) {
      const other = encode(text.replace('nodesys-bundle-1', format));
      assert.throws(() => parseBundle(other), UnknownFormat);
    }
    assert.throws(() => parseBundle(Uint8Array.of(0xff)), /UTF-8/);
  }
  assert.equal(canonicalJson({ b: 1n, a: [true, null, 'x"'] }), '{"a":[true,null,"x\\""],"b":"1"}');
  assert.equal(bundleOf(DAYS[0] as string).terms.beneficiary, 'renter');
});

test('the second format names its terms by their hash, the first does not', () => {
  const one = bundleOf(DAYS[0] as string);
  const hash = keccak256(toBytes(canonicalJson(one.terms)));
  const two = (terms_hash: unknown) => encode(
    canonicalJson({ ...(JSON.parse(new TextDecoder().decode(writeBundle(one))) as object), format: FORMAT_2, terms_hash }),
  );
  assert.equal(parseBundle(two(hash)).terms_hash, hash);
  assert.deepEqual(writeBundle(parseBundle(two(hash))), new Uint8Array(two(hash)));
  for (const other of [undefined, null, `0x${'0'.repeat(64)}`]) {
    assert.throws(() => parseBundle(two(other)), (error) => error instanceof ParseError && /terms_hash/.test(error.message));
  }
  const first = encode(new TextDecoder().decode(two(hash)).replace(FORMAT_2, FORMAT_1));
  assert.throws(() => parseBundle(first), (error) => error instanceof ParseError && /unknown field/.test(error.message));
});

test('days are those of the calendar', () => {
  assert.equal(epochOf('2026-01-31'), 20_484n);
  assert.equal(dayOf(20_484n), '2026-01-31');
  assert.equal(dayOf(2_932_896n), '9999-12-31');
  assert.equal(dayOf((1n << 64n) - 1n), 'day 18446744073709551615');
  for (const bad of ['2026-02-29', '2026-1-1', '20484', '1969-12-31', '2026-13-01', '']) assert.equal(epochOf(bad), undefined);
});
