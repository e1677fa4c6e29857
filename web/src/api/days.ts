/** What is known of each day of a project. */

import { useQueries, useQuery } from '@tanstack/react-query';

import type { CommitView, ProjectRow } from '../../../sdk-ts/src/api/views.js';
import { dayAfter, daysDown, dayText } from '../lib/format.js';
import { queries } from './backend.js';
import { useNow } from './now.js';

export interface ProjectDay {
  day: string;
  /** Undefined while it is not known. */
  closed: boolean | undefined;
  commit: CommitView | undefined;
}

/** The newest days of a project, down to its first. */
export function useProjectDays(project: ProjectRow | undefined, most: number): {
  days: ProjectDay[]; more: boolean; roots: CommitView[] | undefined; error: Error | null;
} {
  const now = useNow();
  const roots = useQuery({ ...queries.roots(project?.project ?? '0x'), enabled: project !== undefined });
  const today = dayText(now);
  const first = project?.first_day ?? today;
  const listed = project === undefined ? [] : daysDown(first, today, most);
  const commits = new Map<string, CommitView>();
  // A day may have been committed again after a revocation: the last one listed stands.
  for (const view of roots.data ?? []) commits.set(view.day, view);
  // What is committed is closed; of the others the newest few are asked for.
  const open = listed.filter((day) => !commits.has(day)).slice(0, 14);
  const asked = useQueries({ queries: open.map((day) => queries.day(day)) });
  const days = listed.map((day): ProjectDay => {
    const commit = commits.get(day);
    if (commit !== undefined) return { day, commit, closed: true };
    const answer = asked[open.indexOf(day)]?.data;
    return { day, commit, closed: answer === undefined ? undefined : answer.closed !== null };
  });
  return { days, more: listed.length === most && dayAfter(listed.at(-1) ?? first, -1) >= first, roots: roots.data, error: roots.error };
}

/** The newest commit that was not revoked. */
export const newest = (roots: readonly CommitView[] | undefined): CommitView | undefined =>
  roots?.filter(({ state }) => state !== 'revoked').reduce<CommitView | undefined>((best, one) =>
    best === undefined || one.commit.epoch > best.commit.epoch ? one : best, undefined);
