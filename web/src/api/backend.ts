/** The backend's answers as queries. A closed day never changes, so it is asked for once. */

import { keepPreviousData, QueryClient, queryOptions } from '@tanstack/react-query';

import { Reads } from '../../../sdk-ts/src/api/reads.js';
import { ApiProblem } from '../../../sdk-ts/src/api/http.js';
import type { Address, Hash } from '../../../sdk-ts/src/parse.js';

export const reads = new Reads(location.origin, { retries: 1, timeoutMillis: 8000 });

/** Between two looks at what can change. */
const AGAIN_MILLIS = 15_000;
const live = { refetchInterval: AGAIN_MILLIS, placeholderData: keepPreviousData } as const;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // The SDK tries reads again by itself, and waits where it is told to.
      retry: false,
      staleTime: 5000,
      gcTime: 30 * 60_000,
    },
  },
});

/** Whether the backend said that there is no such thing. */
export const isMissing = (error: unknown): boolean => error instanceof ApiProblem && error.status === 404;

/** The answer, or null where there is no such thing. */
async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

export const queries = {
  network: () => queryOptions({ queryKey: ['network'], queryFn: () => reads.network(), ...live }),
  projects: () => queryOptions({ queryKey: ['projects'], queryFn: () => reads.projects(), ...live }),
  project: (project: string) =>
    queryOptions({ queryKey: ['project', project], queryFn: () => orNull(reads.project(project as Address)), refetchInterval: 60_000 }),
  roots: (project: Address) =>
    queryOptions({ queryKey: ['roots', project], queryFn: () => reads.roots(project), refetchInterval: AGAIN_MILLIS }),
  node: (key: Address) =>
    queryOptions({ queryKey: ['node', key], queryFn: () => orNull(reads.node(key)), refetchInterval: AGAIN_MILLIS }),
  lease: (license: Hash) =>
    queryOptions({ queryKey: ['lease', license], queryFn: () => orNull(reads.lease(license)), refetchInterval: AGAIN_MILLIS }),
  license: (collection: Address, tokenId: bigint) =>
    queryOptions({
      queryKey: ['license', collection, `${tokenId}`], queryFn: () => orNull(reads.license(collection, tokenId)),
      refetchInterval: AGAIN_MILLIS,
    }),
  licenseDay: (collection: Address, tokenId: bigint, day: string) =>
    queryOptions({
      queryKey: ['license-day', collection, `${tokenId}`, day],
      queryFn: () => orNull(reads.licenseDay(collection, tokenId, day)),
      staleTime: ({ state }) => (state.data?.closed ? Infinity : 5000),
      refetchInterval: ({ state }) => (state.data?.closed || state.data === null ? false : AGAIN_MILLIS),
    }),
  /** The days of a year up to one. */
  licenseDays: (collection: Address, tokenId: bigint, from: string, to: string) =>
    queryOptions({
      queryKey: ['license-days', collection, `${tokenId}`, from, to],
      queryFn: () => reads.licenseDays(collection, tokenId, { from, to }), refetchInterval: 60_000, placeholderData: keepPreviousData,
    }),
  day: (day: string) =>
    queryOptions({
      queryKey: ['day', day], queryFn: () => reads.day(day),
      staleTime: ({ state }) => (state.data?.closed ? Infinity : 5000),
      refetchInterval: ({ state }) => (state.data?.closed ? false : AGAIN_MILLIS),
    }),
  rewards: (account: Address) =>
    queryOptions({ queryKey: ['rewards', account], queryFn: () => reads.rewards(account), refetchInterval: AGAIN_MILLIS }),
  /** By the newest active commit. */
  proof: (project: Address, account: Address) =>
    queryOptions({ queryKey: ['proof', project, account], queryFn: () => orNull(reads.proof(project, account)), refetchInterval: 60_000 }),
  ready: () =>
    queryOptions({
      queryKey: ['ready'], refetchInterval: AGAIN_MILLIS,
      queryFn: async ({ signal }) => {
        const response = await fetch('/readyz', { signal: AbortSignal.any([signal, AbortSignal.timeout(8000)]) });
        return { ok: response.ok, words: (await response.text()).slice(0, 500).trim() };
      },
    }),
};
