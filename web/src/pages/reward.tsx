import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';

import type { CommitView, ProjectRow } from '../../../sdk-ts/src/api/views.js';
import type { Address } from '../../../sdk-ts/src/parse.js';
import { queries, queryClient } from '../api/backend.js';
import { tablesQuery, whyQuery } from '../api/files.js';
import { count, percent } from '../lib/format.js';
import { readAddress, readProject } from '../lib/lookup.js';
import { ruleWords } from '../lib/terms.js';
import { go, Link, useSearch, useTitle } from '../router.js';
import { AddressText, Amount, Badge, Card, Empty, Facts, Failed, Hash, Loading, PageHead, Table } from '../ui/bits.js';
import { RewardFigures } from '../ui/reward.js';
import { Unreadable } from './missing.js';

const ProofOnChain = lazy(async () => ({ default: (await import('../ui/proof.js')).ProofOnChain }));
const Claim = lazy(async () => ({ default: (await import('../ui/claim.js')).Claim }));

/** An account's rewards of one project: why each number, the proof, the claim. */
export function RewardPage({ params }: { params: Record<string, string> }) {
  const account = readAddress(params['address'] ?? '');
  const project = readProject(params['project'] ?? '');
  if ('problem' in account) return <Unreadable kind="Account" {...account} />;
  if ('problem' in project) return <Unreadable kind="Project" {...project} />;
  return <Reward account={account.address} name={project.project} />;
}

function Reward({ account, name }: { account: Address; name: string }) {
  useTitle(`Rewards of ${name}`);
  const project = useQuery(queries.project(name));
  const rewards = useQuery(queries.rewards(account));
  const head = (
    <PageHead kind="Rewards" title={<>{project.data?.name ?? name}</>}>
      <span>of <AddressText address={account} to={`/accounts/${account}`} whole /></span>
    </PageHead>
  );
  const error = project.error ?? rewards.error;
  if (project.data === undefined || rewards.data === undefined) {
    return <>{head}{error === null ? <Loading what="the rewards" lines={8} /> : <Failed error={error} what="the rewards" />}</>;
  }
  const { data } = project;
  if (data === null) return <>{head}<Empty title="No project has this name or address." /></>;
  const reward = rewards.data.find((one) => one.project === data.project);
  if (reward === undefined) {
    return <>{head}<Empty title="Nothing earned from this project yet.">An account is named once a day that paid it is committed.</Empty></>;
  }
  return <>{head}<Known account={account} project={data} reward={reward} /></>;
}

function Known({ account, project, reward }: { account: Address; project: ProjectRow; reward: Parameters<typeof RewardFigures>[0]['reward'] }) {
  const roots = useQuery(queries.roots(project.project));
  const asked = useSearch().get('day');
  const standing = (roots.data ?? []).filter(({ state }) => state !== 'revoked');
  const view = standing.findLast((one) => one.day === asked) ?? standing.findLast((one) => one.day === reward.day) ?? standing.at(-1);
  return (
    <>
      <Card title="Now" says="backend"><RewardFigures reward={reward} roots={roots.data} /></Card>
      {view === undefined
        ? roots.isError ? <Failed error={roots.error} what="the commits" /> : <Loading what="the commits" lines={4} />
        : <Why account={account} view={view} days={standing.map(({ day }) => day)} />}
      <OnChain account={account} project={project} />
    </>
  );
}

