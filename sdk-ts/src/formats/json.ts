/** JSON as day files have it: RFC 8785, of texts, small whole numbers, lists and objects. */

import { ParseError } from '../parse.js';

/** RFC 8785 canonical JSON; a bigint is written as a text of its digits. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'bigint') return `"${value}"`;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    // Sorted by UTF-16 code units, as the standard and JavaScript have it.
    const entries = Object.entries(value).filter(([, one]) => one !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonicalJson(one)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/** The text of bytes; a byte order mark stays, so that it is seen. */
export function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ParseError('', 'not UTF-8 text');
  }
}

/** The JSON value of bytes in their only canonical spelling. */
export function parseCanonical(bytes: Uint8Array): unknown {
  const text = utf8(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ParseError('', `not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  // A key that stands twice is lost by JSON.parse, and so seen here.
  if (canonicalJson(value) !== text) throw new ParseError('', 'not RFC 8785 canonical');
  return value;
}

/** The first value in which two JSON values differ. */
export interface JsonDifference {
  /** A JSON pointer. */
  pointer: string;
  given: string | undefined;
  computed: string | undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function jsonDifference(given: unknown, computed: unknown, at = ''): JsonDifference | undefined {
  if (canonicalJson(given ?? null) === canonicalJson(computed ?? null)) return undefined;
  const keys =
    isObject(given) && isObject(computed)
      ? [...new Set([...Object.keys(given), ...Object.keys(computed)])].sort()
      : Array.isArray(given) && Array.isArray(computed)
        ? Array.from({ length: Math.max(given.length, computed.length) }, (_, i) => `${i}`)
        : [];
  for (const key of keys) {
    const [a, b] = [given, computed].map((side) => (side as Record<string, unknown>)[key]);
    const found = jsonDifference(a, b, `${at}/${key}`);
    if (found !== undefined) return found;
  }
  const say = (value: unknown) =>
    value === undefined ? undefined : typeof value === 'string' ? value : canonicalJson(value);
  return { pointer: at, given: say(given), computed: say(computed) };
}
