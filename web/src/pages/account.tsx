import { useQueries, useQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';

import type { CommitView, RewardView } from '../../../sdk-ts/src/api/views.js';
import type { Address } from '../../../sdk-ts/src/parse.js';
import { queries } from '../api/backend.js';
import { newest } from '../api/days.js';
import { bundleQuery, MOST_LICENSES, tablesQuery } from '../api/files.js';
import { readAddress } from '../lib/lookup.js';
import { Link, useTitle } from '../router.js';
import { AddressText, Card, Empty, Failed, Loading, PageHead, Table } from '../ui/bits.js';
import { RewardFigures } from '../ui/reward.js';
import { Unreadable } from './missing.js';
import { NodeCards } from './node.js';

const Nodes = lazy(async () => ({ default: (await import('../ui/nodes.js')).Nodes }));

/** Everything public about an address: rewards, licenses, and whether it is a node or a project. */
export function AccountPage({ params }: { params: Record<string, string> }) {
  const read = readAddress(params['address'] ?? '');
  if ('problem' in read) return <Unreadable kind="Account" {...read} />;
  return <Account address={read.address} />;
}

function Account({ address }: { address: Address }) {
  useTitle('Account');
  const project = useQuery(queries.project(address));
  const node = useQuery(queries.node(address));
  const kind = project.data ? 'Project' : node.data ? 'Node' : 'Account';
  return (
    <>
      <PageHead kind={kind} title={<AddressText address={address} whole />} />
      {project.data && (
        <p className="notice">This is the distributor of the project <Link to={`/projects/${project.data.name}`}>{project.data.name}</Link>.</p>
      )}
      {node.data && <><p className="notice">This is the key of a node; <Link to={`/nodes/${address}`}>its page</Link> can be shared.</p><NodeCards node={node.data} /></>}
      {!project.data && !node.data && <Rewards account={address} />}
      {!project.data && !node.data && <Suspense fallback={null}><Nodes operator={address} /></Suspense>}
      {!project.data && !node.data && <Licenses account={address} />}
    </>
  );
}

function Rewards({ account }: { account: Address }) {
  const { data, error, refetch } = useQuery(queries.rewards(account));
  const roots = useQueries({ queries: (data ?? []).slice(0, 100).map(({ project }) => queries.roots(project)) });
  return (
    <Card title="Rewards" says="backend">
      {data === undefined
        ? error === null ? <Loading what="rewards" /> : <Failed error={error} what="the rewards" again={() => void refetch()} />
        : data.length === 0
          ? <Empty title="Nothing earned yet.">An account is named once a day that paid it is committed: the morning after, at the earliest.</Empty>
          : (
            <>
              {data.slice(0, 100).map((reward, i) => <Reward key={reward.project} account={account} reward={reward} roots={roots[i]?.data} />)}
              <p className="quiet">
                Amounts are in units of 18 decimals, rounded down; a pointer on one shows its wei. Claimable is what the newest active
                root owes less what final blocks paid.
              </p>
            </>
          )}
    </Card>
  );
}

function Reward({ account, reward, roots }: { account: Address; reward: RewardView; roots: CommitView[] | undefined }) {
  return (
    <article className="reward" aria-label={`Rewards of ${reward.name}`}>
      <h3><Link to={`/projects/${reward.name}`}>{reward.name}</Link> <span className="quiet">up to {reward.day}</span></h3>
      <RewardFigures reward={reward} roots={roots} />
      <p><Link to={`/accounts/${account}/rewards/${reward.name}`}>Why this number, proof and claim</Link></p>
    </article>
  );
}

/** Licenses by the newest committed day of each project: the API lists none by account. */
function Licenses({ account }: { account: Address }) {
  const projects = useQuery(queries.projects());
  const some = (projects.data ?? []).slice(0, 20);
  const roots = useQueries({ queries: some.map(({ project }) => queries.roots(project)) });
  const views = roots.map(({ data }) => newest(data)).filter((view) => view !== undefined);
  if (projects.data === undefined) return null;
  return (
    <Card title="Licenses" says="commit">
      {views.length === 0
        ? <Empty title="No committed day names licenses yet." />
        : views.map((view) => <LicensesIn key={view.project} account={account} view={view} name={some.find((one) => one.project === view.project)?.name ?? ''} />)}
      <p className="quiet">Held or rented when the newest committed day ended. A license’s own page has its holder of now.</p>
    </Card>
  );
}

function LicensesIn({ account, view, name }: { account: Address; view: CommitView; name: string }) {
  const bundle = useQuery(bundleQuery(view));
  const few = bundle.data !== undefined && bundle.data.totals.licenses <= MOST_LICENSES;
  const { data, error } = useQuery({ ...tablesQuery(view), enabled: few });
  if (error !== null) return <Failed error={error} what={`the licenses of ${name}`} />;
  if (bundle.data !== undefined && !few) return <p>{name} has more licenses than this page reads; <code>nodesys license list</code> does.</p>;
  if (data === undefined) return <Loading what={`licenses of ${name}`} lines={2} />;
  const rows = data.holders.filter(({ holder, renter }) => holder === account || renter === account);
  const uptime = new Map(data.uptime.map((row) => [row.license, row]));
  if (rows.length === 0) return <p>None in <Link to={`/projects/${name}`}>{name}</Link> on {view.day}.</p>;
  return (
    <Table caption={`Licenses in ${name} on ${view.day}`} head={['License', 'Project', 'As', 'Day', 'Minutes']} numbers={[4]}>
      {rows.slice(0, 500).map(({ license, holder, renter }) => {
        const row = uptime.get(license);
        if (row === undefined) return null;
        const rented = !/^0x0+$/.test(renter);
        return (
          <tr key={license}>
            <th scope="row"><Link to={`/licenses/${row.collection}/${row.tokenId}`}><code>{row.collection.slice(0, 6)}…/{`${row.tokenId}`.slice(0, 12)}</code></Link></th>
            <td>{name}</td>
            <td>{renter === account ? 'renter' : holder === account && rented ? 'holder, rented out' : 'holder'}</td>
            <td className="number-left">{view.day}</td>
            <td className="number">{row.minutes}</td>
          </tr>
        );
      })}
    </Table>
  );
}
