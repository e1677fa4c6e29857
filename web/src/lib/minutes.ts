/**
 * What a license's minutes were. Pure: from the credited minutes, the expected ones and the excused ones.
 *
 * Expected are the day's last minutes; excused minutes are known only of a closed day.
 */

import type { DayCount, Missing } from '../../../sdk-ts/src/api/views.js';
import { type Bitmap, hasMinute, MINUTES_PER_DAY } from '../../../sdk-ts/src/formats/bitmap.js';

export type MinuteState = 'up' | 'down' | 'excused' | 'not_expected' | 'unknown';

export const STATE_WORDS: Record<MinuteState, string> = {
  up: 'up', down: 'down', excused: 'excused', not_expected: 'not expected', unknown: 'unknown',
};

const STATE_CAUSES: Record<MinuteState, string> = {
  up: 'a heartbeat of the node was credited',
  down: 'no heartbeat was credited',
  excused: 'the backend’s own downtime: counts for nobody',
  not_expected: 'no lease before, or not yet passed',
  unknown: 'the backend did not say',
};

/** Why a minute is down, as the backend names it. */
const CAUSES = new Map([
  ['no_lease', 'no node had the lease yet'],
  ['expired', 'no node had the lease: the last one was silent for too long'],
  ['not_entitled', 'no node had the lease: the chain denied its operator the right'],
  ['revoked', 'no node had the lease: its node was revoked'],
  ['moved', 'no node had the lease: its node had given it up'],
  ['new_lease', 'the lease was new in this minute, which may have been another node’s'],
  ['not_healthy', 'the node reported that the workload was not healthy'],
  ['silent', 'no heartbeat of the node came'],
  ['not_credited', 'no heartbeat came, or it said that the workload was not healthy'],
]);

/** A range's cause in words. */
export const causeWords = ({ state, cause }: Range): string => (state === 'down' ? CAUSES.get(cause ?? '') : undefined) ?? STATE_CAUSES[state];

/** The minutes that the backend says were excused. */
export function excusedOf(missing: readonly Missing[]): Bitmap {
  const bitmap = new Uint8Array(MINUTES_PER_DAY / 8);
  for (const { from, to, cause } of missing) {
    for (let minute = from; cause === 'excused' && minute < to; minute += 1) bitmap[minute >> 3] = (bitmap[minute >> 3] ?? 0) | (1 << (minute & 7));
  }
  return bitmap as Bitmap;
}

export interface DayMinutes {
  closed: boolean;
  /** How many of the day's last minutes were expected; of an open day, of those that have passed. */
  expected: number;
  bitmap: Bitmap;
  excused: Bitmap | undefined;
  /** The minute of the day that runs now, of an open day; a later day's is 1440. */
  nowMinute: number;
}

/** Each minute's state. */
export function minuteStates({ closed, expected, bitmap, excused, nowMinute }: DayMinutes): MinuteState[] {
  const passed = closed ? MINUTES_PER_DAY : Math.min(MINUTES_PER_DAY, nowMinute + 1);
  const first = passed - expected;
  return Array.from({ length: MINUTES_PER_DAY }, (_, minute): MinuteState => {
    if (hasMinute(bitmap, minute)) return 'up';
    if (minute >= passed || minute < first) return 'not_expected';
    if (excused !== undefined && hasMinute(excused, minute)) return 'excused';
    // The running minute and the one before may still be credited.
    return !closed && minute >= nowMinute - 1 ? 'unknown' : 'down';
  });
}

export interface Range {
  state: MinuteState;
  from: number;
  /** The first minute after it. */
  to: number;
  /** Why it is down, where that is known. */
  cause: string | undefined;
}

/** Runs of minutes of one state and cause. */
export function ranges(states: readonly MinuteState[], missing: readonly Missing[] = []): Range[] {
  const causes = new Map(missing.flatMap(({ from, to, cause }) => Array.from({ length: to - from }, (_, i) => [from + i, cause] as const)));
  const found: Range[] = [];
  states.forEach((state, minute) => {
    const cause = state === 'down' ? causes.get(minute) : undefined;
    const last = found.at(-1);
    if (last?.state === state && last.cause === cause) last.to = minute + 1;
    else found.push({ state, from: minute, to: minute + 1, cause });
  });
  return found;
}

export const counted = (states: readonly MinuteState[], state: MinuteState): number =>
  states.reduce((sum, one) => sum + (one === state ? 1 : 0), 0);

/** A whole day in one cell: its state, and the part of the due minutes that is up. */
export interface DayCell {
  day: string;
  state: MinuteState | 'partly' | 'not_yet';
  minutes: number;
  due: number;
  excused: number;
  closed: boolean;
}

/** A day as one cell. Excused minutes are not due. */
export function dayCell(day: string, minutes: DayMinutes | undefined): DayCell {
  if (minutes === undefined) return { day, state: 'unknown', minutes: 0, due: 0, excused: 0, closed: false };
  const states = minuteStates(minutes);
  const [up, down, excused] = (['up', 'down', 'excused'] as const).map((state) => counted(states, state)) as [number, number, number];
  return cellOf({ day, minutes: up, due: up + down, excused, closed: minutes.closed });
}

function cellOf(cell: Omit<DayCell, 'state'>): DayCell {
  if (cell.due === 0) return { ...cell, state: cell.excused > 0 ? 'excused' : 'not_expected' };
  return { ...cell, state: cell.minutes === cell.due ? 'up' : cell.minutes === 0 ? 'down' : 'partly' };
}

/** A day of the year by its numbers. Before the project's first day there is nothing yet. */
export function countCell(day: string, firstDay: string, count: DayCount | undefined): DayCell {
  const none = { day, minutes: 0, due: 0, excused: 0, closed: false };
  if (day < firstDay) return { ...none, state: 'not_yet' };
  if (count === undefined || count.counts === null) return { ...none, state: 'unknown' };
  const { closed, counts: { minutes, expected, excused } } = count;
  const missing = Math.max(0, expected - excused - minutes);
  // The running minute and the one before may still be credited.
  return cellOf({ day, minutes, due: minutes + (closed || missing > 2 ? missing : 0), excused, closed });
}
