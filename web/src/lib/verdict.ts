/** What a verification says, in sentences. */

import type { CheckName, Verdict } from '../../../sdk-ts/src/day/report.js';
import { type Uncounted, UNCOUNTED_WORDS } from '../../../sdk-ts/src/formats/tables.js';
import { count } from './format.js';

export const VERDICTS: Record<Verdict, { tone: 'good' | 'bad' | 'wait'; name: string; head: string; words: string }> = {
  holds: {
    tone: 'good', name: 'holds', head: 'The day holds',
    words: 'Everything was recomputed in this browser, and it is what the chain has.',
  },
  does_not_hold: {
    tone: 'bad', name: 'does not hold', head: 'The day does not hold',
    words: 'What was committed contradicts the chain, or itself. Its hash is on chain, so nobody can change it in silence.',
  },
  cannot_tell: {
    tone: 'wait', name: 'cannot tell', head: 'This cannot be told',
    words: 'Something is missing, so nothing is proven: neither that the day is right nor that it is wrong.',
  },
};

/** What each step finds out. */
export const CHECK_WORDS: Record<CheckName, string> = {
  bundle: 'The bundle is the one that was committed',
  commit: 'It leads to the commit on chain',
  'closed day': 'The closed day is signed by a recorded receipt key',
  snapshot: 'Its block is the first one past the day’s end',
  quota: 'The daily quota was in force',
  uptime: 'Every license’s minutes are the signed ones',
  collections: 'The project lists every collection',
  points: 'Points follow from minutes by the rule',
  holders: 'Holders and renters are those of the logs',
  'previous day': 'The day before is known',
  rewards: 'Rewards follow from points and holders',
  root: 'The rebuilt root and commit are the posted ones',
};

/** How many licenses were not counted, and why; undefined where all were. */
export function uncountedWords(reasons: readonly Uncounted[]): string | undefined {
  if (reasons.length === 0) return undefined;
  const by = new Map<Uncounted, number>();
  for (const one of reasons) by.set(one, (by.get(one) ?? 0) + 1);
  const [only] = reasons;
  if (only !== undefined && reasons.length === 1) {
    return `1 license was not counted: ${UNCOUNTED_WORDS[only]}. Its part of the day went to the others.`;
  }
  const each = [...by].map(([reason, many]) => `${count(many)} because ${UNCOUNTED_WORDS[reason]}`);
  return `${count(reasons.length)} licenses were not counted: ${each.join('; ')}. Their part of the day went to the others.`;
}
