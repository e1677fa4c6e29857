/** Which days of a collection are a project's: by state, by logs, and where neither tells. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Logged } from '../src/chain/chain.js';
import { isListed, type Listing, listingsOf } from '../src/chain/listing.js';
import type { Address } from '../src/parse.js';

const address = (byte: string): Address => `0x${byte.repeat(20)}`;
const [OURS, THEIRS, COLLECTION, OTHER] = [address('01'), address('02'), address('03'), address('04')];

const listing = (project: Address, from: bigint, until?: bigint): Listing => ({
  project,
  collection: COLLECTION,
  from,
  until,
});
const answers = (last: Listing | undefined, logged: Listing[], days: bigint[]) =>
  days.map((day) => isListed(OURS, COLLECTION, day, last, logged));

test('the state tells of every day since the last listing', () => {
  const days = [9n, 10n, 11n, 99n];
  assert.deepEqual(answers(listing(OURS, 10n), [], days), [undefined, true, true, true]);
  assert.deepEqual(answers(listing(OURS, 10n, 11n), [], days), [undefined, true, false, false]);
  assert.deepEqual(answers(listing(THEIRS, 10n), [], days), [undefined, false, false, false]);
  assert.deepEqual(answers(undefined, [listing(OURS, 10n)], days), [false, false, false, false]);
});

test('logs tell of the days before', () => {
  const last = listing(THEIRS, 20n);
  const logged = [listing(OURS, 3n, 5n), listing(THEIRS, 5n, 7n), last];
  assert.deepEqual(answers(last, logged, [3n, 4n, 5n, 6n]), [true, true, false, false]);
  assert.deepEqual(answers(last, logged, [2n, 7n, 19n, 20n]), [undefined, undefined, undefined, false]);
  // Its end has no log.
  assert.deepEqual(answers(last, [listing(OURS, 3n), last], [3n, 19n]), [undefined, undefined]);
});

test('listings are folded from logs, each project and collection apart', () => {
  const log = (name: string, args: Record<string, unknown>) => ({ name, args }) as unknown as Logged;
  const listed = (project: Address, collection: Address, fromDay: bigint) =>
    log('CollectionListed', { project, collection, workload: 'render', fromDay });
  const logs = [
    listed(OURS, COLLECTION, 1n),
    listed(OURS, OTHER, 2n),
    log('CollectionDelisted', { project: OURS, collection: COLLECTION, untilDay: 9n }),
    log('CollectionDelisted', { project: THEIRS, collection: OTHER, untilDay: 9n }),
    listed(THEIRS, COLLECTION, 9n),
    listed(OURS, COLLECTION, 20n),
    log('TermsAnnounced', { project: OURS }),
  ];
  assert.deepEqual(listingsOf(logs, OURS), [
    listing(OURS, 1n, 9n),
    { ...listing(OURS, 2n), collection: OTHER },
    listing(OURS, 20n),
  ]);
});
