/** How an account's nodes are, in a line. Loaded after its page, which most visitors open for rewards. */

import { useInfiniteQuery } from '@tanstack/react-query';

import type { Address } from '../../../sdk-ts/src/parse.js';
import { fleetQuery } from '../api/fleet.js';
import { rowsOf, summary } from '../lib/fleet.js';
import { count } from '../lib/format.js';
import { Link } from '../router.js';
import { Card } from './bits.js';

/** Nothing where the account has authorised no node. */
export function Nodes({ operator }: { operator: Address }) {
  const { data } = useInfiniteQuery(fleetQuery(operator));
  const rows = rowsOf(data?.pages ?? []);
  if (rows.length === 0) return null;
  const whole = data?.pages.at(-1)?.next === null;
  return (
    <Card title="Nodes" says="backend">
      <p>{whole ? summary(rows).words : `More than ${count(rows.length)} rows.`} <Link to={`/operators/${operator}`}>Every node and its licenses</Link></p>
    </Card>
  );
}
