import { useQueries, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import type { CommitView, ProjectRow } from '../../../sdk-ts/src/api/views.js';
import type { UptimeRow } from '../../../sdk-ts/src/formats/tables.js';
import type { Address } from '../../../sdk-ts/src/parse.js';
import { queries } from '../api/backend.js';
import { newest, type ProjectDay, useProjectDays } from '../api/days.js';
import { bundleQuery, MOST_LICENSES, tablesQuery } from '../api/files.js';
import { count, percent } from '../lib/format.js';
import { ruleWords } from '../lib/terms.js';
import { readProject } from '../lib/lookup.js';
import { Link, useTitle } from '../router.js';
import { AddressText, Amount, Badge, Card, Copy, Empty, Facts, Failed, Figure, Loading, Moment, PageHead, Table } from '../ui/bits.js';
import { Unreadable } from './missing.js';

/** A project: what it pays, its workloads, and each day's way to the chain. */
export function ProjectPage({ params }: { params: Record<string, string> }) {
  const name = params['project'] ?? '';
  const read = readProject(name);
  return 'problem' in read ? <Unreadable kind="Project" {...read} /> : <Project name={read.project} />;
}

function Project({ name }: { name: string }) {
  useTitle(name);
  const { data, error, refetch } = useQuery(queries.project(name));
  const head = <PageHead kind="Project" title={<span className="break">{name}</span>} />;
  if (data === undefined) {
    return <>{head}{error === null ? <Loading what="the project" lines={8} /> : <Failed error={error} what="the project" again={() => void refetch()} />}</>;
  }
  if (data === null) {
    return (
      <>
        {head}
        <Empty title="No project has this name or address.">
          Names are as in the registry, in lower case. A project appears once its creation is in a final block.
        </Empty>
      </>
    );
  }
  return <Known project={data} />;
}

function Known({ project }: { project: ProjectRow }) {
  const [most, setMost] = useState(30);
  const { days, more, roots, error } = useProjectDays(project, most);
  const last = newest(roots);
  return (
    <>
      <PageHead kind="Project" title={project.name}>
        <AddressText address={project.project} whole />
      </PageHead>
      <Card title="In the registry" says="backend">
        <Facts
          facts={[
            ['Owner', <AddressText key="o" address={project.owner} to={`/accounts/${project.owner}`} />],
            ['Token', <AddressText key="t" address={project.token} copy />],
            ['First day', project.first_day],
            ['Commits', roots === undefined ? '–' : count(roots.length)],
          ]}
        />
      </Card>
      {last !== undefined && <Terms view={last} />}
      {last !== undefined && <Workloads view={last} />}
      <Card title="Days" says="backend">
        {roots === undefined && error !== null
          ? <Failed error={error} what="the commits" />
          : roots === undefined ? <Loading what="the days" lines={5} /> : <Days project={project} days={days} />}
        {more && <button type="button" onClick={() => setMost(most + 60)}>Show older days</button>}
      </Card>
    </>
  );
}

function Terms({ view }: { view: CommitView }) {
  const { data, error } = useQuery(bundleQuery(view));
  if (error !== null) return <Card title="What it pays"><Failed error={error} what={`the files of ${view.day}`} /></Card>;
  if (data === undefined) return <Card title="What it pays"><Loading what="the terms" lines={2} /></Card>;
  const { terms, totals } = data;
  return (
    <Card title={`What it paid on ${view.day}`} says="commit">
      <div className="figures">
        <Figure name="for the day"><Amount wei={terms.day_reward} /></Figure>
        <Figure name="licenses">{count(totals.licenses)}</Figure>
        <Figure name="minutes">{count(totals.minutes)}</Figure>
        <Figure name="accounts ever paid">{count(totals.accounts)}</Figure>
        <Figure name="owed since the first day"><Amount wei={totals.cumulative} /></Figure>
      </div>
      <p>
        {ruleWords(terms.rule)} Rewards go to the {terms.beneficiary === 'renter' ? 'renter while a rental runs, else to the holder' : 'holder'}.
        {terms.excluded.length > 0 && ` ${count(terms.excluded.length)} addresses are excluded.`}
      </p>
    </Card>
  );
}

interface Workload { collection: Address; first: UptimeRow; licenses: number; minutes: number; expected: number }

function workloadsOf(rows: readonly UptimeRow[]): Workload[] {
  const found = new Map<Address, Workload>();
  for (const row of rows) {
    const one = found.get(row.collection) ?? { collection: row.collection, first: row, licenses: 0, minutes: 0, expected: 0 };
    found.set(row.collection, {
      ...one, licenses: one.licenses + 1, minutes: one.minutes + row.minutes, expected: one.expected + row.expected,
    });
  }
  return [...found.values()];
}

function Workloads({ view }: { view: CommitView }) {
  const bundle = useQuery(bundleQuery(view));
  const [wanted, want] = useState(false);
  const few = bundle.data !== undefined && bundle.data.totals.licenses <= MOST_LICENSES;
  const tables = useQuery({ ...tablesQuery(view), enabled: few || wanted });
  const workloads = tables.data === undefined ? [] : workloadsOf(tables.data.uptime);
  const names = useQueries({
    queries: workloads.slice(0, 50).map(({ collection, first }) => queries.license(collection, first.tokenId)),
  });
  if (bundle.data === undefined) return null;
  return (
    <Card title={`Workloads on ${view.day}`} says="commit">
      {!few && !wanted && (
        <p>
          {count(bundle.data.totals.licenses)} licenses: their file is large.{' '}
          <button type="button" onClick={() => want(true)}>Fetch it</button>
        </p>
      )}
      {tables.error !== null && <Failed error={tables.error} what="the licenses" />}
      {tables.isFetching && tables.data === undefined && <Loading what="the workloads" lines={2} />}
      {tables.data !== undefined && workloads.length === 0 && <Empty title="No license was leased on this day." />}
      {workloads.length > 0 && (
        <Table caption="Workloads" head={['Workload', 'Collection', 'Licenses', 'Minutes up', 'Of expected']} numbers={[2, 3, 4]}>
          {workloads.map(({ collection, licenses, minutes, expected }, i) => (
            <tr key={collection}>
              <th scope="row">{names[i]?.data?.workload ?? '…'}</th>
              <td><AddressText address={collection} copy /></td>
              <td className="number">{count(licenses)}</td>
              <td className="number">{count(minutes)}</td>
              <td className="number">{percent(minutes, expected)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

/** A day's steps from its end to the chain. */
function Days({ project, days }: { project: ProjectRow; days: readonly ProjectDay[] }) {
  if (days.length === 0) {
    return <Empty title="No day yet.">The first day is {project.first_day}; nothing is expected before it.</Empty>;
  }
  return (
    <Table caption="Each day's way to the chain" head={['Day', 'Closed', 'Points and commit', 'On chain', 'Active', 'Owed in all']} numbers={[5]}>
      {days.map(({ day, closed, commit }) => (
        <tr key={day}>
          <th scope="row"><Link to={`/projects/${project.name}/days/${day}`} className="number-left">{day}</Link></th>
          <td>{closed === undefined ? <span className="quiet">not asked</span> : closed ? <Badge tone="good">closed</Badge> : <Badge tone="plain">open</Badge>}</td>
          <td>{commit === undefined ? <Badge tone="plain">{closed ? 'waits for the owner' : 'none yet'}</Badge> : <Badge tone="good">committed</Badge>}</td>
          <td><Posted commit={commit} /></td>
          <td><Active commit={commit} /></td>
          <td className="number">{commit === undefined ? '–' : <Amount wei={commit.commit.total} />}</td>
        </tr>
      ))}
    </Table>
  );
}

function Posted({ commit }: { commit: CommitView | undefined }) {
  if (commit === undefined) return <span className="quiet">–</span>;
  if (commit.state === 'revoked') return <Badge tone="bad">revoked</Badge>;
  if (commit.state === 'accepted') return <Badge tone="wait">being posted</Badge>;
  return (
    <span className="line">
      <Badge tone="good">posted</Badge>
      {commit.transaction !== null && <Copy text={commit.transaction} what="transaction" />}
    </span>
  );
}

function Active({ commit }: { commit: CommitView | undefined }) {
  if (commit === undefined || commit.state === 'accepted' || commit.state === 'revoked') return <span className="quiet">–</span>;
  if (commit.state === 'active') return <Badge tone="good">active</Badge>;
  const at = commit.activates_at_secs;
  return <Badge tone="wait">{at === null ? 'waits' : <>from <Moment millis={Number(at) * 1000} /></>}</Badge>;
}
