import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiProblem, NoAnswer } from '../../sdk-ts/src/api/http.js';
import { readCode, readPairing, refusal, words } from '../src/lib/pairing.js';

test('a code is read as people type it, and what can be none costs no try', () => {
  for (const typed of ['WDJB-MJHT', 'wdjb mjht', ' wdjbmjht ', 'w-d-j-b–m-j-h-t', 'WDJB—MJHT']) assert.deepEqual(readCode(typed), { code: 'WDJB-MJHT' }, typed);
  for (const [typed, problem] of [
    ['', /Type the code/], ['-- ', /Type the code/], ['WDJB-MJH', /eight letters, and this has 7/], ['WDJB-MJHTT', /has 9/],
    ['WDJB-MJHA', /“A” is in no code/], ['WDJ8-MJHT', /“8”/], ['WDJB-MJHÉ', /“É”/], ['WDJB-MJH😀', /“😀”/], ['<img src=x>', /“<”/],
  ] as const) {
    const read = readCode(typed);
    assert.ok('problem' in read, typed);
    assert.match(read.problem, problem);
  }
});

test('a link holds 32 hex digits', () => {
  assert.equal(readPairing('0'.repeat(32)), '0'.repeat(32));
  for (const bad of ['', '0'.repeat(31), '0'.repeat(33), 'A'.repeat(32), `${'0'.repeat(31)}/`, `0x${'0'.repeat(30)}`]) assert.equal(readPairing(bad), undefined, bad);
});

test('words are proquints, as the programs show them', () => {
  const digest = (...bytes: number[]) => `0x${Buffer.from([...bytes, ...Buffer.alloc(26)]).toString('hex')}` as const;
  assert.deepEqual(words(digest(127, 0, 0, 1, 63, 84)), ['lusab', 'babad', 'gutih']);
  assert.deepEqual(words(digest(220, 193, 127, 0, 0, 1)), ['tugad', 'lusab', 'babad']);
});

test('each refusal has a meaning, and an unknown one its own words', () => {
  const of = (code: string, status: number, detail: string) => refusal(new ApiProblem({ type: '', title: '', status, code, detail, difference: undefined }));
  assert.deepEqual(of('wrong_code', 403, 'the node shows another code; 4 tries are left'), { kind: 'wrong_code', left: 4 });
  assert.deepEqual(of('wrong_code', 403, 'the node shows another code; 0 tries are left'), { kind: 'ended', ending: 'tries' });
  assert.deepEqual(of('wrong_code', 403, '5 wrong codes were typed, so this pairing has ended: run it again'), { kind: 'ended', ending: 'tries' });
  assert.deepEqual(of('wrong_code', 403, 'no'), { kind: 'wrong_code', left: undefined });
  assert.deepEqual(of('unknown_pairing', 404, ''), { kind: 'ended', ending: 'over' });
  assert.deepEqual(of('pairing_claimed', 409, ''), { kind: 'ended', ending: 'claimed' });
  assert.deepEqual(of('not_signed_in', 401, ''), { kind: 'signed_out' });
  const told = (given: ReturnType<typeof refusal>) => (given.kind === 'told' ? given.words : assert.fail(given.kind));
  assert.match(told(of('cross_site', 403, '')), /exactly as the terminal shows it/);
  assert.equal(told(of('rate_limited', 429, 'the limit `codes`: send it again in 9 s')), 'That was too often. The limit `codes`: send it again in 9 s.');
  assert.equal(told(of('invalid_signature', 403, 'no signature of it.')), 'The backend refuses it: No signature of it.');
  assert.match(told(of('unavailable', 503, 'the chain is away')), /has a fault: The chain is away\. Try again/);
  assert.match(told(refusal(new NoAnswer('gone'))), /does not answer\. Nothing is lost/);
});
