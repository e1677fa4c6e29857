/** The figures of an account's rewards. They are computed here once, so that every page shows the same. */

import type { CommitView, RewardView } from '../../../sdk-ts/src/api/views.js';

export interface Figures {
  /** What a claim under the newest active root pays. */
  claimable: bigint;
  /** Committed, but not active yet. */
  pending: bigint;
  claimed: bigint;
}

/** A claim in a block newer than the final ones may exceed nothing: amounts never go below zero. */
export function figures({ cumulative, active, claimed }: Pick<RewardView, 'cumulative' | 'active' | 'claimed'>): Figures {
  const above = (a: bigint, b: bigint) => (a > b ? a - b : 0n);
  return { claimable: above(active, claimed), pending: above(cumulative, active > claimed ? active : claimed), claimed };
}

/** When the last of what is pending becomes active, milliseconds since 1970; undefined while some of it is not on chain. */
export function pendingUntil(roots: readonly Pick<CommitView, 'state' | 'activates_at_secs'>[]): number | undefined {
  const waiting = roots.filter(({ state }) => state === 'accepted' || state === 'posted');
  if (waiting.some(({ state, activates_at_secs }) => state === 'accepted' || activates_at_secs === null)) return undefined;
  const last = waiting.reduce((most, { activates_at_secs }) => (activates_at_secs !== null && activates_at_secs > most ? activates_at_secs : most), 0n);
  return last === 0n ? undefined : Number(last) * 1000;
}
