/** A day of 100,000 licenses is verified, and its time told: at most 10 seconds on two idle cores. */

import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { test } from 'node:test';

import { privateKeyToAccount } from 'viem/accounts';

import {
  type Address, buildDay, type ClosedUptime, countMinutes, type DayFacts, dayOf, digest, domainOf, FIRST_DAY,
  FORMAT_2, fromMinuteOn, type Hash,
  known, type LicenseDay, type Place, Places, possiblePoints, pointsWith, type Terms, UPTIME, type UptimeRow, uptimeLeaf,
  verifyDay, writeTable,
} from '../src/index.js';
import { tableHash } from '../src/day/build.js';
import { Random } from './support/random.js';

const COUNT = 100_000;

test('a day of 100,000 licenses', async () => {
  const random = new Random(11);
  const zero: Address = `0x${'0'.repeat(40)}`;
  const project = { chain_id: 31_337n, registry: random.hex(20), distributor: random.hex(20), name: 'acme' };
  const collection = random.hex(20);
  const some = Array.from({ length: 32 }, () => fromMinuteOn(random.int(1441)));
  const minutes = some.map(countMinutes);
  const rows = function* (): Generator<UptimeRow> {
    for (let i = 0; i < COUNT; i += 1) {
      const [bitmap, count] = [some[i % 32] as Uint8Array, minutes[i % 32] as number];
      yield { license: i, collection, tokenId: BigInt(i), minutes: count, expected: 1440, bitmap };
    }
  };
  const holders = Array.from({ length: COUNT }, () => random.hex(20) as Address);
  const excused = fromMinuteOn(1430);
  const rule = { name: 'uptime', rate: 1440n, minimum_uptime_ppm: 200_000 } as const;
  const terms: Terms = { day_reward: 10n ** 24n, rule, beneficiary: 'renter', excluded: [] };
  const csv = await tableHash(UPTIME, rows());
  const epoch = 20_454n;
  const key = privateKeyToAccount(`0x${'3'.repeat(64)}`);
  const message = { day: epoch, uptimeHash: uptimeLeaf(project.distributor, csv, excused), evidenceRoot: random.hex(32) as Hash };
  const signature = await key.sign({ hash: digest(domainOf(31_337, project.registry), 'DayClosed', message) });
  const closed: ClosedUptime = {
    closed: { message: { day: epoch, uptime_hash: message.uptimeHash, evidence_root: message.evidenceRoot }, signature },
    receipt_key: key.address.toLowerCase() as Address, uptime_csv: csv, excused, path: [],
  };
  const licenses: LicenseDay[] = [];
  for (const row of rows()) {
    const points = pointsWith(possiblePoints(rule, row, excused), 0n);
    licenses.push({ license: row.license, minutes: row.minutes, points, holder: holders[row.license] as Address, renter: zero });
  }
  const snapshot = { block_number: 7n, block_hash: random.hex(32) as Hash, block_secs: 1_767_312_000n };
  const day = await buildDay({
    format: FORMAT_2, project, epoch, revision: 0, dailyQuota: 10n ** 25n, terms, snapshot, closed, licenses, before: FIRST_DAY,
  });
  const place: Place = {
    name: 'memory',
    open: async (_, __, file) => (file === 'bundle.json' ? [day.bundleJson] : file === UPTIME.file ? writeTable(UPTIME, rows()) : undefined),
  };
  const facts: DayFacts = {
    project,
    posted: {
      day: dayOf(epoch), commit: day.commit, commitHash: day.commitHash, activatesAt: 0n, blockNumber: 9n,
      transaction: random.hex(32) as Hash,
    },
    postedSecs: async () => known(1_767_312_100n),
    snapshot: async () => known(snapshot),
    receiptKey: async () => known([{ from: 0n, until: 1n << 63n }]),
    listed: async () => known(true),
    quotas: async () => known([10n ** 25n]),
    uncounted: () => undefined,
    owned: ({ tokenId }) => ({ holder: holders[Number(tokenId)] as Address, renter: zero }),
    doubtful: async () => new Map(),
  };
  const [started, used] = [performance.now(), process.cpuUsage()];
  const outcome = await verifyDay(facts, new Places([place]), known(FIRST_DAY));
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(used);
  const busy = (user + system) / 1e6;
  assert.equal(outcome.report.verdict, 'holds', JSON.stringify(outcome.findings));
  assert.equal(outcome.report.licenses, COUNT);
  const load = `load ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores`;
  console.log(`100,000 licenses: ${seconds.toFixed(1)} s, ${busy.toFixed(1)} s of processor time, ${load}`);
});
