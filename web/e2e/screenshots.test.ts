/**
 * Pictures of the pages that the documents show, in NODESYS_SCREENSHOTS or build/screenshots.
 *
 * `npm --prefix web run screenshots` makes those in docs/dashboard anew, over a running demo.
 */

import assert from 'node:assert/strict';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import type { Browser } from 'playwright-core';

import { api, endpoints, launch, Visitor } from './site.js';
import { person } from './wallet.js';

const folder = process.env['NODESYS_SCREENSHOTS'] ?? 'build/screenshots';
const MOST_BYTES = 150_000;

let browser: Browser;
let day: string;
before(async () => {
  browser = await launch();
  mkdirSync(folder, { recursive: true });
  const roots = await api<{ day: string; state: string }[]>(`/v1/roots/${endpoints.project}`);
  day = roots.find(({ state }) => state === 'active')?.day ?? assert.fail('the demo has no active day');
});
after(() => browser?.close());

async function pictured(name: string, path: string, height: number, act?: (visitor: Visitor) => Promise<void>): Promise<void> {
  const visitor = await Visitor.comes(browser, { viewport: { width: 1100, height }, colorScheme: 'light' }, [new URL(endpoints.rpc).origin]);
  await visitor.goes(path);
  await act?.(visitor);
  const file = join(folder, `${name}.png`);
  await visitor.page.screenshot({ path: file, animations: 'disabled', caret: 'hide' });
  const { size } = statSync(file);
  assert.ok(size > 10_000 && size < MOST_BYTES, `${file} has ${size} bytes`);
  await visitor.leaves();
}

test('a license, its minutes and its year', () => pictured('license', `/licenses/${endpoints.collections['alpha']}/1?day=${day}`, 1000));

test('why an account earned what it earned', async () => {
  const rewards = async (address: string) => (await api<{ claimed: string }[]>(`/v1/rewards/${address.toLowerCase()}`))[0];
  const people = Array.from({ length: 10 }, (_, i) => person(i).address);
  const found = await Promise.all(people.map(rewards));
  const account = people.find((_, i) => BigInt(found[i]?.claimed ?? 0) > 0n)?.toLowerCase();
  await pictured('rewards', `/accounts/${account}/rewards/${endpoints.project}`, 900, (visitor) => visitor.page.waitForSelector('.sum li').then(() => undefined));
});

test('a day, verified here', () =>
  pictured('day', `/projects/${endpoints.project}/days/${day}`, 430, async ({ page }) => {
    await page.fill('#verify input', endpoints.rpc);
    await page.click('#verify form button');
    await page.waitForSelector('.verdict-good');
    await page.evaluate(() => scrollTo(0, (document.querySelector('#verify form')?.getBoundingClientRect().top ?? 0) + scrollY - 9));
  }));
