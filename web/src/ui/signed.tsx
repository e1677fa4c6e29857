/** After the signature: whether the node has handed it in. */

import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { queries } from '../api/backend.js';
import type { PairingView } from '../api/login.js';
import { Link } from '../router.js';

/** The node asks every three seconds; long after that it is told that it does not. */
const LATE_MILLIS = 45_000;

export function Signed({ view: { authorization }, before }: { view: PairingView; before: boolean }) {
  const [late, setLate] = useState(false);
  const node = useQuery({
    ...queries.node(authorization.node_key), staleTime: 0,
    refetchInterval: ({ state }) => (state.data?.authorization.nonce === authorization.nonce ? false : 3000),
  });
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), LATE_MILLIS);
    return () => clearTimeout(timer);
  }, []);
  const paired = node.data?.authorization.nonce === authorization.nonce;
  return (
    <div role="status" className="result">
      {before && <p>This pairing was signed before. Nothing more is to be signed here.</p>}
      {paired
        ? <p className="verdict verdict-good"><strong>The node is paired.</strong> You can close this page. <Link to={`/nodes/${authorization.node_key}`}>Look at the node</Link></p>
        : late
          ? <p className="verdict verdict-wait"><strong>The node has not handed it in yet.</strong> Look at its terminal: if <code>nodesys pair</code> has ended there, run it again and open its new link.</p>
          : <p className="verdict"><strong>Signed.</strong> <code>nodesys pair</code> fetches it within seconds, and goes on by itself. There is nothing more to do here.</p>}
    </div>
  );
}
