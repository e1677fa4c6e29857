import { useEffect, useMemo, useState } from 'react';

import type { FleetRow } from '../../../sdk-ts/src/api/views.js';
import type { Address } from '../../../sdk-ts/src/parse.js';
import { MOST_PAGES, useFleet, type WholeFleet } from '../api/fleet.js';
import { useNow } from '../api/now.js';
import {
  type Column, COLUMN_NAMES, COLUMNS, columnsOf, filtered, FIRST_COLUMNS, type FleetState, orderOf, orderText, rowKey, sorted, STATE_MEANS, STATE_NAMES,
  STATES, stateWords, summary,
} from '../lib/fleet.js';
import { count, distance, short, utc } from '../lib/format.js';
import { readAddress } from '../lib/lookup.js';
import { go, Link, useSearch, useTitle } from '../router.js';
import { AddressText, Badge, Empty, Failed, Loading, PageHead, Says } from '../ui/bits.js';
import { Grid, type GridColumn } from '../ui/grid.js';
import { Unreadable } from './missing.js';

/** Longer than two rounds of reading: then the table says how old it is. */
const OLD_MILLIS = 150_000;
const TONES: Record<FleetState, 'good' | 'bad' | 'wait' | 'plain'> = {
  up: 'good', late: 'wait', down: 'bad', standby: 'wait', no_license: 'plain', expired: 'bad', revoked: 'plain',
};

/** An operator's fleet: every node, and each license it runs or waits for. */
export function FleetPage({ params }: { params: Record<string, string> }) {
  const read = readAddress(params['address'] ?? '');
  if ('problem' in read) return <Unreadable kind="Operator" {...read} />;
  return <Fleet operator={read.address} />;
}

function Fleet({ operator }: { operator: Address }) {
  useTitle('Fleet');
  const fleet = useFleet(operator);
  const { rows, error, again } = fleet;
  return (
    <>
      <PageHead kind="Fleet of an operator" title={<AddressText address={operator} whole />}>
        <p><Link to={`/accounts/${operator}`}>Its account: rewards and licenses</Link></p>
      </PageHead>
      {rows === undefined
        ? error === null ? <Loading what="the fleet" lines={8} /> : <Failed error={error} what="the fleet" again={again} />
        : rows.length === 0
          ? (
            <Empty title="This wallet has authorised no node here.">
              A node appears once the wallet has signed its authorisation: <code>nodesys pair</code>.
            </Empty>
          )
          : <Rows fleet={fleet} rows={rows} />}
    </>
  );
}

/** Changes a part of the address, so that what is seen can be shared. */
function put(name: string, value: string): void {
  const search = new URLSearchParams(location.search);
  if (value === '') search.delete(name);
  else search.set(name, value);
  const text = search.toString();
  go(location.pathname + (text === '' ? '' : `?${text}`), { replace: true });
}

function Rows({ fleet, rows }: { fleet: WholeFleet; rows: FleetRow[] }) {
  const search = useSearch();
  const [text, states, columns] = [search.get('q') ?? '', search.get('state') ?? '', search.get('columns')];
  const order = orderOf(search.get('sort'));
  const wanted = useMemo(() => new Set(states === '' ? [] : states.split('.')), [states]);
  const shown = useMemo(
    () => sorted(filtered(rows, text, wanted), { column: order.column, down: order.down }),
    [rows, text, wanted, order.column, order.down],
  );
  const numbers = useMemo(() => new Map(STATES.map((state) => [state, rows.filter((row) => row.state === state).length])), [rows]);
  const { words, bad } = summary(rows);
  const toggle = (state: FleetState) => {
    const next = new Set(wanted);
    if (!next.delete(state)) next.add(state);
    put('state', STATES.filter((one) => next.has(one)).join('.'));
  };
  const visible = columnsOf(columns);
  return (
    <>
      <p className={`summary ${bad ? 'summary-bad' : ''}`} role="status">{fleet.reading ? `${count(rows.length)} rows read so far…` : words}</p>
      <section className="card" aria-label="Nodes">
        <header>
          <h2>Nodes</h2>
          <Says who="backend" />
          <Age fleet={fleet} />
        </header>
        <div className="filters">
          <Filter text={text} />
          <div className="chips" role="group" aria-label="Show only rows in these states">
            {STATES.filter((state) => (numbers.get(state) ?? 0) > 0).map((state) => (
              <button type="button" key={state} aria-pressed={wanted.has(state)} title={STATE_MEANS[state]} onClick={() => toggle(state)}>
                <Badge tone={TONES[state]}>{STATE_NAMES[state]}</Badge> {count(numbers.get(state) ?? 0)}
              </button>
            ))}
          </div>
          <Choice visible={visible} />
        </div>
        {fleet.cut && <p className="notice">There are more rows than the {count(MOST_PAGES * 500)} that are read here; <code>GET /v1/operators</code> has them all.</p>}
        {shown.length === 0
          ? <Empty title="No row fits.">Clear the text, or choose other states.</Empty>
          : (
            <Grid
              caption={`Nodes of the operator: ${count(shown.length)} of ${count(rows.length)} rows`} columns={GRID.filter(({ id }) => visible.includes(id))}
              rows={shown} keyOf={rowKey} order={order}
              sort={(id) => put('sort', orderText({ column: id as Column, down: order.column === id && !order.down }))}
            />
          )}
        <p className="quiet">
          {count(shown.length)} of {count(rows.length)} rows. A node that runs one license and waits for others has a row for each. Minutes
          are those of the license today, whichever node ran it.
        </p>
      </section>
    </>
  );
}

