/** A day recomputed in Chromium, in a worker: the three verdicts and their reasons. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Browser, Route } from 'playwright-core';

import { api, endpoints, launch, Visitor } from './site.js';

let browser: Browser;
let days: string[];
let day: string;
let snapshot: string;
before(async () => {
  browser = await launch();
  const roots = await api<{ day: string; state: string }[]>(`/v1/roots/${endpoints.project}`);
  days = roots.filter(({ state }) => state === 'active').map((one) => one.day);
  day = days[0] ?? assert.fail('the demo has no active day');
  const bundle = await api<{ snapshot: { block_number: string } }>(`/v1/bundles/${endpoints.distributor}/${day}/bundle.json`);
  snapshot = `0x${BigInt(bundle.snapshot.block_number).toString(16)}`;
});
after(() => browser?.close());

/** A visitor on the day's page who has it verified, where the RPC's answers may be changed. */
async function verifies(rpc?: (route: Route) => Promise<void>, copy?: (route: Route) => Promise<void>, which = day): Promise<Visitor> {
  const visitor = await Visitor.comes(browser, {}, [new URL(endpoints.rpc).origin]);
  const { context, page } = visitor;
  if (rpc !== undefined) await context.route(`${new URL(endpoints.rpc).origin}/**`, rpc);
  if (copy !== undefined) await context.route('**/v1/bundles/**/uptime.csv', copy);
  await visitor.goes(`/projects/${endpoints.project}/days/${which}`);
  await page.fill('#verify input', endpoints.rpc);
  await page.click('#verify form button');
  return visitor;
}

const answered = async (route: Route): Promise<{ result?: { number?: string; hash?: string } }> => (await route.fetch()).json();

test('every day holds, step by step, and nothing but files and chain is asked', async () => {
  for (const which of days) {
    const visitor = await verifies(undefined, undefined, which);
    await visitor.page.waitForSelector('.verdict-good');
    assert.match(await visitor.text('.verdict'), /The day holds[^]*recomputed in this browser/);
    const steps = await visitor.page.locator('.checks li').allInnerTexts();
    assert.equal(steps.length, 12);
    for (const step of steps) assert.match(step, /^\W*holds\b/, step);
    assert.deepEqual(await visitor.barriers(), []);
    await visitor.leaves();
  }
  assert.ok(days.length > 1, 'the second day builds on the first');
});

test('an altered copy proves nothing, and is named', async () => {
  const visitor = await verifies(undefined, async (route) => {
    const body = (await (await route.fetch()).text()).replace(/,1440,/, ',1439,');
    await route.fulfill({ body, contentType: 'text/csv' });
  });
  await visitor.page.waitForSelector('.verdict-wait');
  assert.match(await visitor.text('.verdict'), /This cannot be told[^]*uptime\.csv/);
  assert.match(await visitor.text('#verify'), /uptime\.csv: no place gave it as it was committed/);
  await visitor.leaves();
});

test('what the chain contradicts does not hold, and place and value are shown', async () => {
  const visitor = await verifies(async (route) => {
    const answer = await answered(route);
    if (answer.result?.number === snapshot) answer.result.hash = `0x${'5'.repeat(64)}`;
    await route.fulfill({ json: answer });
  });
  await visitor.page.waitForSelector('.verdict-bad');
  assert.match(await visitor.text('.verdict'), /does not hold[^]*bundle\.json line 1, \/snapshot\/block_hash: given 0x[^]*computed 0x5555/);
  const steps = await visitor.page.locator('.checks li').allInnerTexts();
  assert.equal(steps.filter((step) => /does not hold/.test(step)).length, 1);
  assert.deepEqual(await visitor.barriers(), []);
  await visitor.leaves();
});

test('an RPC of another chain, or one that is silent, decides nothing', async () => {
  const other = await verifies(async (route) => {
    const asked = route.request().postDataJSON() as { method: string; id: number };
    if (asked.method === 'eth_chainId') await route.fulfill({ json: { jsonrpc: '2.0', id: asked.id, result: '0x1' } });
    else await route.continue();
  });
  await other.page.waitForSelector('.verdict-wait');
  assert.match(await other.text('.verdict'), /of chain 1, and the project is on chain 31337/);
  await other.leaves();

  const silent = await verifies(() => new Promise(() => undefined));
  await silent.page.waitForSelector('#verify progress');
  assert.match(await silent.text('#verify'), /Reading the project.s history/);
  // Stopped, the worker is gone, and the page asks again.
  await silent.page.click('text=Stop');
  await silent.page.waitForSelector('#verify progress', { state: 'detached' });
  await silent.context.unroute(`${new URL(endpoints.rpc).origin}/**`);
  await silent.page.click('#verify form button');
  await silent.page.waitForSelector('.verdict-good');
  await silent.leaves();
});
