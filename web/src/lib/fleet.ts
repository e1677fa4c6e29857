/** An operator's fleet as rows: what earns and what does not, in words, sorted and filtered. Pure. */

import type { FleetRow } from '../../../sdk-ts/src/api/views.js';
import { count } from './format.js';

export type FleetState = FleetRow['state'];

/** The worst first: what a person must act on stands on top. */
export const STATES = ['down', 'late', 'expired', 'no_license', 'standby', 'up', 'revoked'] as const satisfies readonly FleetState[];

export const STATE_NAMES: Record<FleetState, string> = {
  up: 'up', late: 'late', down: 'down', standby: 'standby', no_license: 'no license', expired: 'expired', revoked: 'revoked',
};

export const STATE_MEANS: Record<FleetState, string> = {
  up: 'heartbeats come, and the workload is healthy or updating',
  late: 'no heartbeat for two and a half minutes',
  down: 'no heartbeat for five minutes, or the workload is not healthy',
  standby: 'it waits for a license that another node runs',
  no_license: 'it neither runs a license nor waits for one',
  expired: 'its authorisation has ended: sign a new one',
  revoked: 'its operator revoked it',
};

/** What a row says of itself: why it is down, where a heartbeat said it. */
export function stateWords({ state, license }: FleetRow): string {
  const status = license?.status;
  return state === 'down' && status !== undefined && status !== null && !['healthy', 'updating'].includes(status)
    ? `down: ${status}` : STATE_NAMES[state];
}

export const rowKey = ({ node_key, license }: FleetRow): string =>
  `${node_key}/${license === null ? '' : `${license.license.collection}/${license.license.token_id}`}`;

/** The rows of all pages. One that moved to another page between two requests is there once. */
export function rowsOf(pages: readonly { rows: readonly FleetRow[] }[]): FleetRow[] {
  return [...new Map(pages.flatMap(({ rows }) => rows.map((row) => [rowKey(row), row]))).values()];
}

export const COLUMNS = ['state', 'node', 'license', 'workload', 'minutes', 'heard', 'release', 'since', 'until'] as const;
export type Column = (typeof COLUMNS)[number];
export const COLUMN_NAMES: Record<Column, string> = {
  state: 'State', node: 'Node', license: 'License', workload: 'Workload', minutes: 'Minutes today', heard: 'Last heartbeat',
  release: 'Release', since: 'Since', until: 'Authorised until',
};
/** Shown unless the visitor chooses others. */
export const FIRST_COLUMNS: readonly Column[] = ['state', 'node', 'license', 'workload', 'minutes', 'heard', 'release'];

/** Columns as the address names them; those shown at first where it names none that is known. */
export function columnsOf(text: string | null): readonly Column[] {
  const named = new Set((text ?? '').split('.'));
  const found = COLUMNS.filter((column) => named.has(column));
  return found.length === 0 ? FIRST_COLUMNS : found;
}

/** What a column is sorted by; undefined stands last, whichever way. */
const VALUES: Record<Column, (row: FleetRow) => bigint | number | string | undefined> = {
  state: ({ state }) => STATES.indexOf(state),
  node: ({ node_key }) => node_key,
  license: ({ license }) => (license === null ? undefined : `${license.license.collection}/${`${license.license.token_id}`.padStart(78, '0')}`),
  workload: ({ license }) => license?.workload,
  minutes: ({ license }) => license?.minutes,
  heard: ({ heard_millis }) => heard_millis ?? undefined,
  release: ({ license }) => license?.release ?? undefined,
  since: ({ license }) => license?.since_millis,
  until: ({ not_after }) => not_after,
};

export interface Order { column: Column; down: boolean }

/** An order as the address names it: `minutes`, or `-minutes` for the largest first. */
export function orderOf(text: string | null): Order {
  const down = text?.startsWith('-') ?? false;
  const column = COLUMNS.find((one) => one === (down ? text?.slice(1) : text));
  return column === undefined ? { column: 'state', down: false } : { column, down };
}

export const orderText = ({ column, down }: Order): string => `${down ? '-' : ''}${column}`;

export function sorted(rows: readonly FleetRow[], { column, down }: Order): FleetRow[] {
  const value = VALUES[column];
  const sign = down ? -1 : 1;
  // Equal rows keep their order: that in which the nodes were authorised.
  return rows.map((row) => [value(row), row] as const).toSorted(([a], [b]) => {
    if (a === b) return 0;
    if (a === undefined) return 1;
    if (b === undefined) return -1;
    return a < b ? -sign : sign;
  }).map(([, row]) => row);
}

/** Rows in one of these states, where any is named, that have the text in an address, a number or a workload. */
export function filtered(rows: readonly FleetRow[], text: string, states: ReadonlySet<string>): FleetRow[] {
  const wanted = text.trim().toLowerCase();
  const has = ({ node_key, license }: FleetRow) =>
    node_key.includes(wanted) ||
    (license !== null && (`${license.license.collection}/${license.license.token_id}`.includes(wanted) || license.workload.includes(wanted)));
  return rows.filter((row) => (states.size === 0 || states.has(row.state)) && (wanted === '' || has(row)));
}

const VERBS: Partial<Record<FleetState, [one: string, many: string]>> = {
  down: ['is down', 'are down'], standby: ['stands by', 'stand by'], no_license: ['has no license', 'have no license'],
  expired: ['has an authorisation that ended', 'have authorisations that ended'],
};

/** The one line on top: how many nodes earn nothing now, and why. */
export function summary(rows: readonly FleetRow[]): { words: string; bad: boolean } {
  // A node is what its best row is.
  const rank: readonly FleetState[] = ['up', 'late', 'down', 'standby', 'no_license', 'expired', 'revoked'];
  const nodes = new Map<string, FleetState>();
  for (const { node_key, state } of rows) {
    const known = nodes.get(node_key);
    if (known === undefined || rank.indexOf(state) < rank.indexOf(known)) nodes.set(node_key, state);
  }
  const number = (state: FleetState) => [...nodes.values()].filter((one) => one === state).length;
  const [revoked, late] = [number('revoked'), number('late')];
  const all = nodes.size - revoked;
  const apart = revoked === 0 ? '' : ` ${count(revoked)} revoked ${revoked === 1 ? 'node is' : 'nodes are'} not counted.`;
  if (all === 0) return { words: `No node is authorised now.${apart}`, bad: revoked > 0 };
  const why = (Object.keys(VERBS) as FleetState[]).map((state) => [state, number(state)] as const).filter(([, many]) => many > 0);
  const nothing = why.reduce((sum, [, many]) => sum + many, 0);
  const lateWords = late === 0 ? '' : ` ${count(late)} ${late === 1 ? 'is' : 'are'} late.`;
  if (nothing === 0) return { words: `${all === 1 ? 'The one node earns' : `All ${count(all)} nodes earn`} now.${lateWords}${apart}`, bad: false };
  const reasons = why.map(([state, many]) => `${count(many)} ${VERBS[state]?.[many === 1 ? 0 : 1]}`).join(', ');
  return { words: `${count(nothing)} of ${count(all)} ${all === 1 ? 'node earns' : 'nodes earn'} nothing now: ${reasons}.${lateWords}${apart}`, bad: true };
}
