/** What the backend answers, by the names of its OpenAPI file. A newer backend may answer more fields. */

import { bitmap } from '../formats/bitmap.js';
import { uncounted } from '../formats/tables.js';
import {
  address, amount, boolean, day, hash, integer, list, name, nullable, oneOf, open, optional, type Parsed, type Parser, points, text,
  uint256, uint32, uint64,
} from '../parse.js';
import { signature } from '../signature.js';

export const network = open({
  chain_id: uint64, registry: address, receipt_key: address, version: text,
  /** The backend's clock, milliseconds since 1970; an older backend does not say. */
  now_millis: optional(uint64),
});
export type Network = Parsed<typeof network>;

export const licenseId = open({ chain_id: uint64, collection: address, token_id: uint256 });
export type LicenseId = Parsed<typeof licenseId>;

export const leaseView = open({
  license: licenseId,
  license_hash: hash,
  /** Its dense index in day files. */
  index: uint32,
  project: address,
  workload: name,
  node_key: address,
  state: oneOf('active', 'standby', 'ended'),
  fence: points,
  granted_millis: uint64,
});
export type LeaseView = Parsed<typeof leaseView>;

export const nodeView = open({
  authorization: open({ operator: address, node_key: address, not_after: uint64, nonce: uint256 }),
  revoked: boolean,
  /** When the authorisation lapsed: the node had no license for 30 days. */
  lapsed_millis: optional(uint64),
  last_heartbeat_millis: nullable(uint64),
  leases: list(leaseView),
});
export type NodeView = Parsed<typeof nodeView>;

/** How a node, or its workload of one license, is; only `up` and `late` earn. */
export const fleetState = oneOf('up', 'late', 'down', 'standby', 'no_license', 'expired', 'revoked');

export const fleetRow = open({
  node_key: address,
  not_after: uint64,
  state: fleetState,
  heard_millis: nullable(uint64),
  license: nullable(open({
    license: licenseId,
    project: address,
    workload: name,
    fence: points,
    since_millis: uint64,
    minutes: integer(1440),
    status: nullable(oneOf('healthy', 'starting', 'degraded', 'down', 'updating')),
    release: nullable(uint64),
  })),
});
export type FleetRow = Parsed<typeof fleetRow>;

export const fleet = open({ operator: address, rows: list(fleetRow), next: nullable(text) });
export type Fleet = Parsed<typeof fleet>;

/** A moment that a contract may put as far ahead as it likes: a number beyond 2^53 is rounded. */
const seconds: Parser<bigint> = (value, path = '') =>
  typeof value === 'number' && value >= 0 && value <= 2 ** 64 ? BigInt(Math.floor(value)) : uint64(value, path);

export const licenseView = open({
  license: licenseId,
  index: uint32,
  project: address,
  workload: name,
  /** Null once burnt. */
  holder: nullable(address),
  rental: optional(open({ renter: address, until_secs: seconds })),
  /** Why it counts for nobody, where its logs do not tell who holds it. */
  uncounted: optional(uncounted),
});
export type LicenseView = Parsed<typeof licenseView>;

/** Minutes of a day that were expected and not credited, and why; a newer backend may know more causes. */
export const missing = open({ from: integer(1440), to: integer(1440), cause: text });
export type Missing = Parsed<typeof missing>;

export const licenseDay = open({
  license: licenseId, day, closed: boolean, minutes: integer(1440), expected: integer(1440), bitmap,
  /** An older backend does not say. */
  missing: optional(list(missing)),
});
export type LicenseDay = Parsed<typeof licenseDay>;

export const minuteCounts = open({ minutes: integer(1440), expected: integer(1440), excused: integer(1440) });

export const dayCount = open({
  day, closed: boolean,
  /** Null while a closed day is not counted yet. */
  counts: nullable(minuteCounts),
});
export type DayCount = Parsed<typeof dayCount>;

export const licenseDays = open({ license: licenseId, days: list(dayCount) });
export type LicenseDays = Parsed<typeof licenseDays>;

export const dayView = open({
  day,
  closed: nullable(open({
    message: open({ day: uint64, uptime_hash: hash, evidence_root: hash }), signature,
  })),
  excused: nullable(bitmap),
});
export type DayView = Parsed<typeof dayView>;

export const rewardCommit = open({
  epoch: uint64, revision: uint32, previous: hash, root: hash, total: amount, data_hash: hash,
});

export const commitState = oneOf('accepted', 'posted', 'active', 'revoked');

export const commitView = open({
  project: address,
  day,
  commit: rewardCommit,
  commit_hash: hash,
  state: commitState,
  transaction: nullable(hash),
  activates_at_secs: nullable(uint64),
});
export type CommitView = Parsed<typeof commitView>;

export const pointsChecked = open({ commit: rewardCommit, allocated: amount, carry_out: amount });
export type PointsChecked = Parsed<typeof pointsChecked>;

export const proofView = open({
  project: address, day, root: hash, account: address, cumulative: amount, path: list(hash), state: commitState,
});
export type ProofView = Parsed<typeof proofView>;

export const rewardView = open({
  project: address, name, day, cumulative: amount, active: amount, claimed: amount,
});
export type RewardView = Parsed<typeof rewardView>;

export const projectRow = open({ project: address, name, owner: address, token: address, first_day: day });
export type ProjectRow = Parsed<typeof projectRow>;

/** The parsers by the schemas of the OpenAPI file; a test holds one against the other. */
export const SCHEMAS = {
  Network: network,
  LicenseId: licenseId,
  LeaseView: leaseView,
  NodeView: nodeView,
  Fleet: fleet,
  FleetRow: fleetRow,
  LicenseView: licenseView,
  Missing: missing,
  LicenseDay: licenseDay,
  MinuteCounts: minuteCounts,
  DayCount: dayCount,
  LicenseDays: licenseDays,
  DayView: dayView,
  RewardCommit: rewardCommit,
  CommitView: commitView,
  PointsChecked: pointsChecked,
  ProjectRow: projectRow,
  ProofView: proofView,
  RewardView: rewardView,
} as const;
