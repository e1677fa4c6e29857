/**
 * Strict parsers: what comes from a file, a server or a chain is parsed once, at the edge.
 *
 * A number has one spelling (plain decimal digits), hex is lower case, an object has the named fields.
 * Amounts and 64-bit numbers are bigints, since a JavaScript number ends at 2^53.
 */

export type Hex = `0x${string}`;
/** A 20-byte address in lower-case hex. */
export type Address = Hex;
/** A 32-byte hash in lower-case hex. */
export type Hash = Hex;

export const ZERO_ADDRESS: Address = `0x${'0'.repeat(40)}`;
export const ZERO_HASH: Hash = `0x${'0'.repeat(64)}`;

/** A value that is not what it should be; `path` is a JSON pointer, or a column's name. */
export class ParseError extends Error {
  override name = 'ParseError';
  constructor(
    readonly path: string,
    readonly problem: string,
  ) {
    super(path === '' ? problem : `${path}: ${problem}`);
  }
}

/** Reads a value, or throws a {@link ParseError} that names `path`. */
export type Parser<T> = (value: unknown, path?: string) => T;
export type Parsed<P> = P extends Parser<infer T> ? T : never;

/** At most 80 characters of a stranger's value. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

function pattern<T extends string>(expression: RegExp, what: string): Parser<T> {
  return (value, path = '') => {
    if (typeof value === 'string' && expression.test(value)) return value as T;
    throw new ParseError(path, `not ${what}: ${shown(value)}`);
  };
}

export const address = pattern<Address>(/^0x[0-9a-f]{40}$/, 'an address in lower-case hex');
export const hash = pattern<Hash>(/^0x[0-9a-f]{64}$/, '32 bytes of lower-case hex');
export const bytes = pattern<Hex>(/^0x(?:[0-9a-f]{2})*$/, 'bytes of lower-case hex');
export const name = pattern<string>(/^(?!-)[a-z0-9-]{1,32}(?<!-)$/, 'a name of 1 to 32 of a-z, 0-9 and inner dashes');
/** A calendar day, `YYYY-MM-DD`. */
export const day: Parser<string> = (value, path = '') => {
  if (typeof value === 'string' && epochOf(value) !== undefined) return value;
  throw new ParseError(path, `not a day YYYY-MM-DD: ${shown(value)}`);
};
export const text: Parser<string> = (value, path = '') => {
  if (typeof value === 'string') return value;
  throw new ParseError(path, `not a text: ${shown(value)}`);
};
export const boolean: Parser<boolean> = (value, path = '') => {
  if (typeof value === 'boolean') return value;
  throw new ParseError(path, `neither true nor false: ${shown(value)}`);
};

const PLAIN = /^(?:0|[1-9][0-9]*)$/;

/** Plain decimal digits below 2^bits. */
export function decimal(bits: number): Parser<bigint> {
  const end = 1n << BigInt(bits);
  // A longer text is refused before it is read as a number, which takes quadratic time.
  const digits = end.toString().length;
  return (value, path = '') => {
    if (typeof value !== 'string' || !PLAIN.test(value)) {
      throw new ParseError(path, `not a plain decimal number: ${shown(value)}`);
    }
    const number = value.length > digits ? end : BigInt(value);
    if (number >= end) throw new ParseError(path, `too large (2^${bits} and above): ${shown(value)}`);
    return number;
  };
}

export const uint64 = decimal(64);
export const uint256 = decimal(256);
/** An amount in wei, below 2^128. */
export const amount = decimal(128);
/** Points of a license and day, below 2^63; fences and sequence numbers too. */
export const points = decimal(63);

/** A JSON number that is a whole number from 0 to `most`. */
export function integer(most: number): Parser<number> {
  return (value, path = '') => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value;
    throw new ParseError(path, `not a whole number from 0 to ${most}: ${shown(value)}`);
  };
}
export const uint32 = integer(2 ** 32 - 1);

export function oneOf<const T extends string>(...values: T[]): Parser<T> {
  return (value, path = '') => {
    const found = values.find((one) => one === value);
    if (found !== undefined) return found;
    throw new ParseError(path, `not one of ${values.join(', ')}: ${shown(value)}`);
  };
}

export function list<T>(item: Parser<T>): Parser<T[]> {
  return (value, path = '') => {
    if (!Array.isArray(value)) throw new ParseError(path, `not a list: ${shown(value)}`);
    return value.map((one, i) => item(one, `${path}/${i}`));
  };
}

export function nullable<T>(inner: Parser<T>): Parser<T | null> {
  return (value, path = '') => (value === null ? null : inner(value, path));
}

/** A field that may be absent, or null. */
export function optional<T>(inner: Parser<T>): Parser<T | undefined> {
  return (value, path = '') => (value === undefined || value === null ? undefined : inner(value, path));
}

/** A map from texts, in the order it came in. */
export function record<T>(inner: Parser<T>): Parser<Record<string, T>> {
  return (value, path = '') => {
    const entries = Object.entries(plainObject(value, path));
    return Object.fromEntries(entries.map(([key, one]) => [key, inner(one, `${path}/${key}`)]));
  };
}

type Shape = Record<string, Parser<unknown>>;
type Fields<S extends Shape> = { [K in keyof S]: Parsed<S[K]> };
export type ObjectParser<S extends Shape> = Parser<Fields<S>> & { readonly fields: readonly (keyof S & string)[] };

/** An object with exactly these fields. */
export function object<S extends Shape>(shape: S): ObjectParser<S> {
  return parserOf(shape, true);
}

/** An object with these fields at least: a newer server may answer more. */
export function open<S extends Shape>(shape: S): ObjectParser<S> {
  return parserOf(shape, false);
}

function parserOf<S extends Shape>(shape: S, exact: boolean): ObjectParser<S> {
  const fields = Object.keys(shape);
  const parser = (value: unknown, path = ''): Fields<S> => {
    const given = plainObject(value, path);
    if (exact) {
      const other = Object.keys(given).find((key) => !Object.hasOwn(shape, key));
      if (other !== undefined) throw new ParseError(path, `unknown field ${shown(other)}`);
    }
    const read = Object.entries(shape).map(([key, field]) => {
      const one = Object.hasOwn(given, key) ? given[key] : undefined;
      return [key, field(one, `${path}/${key}`)];
    });
    return Object.fromEntries(read) as Fields<S>;
  };
  return Object.assign(parser, { fields });
}

function plainObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ParseError(path, `not an object: ${shown(value)}`);
}

export const SECS_PER_DAY = 86_400n;

/** The number of a UTC day `YYYY-MM-DD` since 1970; `undefined` where there is no such day. */
export function epochOf(day: string): bigint | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) return undefined;
  const millis = Date.parse(`${day}T00:00:00Z`);
  // The calendar of JavaScript takes February 31 for March 3.
  if (Number.isNaN(millis) || new Date(millis).toISOString().slice(0, 10) !== day) return undefined;
  return millis < 0 ? undefined : BigInt(millis) / (SECS_PER_DAY * 1000n);
}

/** A day's number as `YYYY-MM-DD`; beyond the calendar it stays a number. */
export function dayOf(epoch: bigint): string {
  const last = 2_932_896n; // 9999-12-31
  if (epoch > last) return `day ${epoch}`;
  return new Date(Number(epoch * SECS_PER_DAY) * 1000).toISOString().slice(0, 10);
}
