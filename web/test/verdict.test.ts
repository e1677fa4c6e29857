import assert from 'node:assert/strict';
import { test } from 'node:test';

import { uncountedWords } from '../src/lib/verdict.js';

test('how many licenses were not counted, and why', () => {
  assert.equal(uncountedWords([]), undefined);
  assert.equal(
    uncountedWords(['no_transfer']),
    '1 license was not counted: no log of its collection transfers it. Its part of the day went to the others.',
  );
  const many = uncountedWords(['no_transfer', 'taken_from_another', 'no_transfer']) ?? '';
  assert.match(many, /^3 licenses were not counted: 2 because no log of its collection transfers it; 1 because a log takes it/);
});
