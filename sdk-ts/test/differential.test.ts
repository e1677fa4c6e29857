/**
 * The same random days through this package and through the Rust auditor: what one builds the other accepts, and
 * where an owner lies both say so.
 *
 * NODESYS_DAYS says how many (30 by default, 200 in `scripts/test deep`), NODESYS_SEED which.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { createPublicClient, custom, http, type PublicClient } from 'viem';
import { foundry } from 'viem/chains';

import { auditProject, type AuditReport, NothingPosted, Places, reportText } from '../src/index.js';
import { folderPlace } from '../src/node/index.js';
import { type Lie, LIES } from './support/lies.js';
import { Random } from './support/random.js';
import { rustAudit, type RustReport } from './support/rust.js';
import { Story } from './support/story.js';

const COUNT = Number(process.env['NODESYS_DAYS'] ?? 30);
const SEED = Number(process.env['NODESYS_SEED'] ?? 1);

const UNREADABLE = new Set<Lie | undefined>(['terms hash', 'no hash']);

let story: Story;
let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nodesys-sdk-'));
  story = await Story.begin(join(folder, 'bundles'), new Random(SEED));
  const random = new Random(SEED + 1_000_000);
  for (let i = 0; i < COUNT; i += 1) {
    // The first lies in turn, so that each is told; then one day in four.
    const lie = i % 2 === 1 && i < 2 * LIES.length ? LIES[(i - 1) / 2] : random.oneIn(4) ? random.pick(LIES) : undefined;
    await story.tell(lie);
  }
  // So that the last snapshot is final.
  await story.devnet.mine(80);
});
after(() => {
  story?.devnet.stop();
  if (folder) rmSync(folder, { recursive: true });
});

const audit = (clients: PublicClient | PublicClient[] = story.devnet.client, more: { from?: string; to?: string } = {}) =>
  auditProject({
    clients,
    registry: story.devnet.registry,
    distributor: story.devnet.distributor,
    places: new Places([folderPlace(join(folder, 'bundles'))]),
    ...more,
  });

/** What both reports must say alike. */
function alike(ours: AuditReport, theirs: RustReport): void {
  const number = (value: bigint | undefined) => (value === undefined ? null : `${value}`);
  const days = ours.days.map((day) => ({
    day: day.day, verdict: day.verdict, commit_hash: day.commitHash, total: `${day.total}`, licenses: day.licenses,
    minutes: day.minutes, accounts: day.accounts, allocated: number(day.allocated), carry_out: number(day.carryOut),
    active: day.active,
  }));
  const rust = theirs.days.map(
    ({ day, verdict, commit_hash, total, licenses, minutes, accounts, allocated, carry_out, active }) =>
      ({ day, verdict, commit_hash, total, licenses, minutes, accounts, allocated, carry_out, active }),
  );
  assert.deepEqual(days, rust);
  assert.deepEqual(ours.revoked, theirs.revoked);
  assert.deepEqual(
    [ours.verdict, ours.claims, `${ours.paid}`, `${ours.activeTotal}`],
    [theirs.verdict, theirs.claims, theirs.paid, theirs.active_total],
  );
  const ourPlaces = new Set(ours.findings.map((one) => `${one.day} ${one.file} ${one.difference?.line}`));
  const theirPlaces = new Set(
    theirs.findings.map((one) => `${one.day} ${one.file ?? undefined} ${one.difference?.line}`),
  );
  assert.deepEqual(ourPlaces, theirPlaces);
}

test('the Rust auditor and this one say the same of every random day', async () => {
  const [ours, theirs] = [
    await audit(), await rustAudit(story.devnet.url, story.devnet.registry, join(folder, 'bundles'), folder),
  ];
  assert.equal(ours.days.length, COUNT);
  for (const [i, told] of story.days.entries()) {
    const of = (day: string) => ours.findings.filter((one) => one.day === day).map((one) => one.problem);
    const words = `${told.day} ${told.lie}: ${of(told.day)} ${reportText(ours)}`;
    // What a day leaves that cannot be read is not known: the next one is neither proven nor accused.
    const unsure = UNREADABLE.has(story.days[i - 1]?.lie);
    const verdict = ours.days[i]?.verdict;
    if (told.lie === undefined) assert.ok(verdict === 'holds' || (unsure && verdict === 'cannot_tell'), words);
    else assert.ok(verdict === 'does_not_hold' || (unsure && verdict === 'cannot_tell'), words);
  }
  alike(ours, theirs);
  const rules = new Set(story.days.map((day) => day.rule));
  const excused = story.days.filter((day) => day.excused > 0).length;
  const lies = new Set(story.days.map((day) => day.lie));
  const uncounted = story.days.reduce((sum, day) => sum + day.uncounted, 0);
  const formats = new Set(story.days.map((day) => day.format));
  console.log(`${COUNT} days: ${[...rules]} rules, ${excused} with excuses, ${ours.revoked.length} revoked, ${lies.size - 1} lies, ${uncounted} not counted`);
  if (COUNT < 30) return;
  assert.ok(formats.size === 2 && uncounted > COUNT);
  assert.ok(rules.size === 3 && excused > 0 && ours.revoked.length > 0 && lies.size === LIES.length + 1);
});

test('a range builds on the day before it, whatever the places', async () => {
  const [from, to] = [story.days[3]?.day as string, story.days[5]?.day as string];
  const ours = await audit(undefined, { from, to });
  alike(ours, await rustAudit(story.devnet.url, story.devnet.registry, join(folder, 'bundles'), folder, ['--from', from, '--to', to]));
  await assert.rejects(audit(undefined, { from: '2030-01-01' }), NothingPosted);
});

test('of several RPCs most must agree; one that loses logs or is silent accuses nobody', async () => {
  const one = story.devnet.client;
  const altered = (change: (method: string, answer: unknown) => unknown) => {
    const transport = custom({
      async request({ method, params }: { method: string; params: unknown }) {
        return change(method, await one.request({ method, params } as Parameters<typeof one.request>[0]));
      },
    });
    return createPublicClient({ chain: foundry, transport, cacheTime: 0 }) as PublicClient;
  };
  // The registry's few logs stay, or the project itself would be unknown.
  const pruned = altered((method, answer) =>
    method === 'eth_getLogs' && (answer as unknown[]).length > 8 ? (answer as unknown[]).slice(2) : answer);
  const silent = createPublicClient({ chain: foundry, transport: http('http://127.0.0.1:9', { retryCount: 0 }) }) as PublicClient;
  const to = story.days[2]?.day as string;
  const alone = await audit(pruned, { to });
  assert.ok(alone.doubts.length > 0);
  const honest = story.days.slice(0, 3).filter((day) => day.lie === undefined).map((day) => day.day);
  for (const day of alone.days) if (honest.includes(day.day)) assert.notEqual(day.verdict, 'does_not_hold', day.day);
  const most = await audit([pruned, one, one], { to });
  assert.equal(most.rpcs, 3);
  assert.deepEqual(most.days, (await audit(one, { to })).days);
  assert.deepEqual((await audit([silent, one, one], { to })).days, most.days);
  await assert.rejects(audit([pruned, one], { to }), /no answer in which most of them agree/);
});
