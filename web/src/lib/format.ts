/** Numbers, amounts and moments as text. Everything is UTC; the visitor's zone is told beside it. */

export const DAY_MILLIS = 86_400_000;

/** An address or hash that fits into a line. */
export const short = (hex: string): string => (hex.length > 14 ? `${hex.slice(0, 6)}…${hex.slice(-4)}` : hex);

/** Whole numbers with thousands parted by commas. */
export const count = (number: number | bigint): string => number.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ',');

/**
 * An amount of wei in units of the token, rounded down to `digits` after the point: what is shown can be had.
 * An amount that is there is never shown as nothing.
 */
export function units(wei: bigint, decimals = 18, digits = 6): string {
  const one = 10n ** BigInt(decimals);
  const whole = count(wei / one);
  const rest = (wei % one).toString().padStart(decimals, '0').slice(0, digits);
  if (wei > 0n && wei / one === 0n && /^0*$/.test(rest)) return `<0.${'0'.repeat(Math.max(0, digits - 1))}1`;
  const fraction = rest.replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** The same amount with every digit, for files. */
export function exactUnits(wei: bigint, decimals = 18): string {
  const text = wei.toString().padStart(decimals + 1, '0');
  const fraction = decimals === 0 ? '' : text.slice(-decimals).replace(/0+$/, '');
  const whole = decimals === 0 ? text : text.slice(0, -decimals);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** Minutes of those expected in percent, rounded down: only all of them are 100 %. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return '–';
  const tenths = Math.floor((part * 1000) / whole);
  return `${Math.floor(tenths / 10)}.${tenths % 10} %`;
}

/** `2026-01-01 13:05 UTC`. */
export function utc(millis: number, withSeconds = false): string {
  const date = new Date(millis);
  if (Number.isNaN(date.getTime())) return 'a moment beyond the calendar';
  return `${date.toISOString().slice(0, withSeconds ? 19 : 16).replace('T', ' ')} UTC`;
}

/** The same moment in the visitor's zone. */
export function local(millis: number): string {
  const date = new Date(millis);
  if (Number.isNaN(date.getTime())) return '';
  return date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' });
}

/** `in 3 h`, `2 d ago`. */
export function distance(millis: number, now: number): string {
  const away = Math.abs(millis - now);
  const [size, unit] = away < 60_000 ? [1000, 's'] : away < 3_600_000 ? [60_000, 'min']
    : away < 2 * DAY_MILLIS ? [3_600_000, 'h'] : [DAY_MILLIS, 'd'];
  const words = `${Math.floor(away / (size as number))} ${unit}`;
  return millis > now ? `in ${words}` : `${words} ago`;
}

export const dayText = (millis: number): string => new Date(millis).toISOString().slice(0, 10);
export const dayStart = (day: string): number => Date.parse(`${day}T00:00:00Z`);
export const dayAfter = (day: string, days = 1): string => dayText(dayStart(day) + days * DAY_MILLIS);

/** `13:05`, of a minute of the day; 1440 is 24:00. */
export const clock = (minute: number): string =>
  `${Math.floor(minute / 60).toString().padStart(2, '0')}:${(minute % 60).toString().padStart(2, '0')}`;

/** Every day from `first` to `last`, the newest first, `most` at most. */
export function daysDown(first: string, last: string, most: number): string[] {
  const days: string[] = [];
  for (let day = last; day >= first && days.length < most; day = dayAfter(day, -1)) days.push(day);
  return days;
}
