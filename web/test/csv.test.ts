import assert from 'node:assert/strict';
import { test } from 'node:test';

import { cell, csv } from '../src/lib/csv.js';
import { codeOf, walletWords } from '../src/wallet/words.js';

test('no cell is a formula, and every cell can be read back', () => {
  for (const bad of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '=HYPERLINK("http://x","y")', '＝1']) {
    const text = cell(bad);
    assert.match(text, /^"?'/, bad);
  }
  assert.equal(cell('ACME'), 'ACME');
  assert.equal(cell('a,b'), '"a,b"');
  assert.equal(cell('say "x"'), '"say ""x"""');
  assert.equal(cell(-5n), '-5');
  assert.equal(csv([['a', 1n], ['=b', 2]]), "a,1\r\n'=b,2\r\n");
});

test('codes of wallets are told in words, however deep they are', () => {
  assert.equal(codeOf({ cause: { cause: { code: 4001 } } }), 4001);
  assert.equal(codeOf(new Error('x')), undefined);
  const itself: { cause?: unknown } = {};
  itself.cause = itself;
  assert.equal(codeOf(itself), undefined);
  assert.match(walletWords({ code: 4001 }), /refused it/);
  assert.match(walletWords({ code: -32002 }), /already asks/);
  assert.match(walletWords({ code: 4902 }), /does not know this chain/);
  assert.match(walletWords(new Error('boom'.repeat(200))), /^The wallet or its chain failed: boom/);
});
