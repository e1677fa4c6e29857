/** An operator's fleet in Chromium: a few nodes of the story, and ten thousand rows of Postgres. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Browser } from 'playwright-core';

import { execute } from './database.js';
import { api, endpoints, launch, Visitor } from './site.js';

interface Page { rows: { node_key: string; state: string; license: object | null }[]; next: string | null }
const ALPHA = endpoints.collections['alpha'] ?? '';
const LARGE = `0x${'fe'.repeat(20)}`;
let browser: Browser;
let operator: string;
before(async () => {
  browser = await launch();
  const leases = await api<{ node_key: string }>(`/v1/leases/${await hashOf()}`);
  operator = (await api<{ authorization: { operator: string } }>(`/v1/nodes/${leases.node_key}`)).authorization.operator;
});
after(async () => {
  await browser?.close();
  await execute(endpoints.database, ...REMOVE);
});

async function hashOf(): Promise<string> {
  const visitor = await Visitor.comes(browser);
  await visitor.goes(`/licenses/${ALPHA}/1`);
  const node = (await visitor.page.getAttribute('a[href^="/nodes/"]', 'href'))?.split('/')[2] ?? '';
  await visitor.leaves();
  return (await api<{ leases: { license_hash: string }[] }>(`/v1/nodes/${node}`)).leases[0]?.license_hash ?? '';
}

/** Nodes that run nothing, so that the network goes on as it was. */
const INSERT = [
  `insert into node (node_key, operator, nonce, not_after_secs, operator_signature, node_signature, authorized_at)
   select decode('fe' || lpad(to_hex(i), 38, '0'), 'hex'), decode(repeat('fe', 20), 'hex'), decode(lpad('1', 64, '0'), 'hex'),
          case when i % 10 = 0 then 1 else 4000000000 end, '', decode(repeat('00', 65), 'hex'), 0
   from generate_series(1, 10000) i`,
  `update node set revoked_at = 1 where operator = decode(repeat('fe', 20), 'hex') and idx % 7 = 0`,
];
const REMOVE = [`delete from node where operator = decode(repeat('fe', 20), 'hex')`];

test("an operator's nodes, linked from the account, with one honest line", async () => {
  const visitor = await Visitor.comes(browser);
  await visitor.goes(`/accounts/${operator}`);
  await visitor.page.click(`a[href="/operators/${operator}"]`);
  await visitor.page.waitForSelector('.grid tbody tr');
  const { rows, next } = await api<Page>(`/v1/operators/${operator}`);
  assert.equal(next, null);
  assert.equal(await visitor.page.locator('.grid tbody tr').count(), rows.length);
  assert.match(await visitor.text('.summary'), /earns? (?:nothing )?now/);
  assert.match(await visitor.text('.grid'), /Minutes today[^]*alpha/);
  await visitor.leaves();
});

test('ten thousand rows: filtered, sorted, scrolled, by keyboard; the link shows the same', async () => {
  await execute(endpoints.database, ...REMOVE, ...INSERT);
  const visitor = await Visitor.comes(browser, { viewport: { width: 1440, height: 900 } });
  const { page } = visitor;
  await visitor.goes(`/operators/${LARGE}`);
  await page.waitForFunction(() => /nodes earn nothing now/.test(document.querySelector('.summary')?.textContent ?? ''));
  assert.match(await visitor.text('.summary'), /^8,57\d of 8,57\d nodes earn nothing now: [\d,]+ have no license, [\d,]+ have authorisations that ended\. 1,42\d revoked/);
  assert.equal(await page.getAttribute('.grid table', 'aria-rowcount'), '10001');
  assert.ok((await page.locator('.grid tbody tr').count()) < 60, 'only rows in sight are drawn');
  assert.deepEqual(await visitor.barriers(), []);

  // The time between frames while it scrolls to the end and back.
  const frames = await page.evaluate(async () => {
    const box = document.querySelector('.grid') as HTMLElement;
    const took: number[] = [];
    let last = await new Promise<number>(requestAnimationFrame);
    const [steps, far] = [120, box.scrollHeight - box.clientHeight];
    for (let i = 1; i <= steps; i += 1) {
      box.scrollTop = far * (1 - Math.abs(1 - (2 * i) / steps));
      const now = await new Promise<number>(requestAnimationFrame);
      took.push(now - last);
      last = now;
    }
    return took.toSorted((a, b) => a - b);
  });
  const at = (part: number) => frames[Math.floor(frames.length * part)] ?? 0;
  console.log(`web.fleet_frame_millis{rows="10000",part="median"} ${at(0.5).toFixed(1)}`);
  console.log(`web.fleet_frame_millis{rows="10000",part="p95"} ${at(0.95).toFixed(1)}`);

  await page.focus('.grid');
  await page.keyboard.press('End');
  await page.waitForFunction(() => document.querySelector('.grid tr[aria-rowindex="10001"]') !== null);
  await page.click('.chips button:has-text("expired")');
  await page.fill('.filters input[type=search]', '3e8');
  await page.waitForFunction(() => (document.querySelector('.grid table')?.getAttribute('aria-rowcount') ?? '') < '9');
  const shown = async () => (await page.locator('.grid tbody tr td:nth-child(2)').allInnerTexts()).join();
  const before = await shown();
  assert.match(before, /3e8/i);
  await page.click('.grid th button:has-text("Node")');
  await page.click('.grid th button:has-text("Node")');
  assert.equal(await page.getAttribute('.grid th[aria-sort]', 'aria-sort'), 'descending');
  await page.click('.choose summary');
  await page.click('.choose label:has-text("Authorised until")');
  await page.waitForSelector('.grid th:has-text("Authorised until")');
  assert.deepEqual(await visitor.barriers(), []);
  const link = page.url();
  const whole = await visitor.text('.grid');
  const other = await Visitor.comes(browser, { viewport: { width: 360, height: 780 }, colorScheme: 'dark' });
  await other.page.goto(link);
  await other.page.waitForFunction(() => / of 10,000 rows/.test(document.querySelector('.grid')?.getAttribute('aria-label') ?? ''));
  assert.equal((await other.text('.grid')).replaceAll(/\s+/g, ' '), whole.replaceAll(/\s+/g, ' '));
  assert.deepEqual(await other.barriers(), []);
  assert.ok((await other.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
  await other.leaves();
  await visitor.leaves();
});

test('a fleet that cannot be read anew stays, and says how old it is', async () => {
  const visitor = await Visitor.comes(browser);
  const { page } = visitor;
  await page.clock.install();
  await visitor.goes(`/operators/${operator}`);
  await page.waitForSelector('.grid tbody tr');
  const rows = await page.locator('.grid tbody tr').count();
  await page.route('**/v1/operators/**', (route) => route.abort());
  await page.clock.runFor(200_000);
  await page.waitForSelector('.tools.old');
  assert.match(await visitor.text('.tools.old'), /Old: read \d\d:\d\d:\d\d UTC, 3 min ago/);
  assert.equal(await page.locator('.grid tbody tr').count(), rows);
  await visitor.leaves();
});
