import { useQueries, useQuery } from '@tanstack/react-query';

import type { NodeView } from '../../../sdk-ts/src/api/views.js';
import type { Address } from '../../../sdk-ts/src/parse.js';
import { queries } from '../api/backend.js';
import { useNow } from '../api/now.js';
import { count, dayText, percent } from '../lib/format.js';
import { readAddress } from '../lib/lookup.js';
import { Link, useTitle } from '../router.js';
import { AddressText, Badge, Card, Empty, Facts, Failed, Loading, Moment, PageHead, Table } from '../ui/bits.js';
import { Unreadable } from './missing.js';

/** A node: who authorised it, when it was last heard, and what it runs. */
export function NodePage({ params }: { params: Record<string, string> }) {
  const read = readAddress(params['key'] ?? '');
  if ('problem' in read) return <Unreadable kind="Node" {...read} />;
  return <Node nodeKey={read.address} />;
}

function Node({ nodeKey }: { nodeKey: Address }) {
  useTitle('Node');
  const { data, error, refetch } = useQuery(queries.node(nodeKey));
  const head = <PageHead kind="Node" title={<AddressText address={nodeKey} whole />} />;
  if (data === undefined) {
    return <>{head}{error === null ? <Loading what="the node" lines={6} /> : <Failed error={error} what="the node" again={() => void refetch()} />}</>;
  }
  if (data === null) {
    return (
      <>
        {head}
        <Empty title="No node with this key is known here.">
          A node is known once its operator’s wallet has authorised it (<code>nodesys pair</code>). If this is a wallet, see{' '}
          <Link to={`/accounts/${nodeKey}`}>its account</Link>.
        </Empty>
      </>
    );
  }
  return <>{head}<NodeCards node={data} /></>;
}

/** Whether a node is heard: a heartbeat comes each minute. */
export function Heard({ node }: { node: NodeView }) {
  const now = useNow();
  const last = node.last_heartbeat_millis;
  if (node.revoked) return <Badge tone="bad">revoked</Badge>;
  if (node.lapsed_millis !== undefined) return <Badge tone="bad">lapsed without a license</Badge>;
  if (BigInt(Math.floor(now / 1000)) > node.authorization.not_after) return <Badge tone="bad">authorisation has ended</Badge>;
  if (last === null) return <Badge tone="plain">never heard</Badge>;
  const silent = now - Number(last);
  if (silent < 150_000) return <Badge tone="good">heard</Badge>;
  return <Badge tone={silent < 5 * 60_000 ? 'wait' : 'bad'}>silent</Badge>;
}

export function NodeCards({ node }: { node: NodeView }) {
  const today = dayText(useNow());
  const { authorization, last_heartbeat_millis, leases } = node;
  const held = leases.slice(0, 64);
  const days = useQueries({
    queries: held.map(({ license }) => queries.licenseDay(license.collection, license.token_id, today)),
  });
  return (
    <>
      <Card title="State" says="backend">
        <Facts
          facts={[
            ['Now', <Heard key="n" node={node} />],
            ['Last heartbeat', last_heartbeat_millis === null ? 'none' : <Moment key="l" millis={Number(last_heartbeat_millis)} ago />],
            ['Operator', <AddressText key="o" address={authorization.operator} to={`/accounts/${authorization.operator}`} />],
            ['Fleet', <Link key="f" to={`/operators/${authorization.operator}`}>All nodes of the operator</Link>],
            ['Authorised until', <Moment key="u" millis={Number(authorization.not_after) * 1000} />],
          ]}
        />
      </Card>
      <Card title="Licenses it runs or waits for" says="backend">
        {leases.length === 0
          ? <Empty title="It holds no license.">A node earns nothing until it holds one: <code>nodesys start</code> asks for it.</Empty>
          : (
            <Table caption="Leases of the node" head={['License', 'Workload', 'State', 'Today', 'Minutes today', 'Fence', 'Since']} numbers={[3, 4, 5]}>
              {held.map(({ license, workload, state, fence, granted_millis, license_hash }, i) => {
                const day = days[i]?.data;
                return (
                  <tr key={license_hash}>
                    <th scope="row">
                      <Link to={`/licenses/${license.collection}/${license.token_id}`}><code>{license.collection.slice(0, 6)}…/{`${license.token_id}`.slice(0, 12)}</code></Link>
                    </th>
                    <td>{workload}</td>
                    <td><Badge tone={state === 'active' ? 'good' : state === 'standby' ? 'wait' : 'plain'}>{state}</Badge></td>
                    <td className="number">{day ? percent(day.minutes, day.expected) : '–'}</td>
                    <td className="number">{day ? `${count(day.minutes)} of ${count(day.expected)}` : '–'}</td>
                    <td className="number">{`${fence}`}</td>
                    <td><Moment millis={Number(granted_millis)} /></td>
                  </tr>
                );
              })}
            </Table>
          )}
      </Card>
    </>
  );
}
