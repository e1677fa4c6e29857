import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';

import type { LicenseView } from '../../../sdk-ts/src/api/views.js';
import { UNCOUNTED_WORDS } from '../../../sdk-ts/src/formats/tables.js';
import { epochOf, type Address } from '../../../sdk-ts/src/parse.js';
import { queries } from '../api/backend.js';
import { useNow } from '../api/now.js';
import { count, dayAfter, dayStart, dayText, percent } from '../lib/format.js';
import { licenseHash } from '../lib/keccak.js';
import { readAddress } from '../lib/lookup.js';
import { dayCell, excusedOf, minuteStates } from '../lib/minutes.js';
import { go, Link, useSearch, useTitle } from '../router.js';
import { AddressText, Badge, Card, Empty, Facts, Failed, Loading, Moment, PageHead } from '../ui/bits.js';
import { Strip } from '../ui/strip.js';
import { Unreadable } from './missing.js';

const Year = lazy(async () => ({ default: (await import('../ui/year.js')).Year }));

/** A license: who has it, who runs it, and its minutes of a day and a year. */
export function LicensePage({ params }: { params: Record<string, string> }) {
  const read = readAddress(params['collection'] ?? '');
  const token = params['token'] ?? '';
  if ('problem' in read) return <Unreadable kind="License" {...read} />;
  if (!/^[0-9]{1,77}$/.test(token)) {
    return <Unreadable kind="License" problem="The license’s number is not a whole number." advice="A license is its collection’s address, a slash and a number." />;
  }
  return <License collection={read.address} tokenId={BigInt(token)} />;
}

function License({ collection, tokenId }: { collection: Address; tokenId: bigint }) {
  useTitle(`License ${`${tokenId}`.slice(0, 20)}`);
  const { data, error, refetch } = useQuery(queries.license(collection, tokenId));
  const head = (
    <PageHead kind="License" title={<>{data ? <>{data.workload} </> : 'License '}<span className="break">#{`${tokenId}`}</span></>}>
      <span className="quiet">Collection</span> <AddressText address={collection} whole />
    </PageHead>
  );
  if (data === undefined) {
    return <>{head}{error === null ? <Loading what="the license" lines={8} /> : <Failed error={error} what="the license" again={() => void refetch()} />}</>;
  }
  if (data === null) {
    return <>{head}<Empty title="No such license is known here.">The collection may not be listed in the registry, or the token was never minted in a final block.</Empty></>;
  }
  return <>{head}<Known license={data} /></>;
}

function Known({ license }: { license: LicenseView }) {
  const { project: address, holder, rental, uncounted, license: id } = license;
  const project = useQuery(queries.project(address));
  const lease = useQuery(queries.lease(licenseHash(id.chain_id, id.collection, id.token_id)));
  return (
    <>
      {uncounted !== undefined && (
        <p className="notice">It counts for nobody: {UNCOUNTED_WORDS[uncounted]}. Its share goes to the others.</p>
      )}
      <div className="pair">
        <Card title="Who has it" says="backend">
          <Facts
            facts={[
              ['Holder', holder === null ? (uncounted === undefined ? 'burnt' : 'none by its logs') : <AddressText key="h" address={holder} to={`/accounts/${holder}`} />],
              ['Renter', rental === undefined ? 'not rented out' : <AddressText key="r" address={rental.renter} to={`/accounts/${rental.renter}`} />],
              ...(rental === undefined ? [] : [['Rented until', <Moment key="u" millis={Number(rental.until_secs) * 1000} />] as [string, React.ReactNode]]),
              ['Project', <Link key="p" to={`/projects/${address}`}>{project.data?.name ?? '…'}</Link>],
            ]}
          />
        </Card>
        <Card title="Who runs it" says="backend">
          {lease.data === undefined
            ? lease.isError ? <Failed error={lease.error} what="the lease" /> : <Loading what="the lease" />
            : lease.data === null
              ? <Empty title="Nobody runs it.">It earns nothing until a node of an entitled operator asks for it.</Empty>
              : (
                <Facts
                  facts={[
                    ['State', <Badge key="s" tone={lease.data.state === 'active' ? 'good' : 'plain'}>{lease.data.state}</Badge>],
                    ['Node', <AddressText key="n" address={lease.data.node_key} to={`/nodes/${lease.data.node_key}`} />],
                    ['Fence', `${lease.data.fence}`],
                    ['Since', <Moment key="g" millis={Number(lease.data.granted_millis)} ago />],
                  ]}
                />
              )}
        </Card>
      </div>
      {project.data
        ? <Minutes id={id} firstDay={project.data.first_day} />
        : project.isError ? <Failed error={project.error} what="the project" /> : <Loading what="the minutes" lines={6} />}
    </>
  );
}

function Minutes({ id, firstDay }: { id: LicenseView['license']; firstDay: string }) {
  const now = useNow();
  const today = dayText(now);
  const asked = useSearch().get('day');
  const chosen = asked !== null && epochOf(asked) !== undefined ? asked : today;
  const choose = (day: string) => go(`${location.pathname}?day=${day}`, { replace: true });
  return (
    <>
      <Card
        title={`Minutes of ${chosen.slice(0, 10)}${chosen === today ? ', today' : ''}`} says="backend"
        tools={(
          <span className="steps">
            <button type="button" disabled={chosen <= firstDay} onClick={() => choose(dayAfter(chosen, -1))} aria-label="The day before">←</button>
            <button type="button" disabled={chosen >= today} onClick={() => choose(dayAfter(chosen))} aria-label="The day after">→</button>
          </span>
        )}
      >
        {chosen < firstDay
          ? <Empty title="Not yet: the project had not begun.">{`Its first day is ${firstDay}: no minute was expected before it.`}</Empty>
          : chosen > today ? <Empty title="This day has not begun.">Days are counted in UTC.</Empty>
            : <Day id={id} day={chosen} now={now} />}
      </Card>
      <Suspense fallback={<Loading what="the days" lines={5} />}>
        <Year id={id} firstDay={firstDay} today={today} chosen={chosen} choose={choose} />
      </Suspense>
    </>
  );
}

function Day({ id, day, now }: { id: LicenseView['license']; day: string; now: number }) {
  const { data, error } = useQuery(queries.licenseDay(id.collection, id.token_id, day));
  if (data === undefined) return error === null ? <Loading what="the minutes" lines={8} /> : <Failed error={error} what="the minutes" />;
  if (data === null) return <Empty title="Nothing was expected.">The license was not leased on or before this day.</Empty>;
  const { closed, expected, bitmap, missing } = data;
  const minutes = { closed, expected, bitmap, excused: excusedOf(missing ?? []), nowMinute: Math.floor((now - dayStart(day)) / 60_000) };
  const cell = dayCell(day, minutes);
  return (
    <>
      <p className="lead">
        <strong className="big">{percent(cell.minutes, cell.due)}</strong>{' '}
        {count(cell.minutes)} of {count(cell.due)} minutes that were due
        {cell.excused > 0 && `, ${cell.excused} excused`}
        {closed ? '; the day is closed, so this never changes' : '; the day is open'}.
      </p>
      <Strip day={day} states={minuteStates(minutes)} missing={missing} />
    </>
  );
}
