/** The day bitmap: minute m is bit m % 8, least significant first, of byte m / 8. */

import { ParseError, type Parser, shown } from '../parse.js';

export const MINUTES_PER_DAY = 1440;
export const BITMAP_BYTES = MINUTES_PER_DAY / 8;
export const MILLION = 1_000_000;

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => {
  let ones = 0;
  for (let rest = byte; rest > 0; rest >>= 1) ones += rest & 1;
  return ones;
});
const FORM = /^0x[0-9a-f]{360}$/;

const nibble = (code: number) => (code < 58 ? code - 48 : code - 87);

/** Minutes of one UTC day. */
export type Bitmap = Uint8Array;

/** From `0x` and 360 lower-case hex digits. */
export const bitmap: Parser<Bitmap> = (value, path = '') => {
  if (typeof value !== 'string' || !FORM.test(value)) {
    throw new ParseError(path, `not a bitmap of 0x and 360 lower-case hex digits: ${shown(value)}`);
  }
  const bytes = new Uint8Array(BITMAP_BYTES);
  for (let i = 0; i < BITMAP_BYTES; i += 1) {
    bytes[i] = (nibble(value.charCodeAt(2 * i + 2)) << 4) | nibble(value.charCodeAt(2 * i + 3));
  }
  return bytes;
};

export function bitmapText(minutes: Bitmap): `0x${string}` {
  return `0x${Array.from(minutes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** How many minutes are set. */
export function countMinutes(minutes: Bitmap): number {
  let count = 0;
  for (const byte of minutes) count += ONES[byte] as number;
  return count;
}

/** Whether a minute is set. */
export function hasMinute(minutes: Bitmap, minute: number): boolean {
  return (((minutes[minute >> 3] ?? 0) >> (minute & 7)) & 1) === 1;
}

/** The runs of set minutes as half-open ranges, in order. */
export function runsOf(minutes: Bitmap): [from: number, to: number][] {
  const runs: [number, number][] = [];
  for (let minute = 0; minute < MINUTES_PER_DAY; minute += 1) {
    if (!hasMinute(minutes, minute)) continue;
    const last = runs.at(-1);
    if (last !== undefined && last[1] === minute) last[1] = minute + 1;
    else runs.push([minute, minute + 1]);
  }
  return runs;
}

/** All minutes from `first` to the day's end. */
export function fromMinuteOn(first: number): Bitmap {
  const minutes = new Uint8Array(BITMAP_BYTES);
  for (let minute = first; minute < MINUTES_PER_DAY; minute += 1) {
    minutes[minute >> 3] = (minutes[minute >> 3] as number) | (1 << (minute & 7));
  }
  return minutes;
}

const fromOn = Array.from({ length: MINUTES_PER_DAY + 1 }, (): Bitmap | undefined => undefined);

/**
 * |seen and due| / |due| in parts per million, rounded down; a million where nothing was due. Due are the
 * last `expected` minutes of the day, without the excused ones.
 */
export function ratioPpm(seen: Bitmap, expected: number, excused: Bitmap): number {
  const first = MINUTES_PER_DAY - expected;
  const last = (fromOn[first] ??= fromMinuteOn(first));
  let [due, met] = [0, 0];
  for (let i = 0; i < BITMAP_BYTES; i += 1) {
    const asked = (last[i] as number) & ~(excused[i] as number);
    due += ONES[asked] as number;
    met += ONES[asked & (seen[i] as number)] as number;
  }
  return due === 0 ? MILLION : Math.floor((met * MILLION) / due);
}
