/** A committed day's files as queries; what reads them is loaded when the first is asked for. */

import { queryOptions } from '@tanstack/react-query';

import type { CommitView } from '../../../sdk-ts/src/api/views.js';
import type { Address } from '../../../sdk-ts/src/parse.js';

/** So many licenses' tables are fetched without being asked for. */
export const MOST_LICENSES = 4000n;

// Committed files never change, so what was read stays.
const forever = { staleTime: Infinity, gcTime: 60 * 60_000, retry: false } as const;

export const bundleQuery = (view: CommitView) =>
  queryOptions({
    queryKey: ['bundle', view.project, view.day, view.commit.data_hash],
    queryFn: async () => (await import('./committed.js')).bundleOf(view),
    ...forever,
  });

export const tablesQuery = (view: CommitView) =>
  queryOptions({
    queryKey: ['tables', view.project, view.day, view.commit.data_hash],
    queryFn: async ({ client }) => {
      const bundle = await client.ensureQueryData(bundleQuery(view));
      return (await import('./committed.js')).tablesOf(view, bundle);
    },
    ...forever,
  });

/** Who was not counted; nobody on days of the first format. */
export const uncountedQuery = (view: CommitView) =>
  queryOptions({
    queryKey: ['uncounted', view.project, view.day, view.commit.data_hash],
    queryFn: async ({ client }) => {
      const bundle = await client.ensureQueryData(bundleQuery(view));
      return (await import('./committed.js')).uncountedOf(view, bundle);
    },
    ...forever,
  });

/** Why an account got its amount of a committed day. */
export const whyQuery = (account: Address, view: CommitView) =>
  queryOptions({
    queryKey: ['why', account, view.project, view.day, view.commit.data_hash],
    queryFn: async ({ client }) => {
      const files = await client.ensureQueryData(tablesQuery(view));
      return (await import('../lib/why.js')).why(account, files);
    },
    ...forever,
  });
