import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';

import type { CommitView } from '../../../sdk-ts/src/api/views.js';
import { countMinutes } from '../../../sdk-ts/src/formats/bitmap.js';
import { epochOf } from '../../../sdk-ts/src/parse.js';
import { queries } from '../api/backend.js';
import { bundleQuery, MOST_LICENSES, tablesQuery, uncountedQuery } from '../api/files.js';
import { useNow } from '../api/now.js';
import { count, dayAfter, dayText, percent } from '../lib/format.js';
import { readProject } from '../lib/lookup.js';
import { ruleWords } from '../lib/terms.js';
import { uncountedWords } from '../lib/verdict.js';
import { Link, useTitle } from '../router.js';
import { AddressText, Amount, Badge, Card, Empty, Facts, Failed, Figure, Hash, Loading, Moment, PageHead, Table } from '../ui/bits.js';
import { Unreadable } from './missing.js';

const Verify = lazy(async () => ({ default: (await import('../ui/verify.js')).Verify }));

/** One day of a project: what was closed, committed, posted, and what each license got. */
export function DayPage({ params }: { params: Record<string, string> }) {
  const { project = '', day = '' } = params;
  if (epochOf(day) === undefined) {
    return <Unreadable kind="Day" problem={`There is no day ${day.slice(0, 40)}.`} advice="A day is written year-month-day, as 2026-01-31." />;
  }
  const read = readProject(project);
  return 'problem' in read ? <Unreadable kind="Project" {...read} /> : <Day name={read.project} day={day} />;
}

function Day({ name, day }: { name: string; day: string }) {
  useTitle(`${day} · ${name}`);
  const now = useNow();
  const project = useQuery(queries.project(name));
  const roots = useQuery({ ...queries.roots(project.data?.project ?? '0x'), enabled: Boolean(project.data) });
  const closing = useQuery(queries.day(day));
  if (project.data === undefined) {
    return (
      <>
        <PageHead kind={`Day of ${name}`} title={day} />
        {project.isError ? <Failed error={project.error} what="the project" again={() => void project.refetch()} /> : <Loading what="the day" lines={8} />}
      </>
    );
  }
  if (project.data === null) return <Unreadable kind="Project" problem="No project has this name or address." advice="Names are as in the registry, in lower case." />;
  const { first_day } = project.data;
  const view = roots.data?.findLast((one) => one.day === day);
  const head = (
    <PageHead kind={`Day of ${project.data.name}`} title={day}>
      <nav className="steps" aria-label="Other days">
        {day > first_day && <Link to={`/projects/${name}/days/${dayAfter(day, -1)}`}>← {dayAfter(day, -1)}</Link>}
        <Link to={`/projects/${name}`}>{project.data.name}</Link>
        {day < dayText(now) && day >= first_day && <Link to={`/projects/${name}/days/${dayAfter(day)}`}>{dayAfter(day)} →</Link>}
      </nav>
    </PageHead>
  );
  if (day < first_day) {
    return <>{head}<Empty title="The project had not begun.">Its first day is {first_day}. Nothing was expected of any license before it, and nothing was paid.</Empty></>;
  }
  if (day > dayText(now)) return <>{head}<Empty title="This day has not begun.">It begins at midnight UTC.</Empty></>;
  return (
    <>
      {head}
      <Card title="Closed" says="backend">
        {closing.data === undefined
          ? closing.isError ? <Failed error={closing.error} what="the day" /> : <Loading what="the day" lines={2} />
          : closing.data.closed === null
            ? <Empty title="The day is open.">It closes 5 minutes after its end, once heartbeats of the next day have come.</Empty>
            : (
              <Facts
                facts={[
                  ['State', <Badge key="c" tone="good">closed and signed</Badge>],
                  ['Uptime hash', <Hash key="h" hash={closing.data.closed.message.uptime_hash} />],
                  ['Evidence root', <Hash key="e" hash={closing.data.closed.message.evidence_root} />],
                  ['Excused for everybody', `${closing.data.excused === null ? 0 : countMinutes(closing.data.excused)} minutes`],
                ]}
              />
            )}
      </Card>
      {roots.data === undefined
        ? roots.isError ? <Failed error={roots.error} what="the commits" /> : <Loading what="the commit" lines={3} />
        : view === undefined
          ? <Card title="Commit"><Empty title="Nothing is committed for this day yet.">The project’s owner computes and signs it once the day is closed.</Empty></Card>
          : <Committed view={view} />}
    </>
  );
}

