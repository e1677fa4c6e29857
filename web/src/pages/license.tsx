import { useQueries, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';

import type { LicenseView } from '../../../sdk-ts/src/api/views.js';
import { UNCOUNTED_WORDS } from '../../../sdk-ts/src/formats/tables.js';
import { epochOf, type Address } from '../../../sdk-ts/src/parse.js';
import { queries } from '../api/backend.js';
import { useNow } from '../api/now.js';
import { count, dayAfter, DAY_MILLIS, daysDown, dayStart, dayText, percent } from '../lib/format.js';
import { licenseHash } from '../lib/keccak.js';
import { readAddress } from '../lib/lookup.js';
import { dayCell, type DayMinutes, minuteStates } from '../lib/minutes.js';
import { go, Link, useSearch, useTitle } from '../router.js';
import { AddressText, Badge, Card, Empty, Facts, Failed, Loading, Moment, PageHead } from '../ui/bits.js';
import { HeatMap } from '../ui/heat.js';
import { Strip } from '../ui/strip.js';
import { Unreadable } from './missing.js';

/** So many days are asked for at first; each is a request. */
const DAYS_AT_FIRST = 90;
const YEAR = 365;

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
  const [most, setMost] = useState(DAYS_AT_FIRST);
  const days = useMemo(() => daysDown(firstDay, today, most).toReversed(), [firstDay, today, most]);
  const chosen = asked !== null && epochOf(asked) !== undefined ? asked : today;
  const inside = chosen >= firstDay && chosen <= today;
  const wanted = inside && !days.includes(chosen) ? [chosen, ...days] : days;
  const uptimes = useQueries({ queries: wanted.map((day) => queries.licenseDay(id.collection, id.token_id, day)) });
  // Which minutes were excused matters only where some are missing.
  const gaps = wanted.filter((_, i) => {
    const data = uptimes[i]?.data;
    return data?.closed && data.minutes < data.expected;
  });
  const closings = useQueries({ queries: gaps.map((day) => queries.day(day)) });
  const minutesOf = (day: string): DayMinutes | undefined | null => {
    const data = uptimes[wanted.indexOf(day)]?.data;
    if (data === undefined || data === null) return data;
    const at = gaps.indexOf(day);
    const nowMinute = Math.floor((now - dayStart(day)) / 60_000);
    return {
      closed: data.closed, expected: data.expected, bitmap: data.bitmap, nowMinute,
      excused: at === -1 ? undefined : (closings[at]?.data?.excused ?? undefined),
    };
  };
  // No lease before this day: nothing was expected.
  const never = (day: string) => ({ day, state: 'not_expected' as const, minutes: 0, due: 0, excused: 0, closed: true });
  const year = useMemo(() => daysDown(dayText(dayStart(today) - (YEAR - 1) * DAY_MILLIS), today, YEAR).toReversed(), [today]);
  const cells = year.map((day) => {
    if (day < firstDay) return never(day);
    const minutes = days.includes(day) ? minutesOf(day) : undefined;
    return minutes === null ? never(day) : dayCell(day, minutes);
  });
  const shown = inside ? minutesOf(chosen) : null;
  const states = shown ? minuteStates(shown) : undefined;
  const cell = shown ? dayCell(chosen, shown) : undefined;
  const failed = inside ? uptimes[wanted.indexOf(chosen)]?.error : null;
  const choose = (day: string) => go(`${location.pathname}?day=${day}`, { replace: true });
  const [due, met] = cells.reduce(([all, up], one) => [all + one.due, up + one.minutes], [0, 0]);
  return (
    <>
      <Card
        title={`Minutes of ${inside ? chosen : chosen.slice(0, 10)}${chosen === today ? ', today' : ''}`} says="backend"
        tools={(
          <span className="steps">
            <button type="button" disabled={chosen <= firstDay} onClick={() => choose(dayAfter(chosen, -1))} aria-label="The day before">←</button>
            <button type="button" disabled={chosen >= today} onClick={() => choose(dayAfter(chosen))} aria-label="The day after">→</button>
          </span>
        )}
      >
        {!inside
          ? <Empty title={chosen < firstDay ? 'The project had not begun.' : 'This day has not begun.'}>
            {chosen < firstDay ? `Its first day is ${firstDay}: no minute was expected before it.` : 'Days are counted in UTC.'}
          </Empty>
          : failed && shown === undefined ? <Failed error={failed} what="the minutes" />
            : shown === undefined ? <Loading what="the minutes" lines={8} />
              : shown === null || states === undefined || cell === undefined
                ? <Empty title="Nothing was expected.">The license was not leased on or before this day.</Empty>
                : (
                  <>
                    <p className="lead">
                      <strong className="big">{percent(cell.minutes, cell.due)}</strong>{' '}
                      {count(cell.minutes)} of {count(cell.due)} minutes that were due
                      {cell.excused > 0 && `, ${cell.excused} excused`}
                      {shown.closed ? '; the day is closed, so this never changes' : '; the day is open'}.
                    </p>
                    <Strip day={chosen} states={states} />
                  </>
                )}
      </Card>
      <Card title="Days" says="backend" tools={<span className="quiet">{percent(met, due)} of {count(due)} due minutes</span>}>
        <HeatMap cells={cells} chosen={chosen} choose={choose} />
        {most < YEAR && days.length === most && firstDay < (days[0] ?? '') && (
          <button type="button" onClick={() => setMost(YEAR)}>Show the whole year</button>
        )}
        <p className="quiet">
          {firstDay > (year[0] ?? '') ? `Nothing was expected before ${firstDay}, the project’s first day. ` : ''}
          {most < YEAR && days.length === most ? `Days before ${days[0]} were not asked for yet.` : ''}
        </p>
      </Card>
    </>
  );
}