/** When the rows were read, and that they are old where they are. */
function Age({ fleet }: { fleet: WholeFleet }) {
  useNow();
  const now = Date.now();
  const old = now - fleet.read > OLD_MILLIS;
  return (
    <span className={`tools ${old ? 'old' : 'quiet'}`}>
      {old && <strong>Old: </strong>}read {utc(fleet.read, true).slice(11)}{old && `, ${distance(fleet.read, now)}`}
    </span>
  );
}

function Filter({ text }: { text: string }) {
  const [typed, type] = useState(text);
  useEffect(() => type(text), [text]);
  return (
    <input
      type="search" value={typed} aria-label="Show only rows with this text" placeholder="Node, license or workload" autoComplete="off" spellCheck={false}
      maxLength={100} onChange={({ target }) => { type(target.value); put('q', target.value); }}
    />
  );
}

function Choice({ visible }: { visible: readonly Column[] }) {
  const choose = (column: Column) => {
    const next = COLUMNS.filter((one) => (one === column ? !visible.includes(one) : visible.includes(one)));
    put('columns', next.length === 0 || next.join() === FIRST_COLUMNS.join() ? '' : next.join('.'));
  };
  return (
    <details className="choose">
      <summary>Columns</summary>
      <ul>
        {COLUMNS.map((column) => (
          <li key={column}>
            <label><input type="checkbox" checked={visible.includes(column)} onChange={() => choose(column)} /> {COLUMN_NAMES[column]}</label>
          </li>
        ))}
      </ul>
    </details>
  );
}

const moment = (millis: bigint | null | undefined) =>
  millis === null || millis === undefined ? '–' : <time title={utc(Number(millis), true)}>{utc(Number(millis)).slice(5, 16)}</time>;

const CELLS: Record<Column, (row: FleetRow) => React.ReactNode> = {
  state: (row) => <span title={STATE_MEANS[row.state]}><Badge tone={TONES[row.state]}>{stateWords(row)}</Badge></span>,
  node: ({ node_key }) => <AddressText address={node_key} to={`/nodes/${node_key}`} />,
  license: ({ license }) => (license === null ? '–' : (
    <Link to={`/licenses/${license.license.collection}/${license.license.token_id}`}>
      <code>{short(license.license.collection)}/{`${license.license.token_id}`.slice(0, 12)}</code>
    </Link>
  )),
  workload: ({ license }) => license?.workload ?? '–',
  minutes: ({ license }) => (license === null ? '–' : count(license.minutes)),
  heard: ({ heard_millis }) => moment(heard_millis),
  // A workload that no announced release deployed says 0.
  release: ({ license }) => (license?.release ? `${license.release}` : '–'),
  since: ({ license }) => moment(license?.since_millis),
  until: ({ not_after }) => <time title={utc(Number(not_after) * 1000, true)}>{utc(Number(not_after) * 1000).slice(0, 10)}</time>,
};
const GRID: readonly (GridColumn<FleetRow> & { id: Column })[] = COLUMNS.map((id) => ({
  id, name: COLUMN_NAMES[id], number: id === 'minutes' || id === 'release', cell: CELLS[id],
}));
