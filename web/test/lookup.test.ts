import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lookup, pathOf } from '../src/lib/lookup.js';

// From EIP-55.
const RIGHT = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const LOWER = RIGHT.toLowerCase();

const problem = (text: string) => {
  const found = lookup(text);
  assert.equal(found.kind, 'nothing', `${text} was taken as ${found.kind}`);
  return found.kind === 'nothing' ? found.problem : '';
};

test('what a person pastes leads to its page', () => {
  for (const text of [RIGHT, LOWER, ` ${RIGHT}\n`, `0x${LOWER.slice(2).toUpperCase()}`]) {
    const found = lookup(text);
    assert.deepEqual(found, { kind: 'address', address: LOWER }, text);
  }
  const paths: [string, string][] = [
    [`${RIGHT}/1`, `/licenses/${LOWER}/1`], [`${LOWER}#42`, `/licenses/${LOWER}/42`],
    ['acme', '/projects/acme'], ['Acme', '/projects/acme'], [`0x${'AB'.repeat(32)}`, `/leases/0x${'ab'.repeat(32)}`],
    [`https://nodes.example.org/accounts/${LOWER}`, `/accounts/${LOWER}`],
    [`https://nodes.example.org/licenses/${LOWER}/7?day=2026-01-01`.split('?')[0] ?? '', `/licenses/${LOWER}/7`],
    [`${LOWER}/${2n ** 256n - 1n}`, `/licenses/${LOWER}/${2n ** 256n - 1n}`],
  ];
  for (const [text, path] of paths) {
    const found = lookup(text);
    assert.notEqual(found.kind, 'nothing', text);
    if (found.kind !== 'nothing') assert.equal(pathOf(found), path);
  }
});

test('a changed character of a checksummed address is found', () => {
  const digits = RIGHT.slice(2).split('');
  for (const [i, digit] of digits.entries()) {
    if (!/[a-z]/i.test(digit)) continue;
    const other = digit === digit.toLowerCase() ? digit.toUpperCase() : digit.toLowerCase();
    assert.match(problem(`0x${digits.with(i, other).join('')}`), /checksum/);
    assert.match(problem(`0x${digits.with(i, digit.toLowerCase() === 'a' ? 'b' : 'a').join('')}/1`), /checksum/);
  }
});

test('what cannot be looked up is told why', () => {
  assert.match(problem(''), /Nothing was entered/);
  assert.match(problem(RIGHT.slice(0, 30)), /28 hex digits/);
  assert.match(problem(`${RIGHT}00`), /42 hex digits/);
  assert.match(problem('0xnothex'), /not hex digits/);
  assert.match(problem(RIGHT.slice(2)), /lacks its 0x/);
  assert.match(problem(`eth:${RIGHT}`), /chain’s name/);
  assert.match(problem('vitalik.eth'), /not resolved/);
  assert.match(problem('<img src=x onerror=alert(1)>'), /neither/);
  assert.match(problem(`${LOWER}/one`), /whole number/);
  assert.match(problem(`${LOWER}/${2n ** 256n}`), /whole number/);
  assert.match(problem('-acme'), /neither/);
  assert.match(problem('a'.repeat(33)), /neither/);
});