function Committed({ view }: { view: CommitView }) {
  const network = useQuery(queries.network());
  const uncounted = useQuery(uncountedQuery(view)).data;
  const onChain = view.state === 'posted' || view.state === 'active';
  const bundle = useQuery(bundleQuery(view));
  const tone = view.state === 'revoked' ? 'bad' : view.state === 'accepted' ? 'wait' : 'good';
  return (
    <>
      <Card title="Commit" says="backend">
        <Facts
          facts={[
            ['State', <Badge key="s" tone={tone}>{view.state}</Badge>],
            ['Root', <Hash key="r" hash={view.commit.root} />],
            ['Data hash', <Hash key="d" hash={view.commit.data_hash} />],
            ['Revision', count(view.commit.revision)],
            ['Transaction', view.transaction === null ? 'not final yet' : <Hash key="t" hash={view.transaction} />],
            ['Active from', view.activates_at_secs === null ? 'not posted yet' : <Moment key="a" millis={Number(view.activates_at_secs) * 1000} ago />],
          ]}
        />
      </Card>
      <Card title="Verify" id="verify">
        {!onChain
          ? <Empty title="There is nothing to verify yet.">A day is verified against its commit on chain, and this one is {view.state}.</Empty>
          : network.data === undefined
            ? <Loading what="the network" />
            : (
              <Suspense fallback={<Loading what="the verification" />}>
                <Verify chainId={network.data.chain_id} registry={network.data.registry} project={view.project} day={view.day} />
              </Suspense>
            )}
      </Card>
      {bundle.error !== null && <Failed error={bundle.error} what="the day’s files" />}
      {bundle.data !== undefined && (
        <Card title="What was divided" says="commit">
          <div className="figures">
            <Figure name="pool of the day"><Amount wei={bundle.data.pool} /></Figure>
            <Figure name="allocated"><Amount wei={bundle.data.totals.allocated} /></Figure>
            <Figure name="points">{count(bundle.data.totals.points)}</Figure>
            <Figure name="minutes">{count(bundle.data.totals.minutes)}</Figure>
            <Figure name="licenses">{count(bundle.data.totals.licenses)}</Figure>
          </div>
          <p>
            {ruleWords(bundle.data.terms.rule)} Holders are those at block {count(bundle.data.snapshot.block_number)}, of{' '}
            <Moment millis={Number(bundle.data.snapshot.block_secs) * 1000} />. {`${bundle.data.carry_out}`} wei are carried to the next day.
          </p>
          {uncounted !== undefined && uncountedWords(uncounted.map((row) => row.reason)) !== undefined && (
            <p className="notice">{uncountedWords(uncounted.map((row) => row.reason))}</p>
          )}
        </Card>
      )}
      {bundle.data !== undefined && <Licenses view={view} many={bundle.data.totals.licenses > MOST_LICENSES} />}
    </>
  );
}

const PAGE = 100;

function Licenses({ view, many }: { view: CommitView; many: boolean }) {
  const [wanted, want] = useState(false);
  const [shown, show] = useState(PAGE);
  const { data, error, isFetching } = useQuery({ ...tablesQuery(view), enabled: !many || wanted });
  const points = new Map(data?.points.map((row) => [row.license, row.points]));
  const holders = new Map(data?.holders.map((row) => [row.license, row]));
  return (
    <Card title="Licenses" says="commit">
      {many && !wanted && <p>The files are large. <button type="button" onClick={() => want(true)}>Fetch them</button></p>}
      {error !== null && <Failed error={error} what="the licenses" />}
      {isFetching && data === undefined && <Loading what="the licenses" />}
      {data !== undefined && (
        <>
          <Table caption="Licenses of the day" head={['License', 'Minutes', 'Of expected', 'Points', 'Holder', 'Renter']} numbers={[1, 2, 3]}>
            {data.uptime.slice(0, shown).map(({ license, collection, tokenId, minutes, expected }) => {
              const who = holders.get(license);
              return (
                <tr key={license}>
                  <th scope="row">
                    <Link to={`/licenses/${collection}/${tokenId}?day=${view.day}`}><code>{collection.slice(0, 6)}…/{`${tokenId}`.slice(0, 12)}</code></Link>
                  </th>
                  <td className="number">{count(minutes)}</td>
                  <td className="number">{percent(minutes, expected)}</td>
                  <td className="number">{count(points.get(license) ?? 0n)}</td>
                  <td>{who === undefined || /^0x0+$/.test(who.holder) ? '–' : <AddressText address={who.holder} to={`/accounts/${who.holder}`} />}</td>
                  <td>{who === undefined || /^0x0+$/.test(who.renter) ? '–' : <AddressText address={who.renter} to={`/accounts/${who.renter}`} />}</td>
                </tr>
              );
            })}
          </Table>
          {data.uptime.length > shown && (
            <button type="button" onClick={() => show(shown + PAGE)}>Show more of {count(data.uptime.length)}</button>
          )}
        </>
      )}
    </Card>
  );
}
