/**
 * Which days of a collection are a project's. The registry's state tells the last listing of a collection, and so of
 * every day since its first; its logs tell of the days before. No two listings of a collection share a day.
 */

import type { Address } from '../parse.js';
import type { Logged } from './chain.js';

/** A collection's listing; its days are days since 1970. */
export interface Listing {
  project: Address;
  collection: Address;
  from: bigint;
  /** First day that is not listed any more; undefined while no end is announced. */
  until: bigint | undefined;
}

/** The project's listings by the registry's logs, in chain order. */
export function listingsOf(logs: readonly Logged[], project: Address): Listing[] {
  const listings: Listing[] = [];
  for (const { name: event, args } of logs) {
    if (args['project'] !== project) continue;
    const collection = args['collection'] as Address;
    if (event === 'CollectionListed') {
      listings.push({ project, collection, from: args['fromDay'] as bigint, until: undefined });
    } else if (event === 'CollectionDelisted') {
      // Only the last can have been open.
      const last = listings.filter((one) => one.collection === collection).at(-1);
      if (last !== undefined) last.until = args['untilDay'] as bigint;
    }
  }
  return listings;
}

const includes = ({ from, until }: Listing, day: bigint) => from <= day && (until === undefined || day < until);

/**
 * Whether a collection is the project's on a day; undefined where neither its last listing, undefined if it never had
 * one, nor the logs tell. An absence of logs proves nothing.
 */
export function isListed(
  project: Address,
  collection: Address,
  day: bigint,
  last: Listing | undefined,
  logged: readonly Listing[],
): boolean | undefined {
  if (last === undefined) return false;
  if (last.from <= day) return last.project === project && includes(last, day);
  // One without an end that its logs tell ended at an unknown time: another followed it.
  const former = logged.find((one) => one.collection === collection && one.until !== undefined && includes(one, day));
  return former === undefined ? undefined : former.project === project;
}
