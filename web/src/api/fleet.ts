/** An operator's whole fleet, page after page, and how old it is. */

import { infiniteQueryOptions, useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';

import type { FleetRow } from '../../../sdk-ts/src/api/views.js';
import type { Address } from '../../../sdk-ts/src/parse.js';
import { rowsOf } from '../lib/fleet.js';
import { reads } from './backend.js';

/** Between two readings of a fleet of one page, and of a larger one. */
const AGAIN_MILLIS = 15_000;
const AGAIN_LARGE_MILLIS = 60_000;
/** No more pages are read than this: 20,000 rows. */
export const MOST_PAGES = 40;

export const fleetQuery = (operator: Address) =>
  infiniteQueryOptions({
    queryKey: ['fleet', operator],
    queryFn: ({ pageParam }) => reads.fleet(operator, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? AGAIN_LARGE_MILLIS : AGAIN_MILLIS),
  });

export interface WholeFleet {
  rows: FleetRow[] | undefined;
  /** More rows are on their way. */
  reading: boolean;
  /** There are more than are read here. */
  cut: boolean;
  /** When the last answer came, milliseconds of this machine's clock. */
  read: number;
  error: Error | null;
  again: () => void;
}

export function useFleet(operator: Address): WholeFleet {
  const { data, error, hasNextPage, isFetching, fetchNextPage, refetch, dataUpdatedAt } = useInfiniteQuery(fleetQuery(operator));
  const pages = data?.pages.length ?? 0;
  const more = hasNextPage && pages < MOST_PAGES;
  useEffect(() => {
    if (more && !isFetching && error === null) void fetchNextPage();
  }, [more, isFetching, error, fetchNextPage]);
  const rows = useMemo(() => (data === undefined ? undefined : rowsOf(data.pages)), [data]);
  return { rows, reading: more, cut: hasNextPage && pages >= MOST_PAGES, read: dataUpdatedAt, error, again: () => void refetch() };
}
