/** What time it is: by the backend's clock, once it was asked, so that a visitor's wrong clock shows no wrong day. */

import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { queries } from './backend.js';

/** Milliseconds since 1970, a minute's truth: it moves on every ten seconds. */
export function useNow(): number {
  const { data, dataUpdatedAt } = useQuery(queries.network());
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  const told = data?.now_millis;
  return told === undefined ? now : Number(told) + Math.max(0, now - dataUpdatedAt);
}
