/** Why an account got its amount of a day: from the committed files, by the rule of the contract's payment. */

import { allocate } from '../../../sdk-ts/src/day/allocation.js';
import { countsTasks, possiblePoints, type Rule, tasksIn } from '../../../sdk-ts/src/day/rule.js';
import type { Bundle } from '../../../sdk-ts/src/formats/bundle.js';
import type { HolderRow, PointsRow, RewardRow, UptimeRow } from '../../../sdk-ts/src/formats/tables.js';
import { type Address, ZERO_ADDRESS } from '../../../sdk-ts/src/parse.js';

export interface Files { bundle: Bundle; uptime: UptimeRow[]; holders: HolderRow[]; points: PointsRow[]; rewards: RewardRow[] }

export interface License {
  license: number; collection: Address; tokenId: bigint; as: 'holder' | 'renter';
  minutes: number; expected: number; points: bigint; amount: bigint;
  /** Accepted tasks, as its points show them; undefined where the rule counts none, or cannot give these points. */
  tasks: bigint | undefined;
}

export interface Why {
  /** By which minutes and tasks became points. */
  rule: Rule;
  licenses: License[];
  points: bigint;
  allPoints: bigint;
  pool: bigint;
  amount: bigint;
  /** Earned in all, by the committed file; zero where it does not name the account. */
  cumulative: bigint;
  before: bigint;
  /** What was allocated to everybody is what the files say. */
  adds: boolean;
}

export function why(account: Address, { bundle, uptime, holders, points, rewards }: Files): Why {
  const { terms, daily_quota: dailyQuota, carry_in: carryIn } = bundle;
  const who = new Map(holders.map((row) => [row.license, row]));
  const excluded = new Set(terms.excluded);
  const shares = points.map(({ license, points: earned }) => {
    const row = who.get(license);
    const renter = row?.renter ?? ZERO_ADDRESS;
    const rented = terms.beneficiary === 'renter' && renter !== ZERO_ADDRESS;
    const beneficiary = (rented ? renter : row?.holder) ?? ZERO_ADDRESS;
    const none = beneficiary === ZERO_ADDRESS || excluded.has(beneficiary);
    return { license, beneficiary, as: rented ? ('renter' as const) : ('holder' as const), points: none ? 0n : earned };
  });
  const { pool, allocated, total } = allocate({ dayReward: terms.day_reward, carryIn, dailyQuota }, shares);
  const rows = new Map(uptime.map((row) => [row.license, row]));
  const given = new Map(points.map((row) => [row.license, row.points]));
  const licenses = shares.flatMap((share, i): License[] => {
    const row = rows.get(share.license);
    if (share.beneficiary !== account || row === undefined) return [];
    const { collection, tokenId, minutes, expected } = row;
    const possible = possiblePoints(terms.rule, row, bundle.uptime.excused);
    const tasks = countsTasks(terms.rule) ? tasksIn(possible, given.get(share.license) ?? 0n) : undefined;
    return [{ tasks, license: share.license, collection, tokenId, as: share.as, minutes, expected, points: share.points, amount: allocated[i] ?? 0n }];
  });
  const amount = licenses.reduce((sum, one) => sum + one.amount, 0n);
  const cumulative = rewards.find((row) => row.account === account)?.cumulative ?? 0n;
  return {
    rule: terms.rule, licenses, pool, amount, cumulative, before: cumulative - amount,
    points: licenses.reduce((sum, one) => sum + one.points, 0n),
    allPoints: shares.reduce((sum, one) => sum + one.points, 0n),
    adds: total === bundle.totals.allocated && pool === bundle.pool && cumulative >= amount,
  };
}
