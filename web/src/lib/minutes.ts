/**
 * What a license's minutes were. Pure: from the credited minutes, the expected ones and the excused ones.
 *
 * Expected are the day's last minutes; excused minutes are known only of a closed day.
 */

import { type Bitmap, hasMinute, MINUTES_PER_DAY } from '../../../sdk-ts/src/formats/bitmap.js';

export type MinuteState = 'up' | 'down' | 'excused' | 'not_expected' | 'unknown';

export const STATE_WORDS: Record<MinuteState, string> = {
  up: 'up', down: 'down', excused: 'excused', not_expected: 'not expected', unknown: 'unknown',
};

export const STATE_CAUSES: Record<MinuteState, string> = {
  up: 'a heartbeat of the node was credited',
  down: 'no heartbeat was credited',
  excused: 'the backend’s own downtime: counts for nobody',
  not_expected: 'no lease before, or not yet passed',
  unknown: 'the backend did not say',
};

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
}

/** Runs of minutes of one state. */
export function ranges(states: readonly MinuteState[]): Range[] {
  const found: Range[] = [];
  states.forEach((state, minute) => {
    const last = found.at(-1);
    if (last?.state === state) last.to = minute + 1;
    else found.push({ state, from: minute, to: minute + 1 });
  });
  return found;
}

export const counted = (states: readonly MinuteState[], state: MinuteState): number =>
  states.reduce((sum, one) => sum + (one === state ? 1 : 0), 0);

/** A whole day in one cell: its state, and the part of the due minutes that is up. */
export interface DayCell {
  day: string;
  state: MinuteState | 'partly';
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
  const cell = { day, minutes: up, due: up + down, excused, closed: minutes.closed };
  if (cell.due === 0) return { ...cell, state: excused > 0 ? 'excused' : 'not_expected' };
  return { ...cell, state: down === 0 ? 'up' : up === 0 ? 'down' : 'partly' };
}
