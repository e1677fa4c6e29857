/**
 * A day's pool divided by points: floor by license, the remainder carried.
 *
 * For every input, `sum(allocated) + carryOut === dayReward + carryIn`. Amounts are in wei.
 */

import type { RewardRow } from '../formats/tables.js';
import type { Address } from '../parse.js';

export interface Share {
  license: number;
  /** Who receives: the renter while a rental runs, else the holder, or always the holder by the terms. */
  beneficiary: Address;
  /** Zero where the beneficiary is zero or excluded. */
  points: bigint;
}

export interface Budget {
  dayReward: bigint;
  carryIn: bigint;
  dailyQuota: bigint;
}

export interface Allocation {
  /** The smaller of the quota and what there is. */
  pool: bigint;
  /** By share, in their order. */
  allocated: bigint[];
  total: bigint;
  carryOut: bigint;
}

/** Amounts that leave 128 bits. */
export class AmountError extends Error {
  override name = 'AmountError';
}

const AMOUNT_END = 1n << 128n;

export function allocate(budget: Budget, shares: readonly Share[]): Allocation {
  const available = budget.dayReward + budget.carryIn;
  if (available >= AMOUNT_END) throw new AmountError('day reward plus carry is 2^128 wei or more');
  const pool = available < budget.dailyQuota ? available : budget.dailyQuota;
  const sum = shares.reduce((all, share) => all + share.points, 0n);
  const allocated = shares.map((share) => (sum === 0n ? 0n : (pool * share.points) / sum));
  const total = allocated.reduce((all, one) => all + one, 0n);
  return { pool, allocated, total, carryOut: available - total };
}

/** Adds a day's amounts to the cumulative ones before; rows rise by account, and none is of zero. */
export function accumulate(
  before: readonly RewardRow[],
  shares: readonly Share[],
  allocated: readonly bigint[],
): RewardRow[] {
  const sums = new Map(before.map((row) => [row.account, row.cumulative]));
  shares.forEach(({ beneficiary }, i) => {
    const more = allocated[i] ?? 0n;
    if (more === 0n) return;
    const sum = (sums.get(beneficiary) ?? 0n) + more;
    if (sum >= AMOUNT_END) throw new AmountError(`the cumulative amount of ${beneficiary} would be 2^128 wei or more`);
    sums.set(beneficiary, sum);
  });
  const rows = [...sums].map(([account, cumulative]) => ({ account, cumulative }));
  return rows.sort((a, b) => (a.account < b.account ? -1 : 1));
}
