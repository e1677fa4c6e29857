/** What an owner who lies commits: other tables, or another bundle, than the day gives. */

import {
  type Address, bitmap, bitmapText, type Bundle, type Hash, HOLDERS, keccak256, parseTable, POINTS, REWARDS, type RewardRow,
  RewardTree, UNCOUNTED, writeTable,
} from '../../src/index.js';
import { joined } from '../../src/day/build.js';
import type { Random } from './random.js';

const ZERO: Address = `0x${'0'.repeat(40)}`;
const THIEF: Address = `0x${'ff'.repeat(20)}`;

/** What an owner lies about, once a day is computed. */
export const LIES = [
  'points', 'holders', 'rewards', 'carry', 'quota', 'snapshot', 'receipt key', 'excused', 'root', 'uncounted', 'reason', 'shifted',
  'no hash', 'terms hash',
] as const;
export type Lie = (typeof LIES)[number];

/** Of the collection whose logs and calls agree: about the other one nothing can be proven. */
const honest = ({ license }: { license: number }) => license % 2 === 0;

/** The bundle that a liar commits; the files are changed with it. */
export async function lied(lie: Lie, bundle: Bundle, files: Map<string, Uint8Array>, random: Random): Promise<Bundle> {
  const of = <Row>(table: Parameters<typeof parseTable<Row>>[0]) => parseTable(table, files.get(table.file) as Uint8Array);
  const told: Bundle = { ...bundle, files: { ...bundle.files } };
  const write = async <Row>(table: Parameters<typeof parseTable<Row>>[0], rows: Row[]) => {
    files.set(table.file, joined([...writeTable(table, rows)]));
    told.files[table.file] = await keccak256(files.get(table.file) as Uint8Array);
  };
  const withRewards = async (rows: RewardRow[]) => {
    const tree = await RewardTree.build(rows);
    await write(REWARDS, rows);
    Object.assign(told, { root: tree.root, totals: { ...told.totals, cumulative: tree.total } });
  };
  switch (lie) {
    case 'points': {
      const rows = of(POINTS);
      const row = random.pick(rows);
      row.points += 10_000_000_019n;
      await write(POINTS, rows);
      break;
    }
    case 'holders': {
      const rows = of(HOLDERS);
      random.pick(rows.filter(honest)).holder = `0x${'ab'.repeat(20)}`;
      await write(HOLDERS, rows);
      break;
    }
    case 'rewards': {
      const rows = of(REWARDS);
      const [victim, thief] = [rows[0], rows.find((row) => row.account === THIEF)];
      // Where nobody has anything, there is nothing to take.
      if (victim === undefined || victim.cumulative < 2n) return lied('carry', bundle, files, random);
      victim.cumulative -= 1n;
      if (thief === undefined) rows.push({ account: THIEF, cumulative: 1n });
      else thief.cumulative += 1n;
      await withRewards(rows);
      break;
    }
    case 'root':
      told.root = random.hex(32) as Hash;
      break;
    case 'carry':
      told.carry_out += 1n;
      break;
    case 'quota':
      told.daily_quota += 1n;
      break;
    case 'snapshot':
      told.snapshot = { ...told.snapshot, block_number: told.snapshot.block_number - 1n };
      break;
    case 'receipt key':
      told.uptime = { ...told.uptime, receipt_key: `0x${'12'.repeat(20)}` };
      break;
    case 'uncounted': {
      // An honest holder is left out.
      const rows = of(HOLDERS);
      const victim = random.pick(rows.filter(honest));
      Object.assign(victim, { holder: ZERO, renter: ZERO });
      await write(HOLDERS, rows);
      const reasons = [...of(UNCOUNTED), { license: victim.license, reason: 'taken_from_another' as const }];
      await write(UNCOUNTED, reasons.sort((a, b) => a.license - b.license));
      break;
    }
    case 'reason': {
      const rows = of(UNCOUNTED);
      const row = rows.find(({ reason }) => reason === 'no_transfer');
      if (row === undefined) return lied('uncounted', bundle, files, random);
      row.reason = 'taken_from_another';
      await write(UNCOUNTED, random.oneIn(2) ? rows : rows.filter((one) => one !== row));
      break;
    }
    case 'shifted': {
      const rows = of(HOLDERS);
      await write(HOLDERS, random.oneIn(2) ? rows.slice(1) : [...rows, { license: 900, holder: THIEF, renter: ZERO }]);
      break;
    }
    case 'no hash':
      delete told.files[random.pick(['holders.csv', 'uncounted.csv', 'rewards.csv'])];
      break;
    case 'terms hash':
      told.terms_hash = random.hex(32) as Hash;
      break;
    case 'excused':
      told.uptime = { ...told.uptime, excused: bitmap(bitmapText(told.uptime.excused.map((byte) => byte ^ 1))) };
      break;
  }
  return told;
}
