/** What time it is. */

import { useEffect, useState } from 'react';

/** Milliseconds since 1970, a minute's truth: it moves on every ten seconds. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