function Why({ account, view, days }: { account: Address; view: CommitView; days: readonly string[] }) {
  const { data, error } = useQuery(whyQuery(account, view));
  const tables = useQuery(tablesQuery(view));
  const choose = (day: string) => go(`${location.pathname}?day=${day}`, { replace: true });
  return (
    <Card
      title="Why this number" says="commit"
      tools={(
        <label className="choice">
          Day <select value={view.day} onChange={(event) => choose(event.target.value)}>{days.toReversed().slice(0, 400).map((day) => <option key={day}>{day}</option>)}</select>
        </label>
      )}
    >
      {error !== null && <Failed error={error} what={`the files of ${view.day}`} />}
      {error === null && (data === undefined || tables.data === undefined) && <Loading what="the day’s files" lines={5} />}
      {data !== undefined && (
        <>
          {data.licenses.length === 0
            ? <Empty title={`No license earned for this account on ${view.day}.`} />
            : (
              <Table caption={`Licenses that earned for the account on ${view.day}`} head={['License', 'As', 'Minutes', 'Of expected', 'Tasks', 'Points', 'Share', 'Amount']} numbers={[2, 3, 4, 5, 6, 7]}>
                {data.licenses.slice(0, 500).map((one) => (
                  <tr key={one.license}>
                    <th scope="row"><Link to={`/licenses/${one.collection}/${one.tokenId}?day=${view.day}`}><code>{one.collection.slice(0, 6)}…/{`${one.tokenId}`.slice(0, 12)}</code></Link></th>
                    <td>{one.as}</td>
                    <td className="number">{count(one.minutes)}</td>
                    <td className="number">{percent(one.minutes, one.expected)}</td>
                    <td className="number">{one.tasks === undefined ? '–' : count(one.tasks)}</td>
                    <td className="number">{count(one.points)}</td>
                    <td className="number">{share(one.points, data.allPoints)}</td>
                    <td className="number"><Amount wei={one.amount} /></td>
                  </tr>
                ))}
              </Table>
            )}
          <p>{ruleWords(data.rule)}</p>
          <ol className="sum">
            <li><span>Pool of the day</span><Amount wei={data.pool} /></li>
            <li><span>× its points of all points</span><span>{count(data.points)} / {count(data.allPoints)}</span></li>
            <li><span>= amount of the day, each license rounded down</span><Amount wei={data.amount} /></li>
            <li><span>+ earned before</span><Amount wei={data.before} /></li>
            <li className="total"><span>= earned in all, as in the committed file</span><Amount wei={data.cumulative} /></li>
          </ol>
          <p>
            {data.adds
              ? <Badge tone="good">recomputed here from the committed files: the sums agree</Badge>
              : <Badge tone="bad">the committed files do not add up: verify the day</Badge>}
          </p>
          <Facts
            facts={[
              ['Commit', <Hash key="c" hash={view.commit_hash} />], ['Root', <Hash key="r" hash={view.commit.root} />],
              ['Transaction', view.transaction === null ? 'not final yet' : <Hash key="t" hash={view.transaction} />], ['State', view.state],
            ]}
          />
        </>
      )}
    </Card>
  );
}

/** Points of all points in percent. */
const share = (points: bigint, all: bigint) => (all === 0n ? '–' : `${Number((points * 1_000_000n) / all) / 10_000} %`);

function OnChain({ account, project }: { account: Address; project: ProjectRow }) {
  const network = useQuery(queries.network());
  const proof = useQuery(queries.proof(project.project, account));
  const [checking, check] = useState(false);
  const [claiming, claim] = useState(false);
  const chainId = network.data?.chain_id;
  if (proof.data === undefined || chainId === undefined) {
    return proof.isError ? <Failed error={proof.error} what="the proof" /> : <Loading what="the proof" />;
  }
  if (proof.data === null) return <Card title="Proof"><Empty title="No active root names this account yet.">What is pending becomes claimable when its root is active.</Empty></Card>;
  const { data } = proof;
  const done = () => void queryClient.invalidateQueries({ queryKey: ['rewards', account] });
  return (
    <>
      <Card title="Claim">
        {claiming
          ? <Suspense fallback={<Loading what="the wallet’s part" />}><Claim account={account} chainId={chainId} proof={data} done={done} /></Suspense>
          : (
            <>
              <p>Your wallet sends one transaction to the project’s contract, which pays only this account’s rewards. Amount and gas are shown before it asks.</p>
              <button type="button" className="main" onClick={() => claim(true)}>Claim with a wallet</button>
            </>
          )}
      </Card>
      <Card title="Check it on chain">
        <p>
          The proof of {data.day} has {data.path.length === 1 ? 'one hash' : `${count(data.path.length)} hashes`}. Your browser computes where it leads, and asks the contract
          over an RPC of your choice whether it has that root, what it pays and what it has paid.
        </p>
        {checking
          ? <Suspense fallback={<Loading what="the chain’s part" />}><ProofOnChain account={account} name={project.name} chainId={chainId} proof={data} /></Suspense>
          : <button type="button" onClick={() => check(true)}>Name an RPC</button>}
      </Card>
    </>
  );
}
