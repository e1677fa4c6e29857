/** How old what is shown is: one line for the whole page, in words. */

import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { NoAnswer, BadAnswer } from '../../../sdk-ts/src/api/http.js';
import { utc } from '../lib/format.js';

/** The last good answer, and since when none has come; milliseconds of this machine's clock. */
export function useFreshness(): { good: number; lostSince: number | undefined } {
  const client = useQueryClient();
  const [state, setState] = useState<{ good: number; lostSince: number | undefined }>({ good: 0, lostSince: undefined });
  useEffect(() => {
    const look = () => {
      const states = client.getQueryCache().getAll().map((query) => query.state);
      const good = Math.max(0, ...states.map((one) => one.dataUpdatedAt));
      // A refusal is an answer too; no answer, or that of something else, is not.
      const lost = states.filter(({ error }) => error instanceof NoAnswer || error instanceof BadAnswer || error instanceof TypeError)
        .map((one) => one.errorUpdatedAt).filter((at) => at > good);
      const lostSince = lost.length === 0 ? undefined : Math.min(...lost);
      setState((before) => (before.good === good && (before.lostSince === undefined) === (lostSince === undefined) ? before
        : { good, lostSince: lostSince === undefined ? undefined : (before.lostSince ?? lostSince) }));
    };
    let waits = 0;
    // A query may begin while a page is drawn, when nothing else may change.
    const later = () => {
      waits ||= setTimeout(() => { waits = 0; look(); }) as unknown as number;
    };
    later();
    const end = client.getQueryCache().subscribe(later);
    return () => { end(); clearTimeout(waits); };
  }, [client]);
  return state;
}

/** Told when the backend does not answer: how old the page's data is. */
export function Stale() {
  const { good, lostSince } = useFreshness();
  return (
    <div role="status" className="stale-place">
      {lostSince !== undefined && (
        <p className="stale">
          <strong>The backend does not answer.</strong>{' '}
          {good > 0 ? `What you see is of ${utc(good, true)}; it may be old.` : 'Nothing can be shown yet.'} Asked again every 15 seconds.
          {' '}Licenses and rewards on chain are not touched by this.
        </p>
      )}
    </div>
  );
}
