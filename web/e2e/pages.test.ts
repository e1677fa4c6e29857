/** Every page in Chromium over a running network: accessible, in its width, asking nobody else. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Browser } from 'playwright-core';

import { api, endpoints, launch, site, Visitor } from './site.js';

const ALPHA = endpoints.collections['alpha'] ?? '';
let browser: Browser;
let account: string;
let node: string;
let hash: string;
let day: string;
before(async () => {
  browser = await launch();
  const license = await api<{ holder: string }>(`/v1/licenses/${ALPHA}/1`);
  account = license.holder;
  const roots = await api<{ day: string }[]>(`/v1/roots/${endpoints.project}`);
  day = roots[0]?.day ?? '';
  const visitor = await Visitor.comes(browser);
  await visitor.goes(`/licenses/${ALPHA}/1`);
  const link = await visitor.page.getAttribute('a[href^="/nodes/"]', 'href');
  node = link?.split('/')[2] ?? '';
  await visitor.leaves();
  const leases = (await api<{ leases: { license_hash: string }[] }>(`/v1/nodes/${node}`)).leases;
  hash = leases[0]?.license_hash ?? '';
});
after(() => browser?.close());

const addresses = (): Record<string, string> => ({
  start: '/', project: `/projects/${endpoints.project}`, day: `/projects/${endpoints.project}/days/${day}`,
  license: `/licenses/${ALPHA}/1`, 'license, a day': `/licenses/${ALPHA}/1?day=${day}`, node: `/nodes/${node}`,
  account: `/accounts/${account}`, fleet: `/operators/${account}`, 'a fleet of nobody': `/operators/0x${'ab'.repeat(20)}`, rewards: `/accounts/${account}/rewards/${endpoints.project}`, lease: `/leases/${hash}`, status: '/status', pairing: `/pair/${'0'.repeat(32)}`, 'an account of nobody': `/accounts/0x${'ab'.repeat(20)}`,
  'no such project': '/projects/nobody', 'no such page': '/nowhere/at/all', 'a wrong checksum': '/accounts/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD',
});

for (const [width, colorScheme] of [[1440, 'light'], [360, 'dark']] as const) {
  test(`every page at ${width} in ${colorScheme} colours: axe finds nothing, nothing is cut off`, async () => {
    const visitor = await Visitor.comes(browser, { viewport: { width, height: 800 }, colorScheme });
    for (const [name, path] of Object.entries(addresses())) {
      await visitor.goes(path);
      const wider = await visitor.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wider <= 0, `${name} is ${wider} wider than the window`);
      assert.deepEqual(await visitor.barriers(), [], `${name} (${path})`);
      assert.equal(await visitor.page.locator('h1').count(), 1, name);
    }
    await visitor.leaves();
  });
}

test('the policy is strict, files are for ever, and what is no route says so', async () => {
  const page = await fetch(`${site}/projects/acme`, { headers: { accept: 'text/html' } });
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
  assert.doesNotMatch(policy, /unsafe/);
  const script = /src="(\/assets\/[^"]+)"/.exec(await page.text())?.[1] ?? '';
  const file = await fetch(site + script, { headers: { 'accept-encoding': 'br' } });
  assert.match(file.headers.get('cache-control') ?? '', /immutable/);
  assert.equal(file.headers.get('content-encoding'), 'br');
  const gone = await fetch(`${site}/v1/nothing`, { headers: { accept: 'text/html' } });
  assert.deepEqual([gone.status, gone.headers.get('content-type')], [404, 'application/problem+json']);
});

test('the look-up leads to every kind of page, and tells a wrong checksum before it asks', async () => {
  const visitor = await Visitor.comes(browser);
  const { page } = visitor;
  const look = async (text: string) => {
    await page.goto(`${site}/`);
    await page.fill('main input', text);
    await page.keyboard.press('Enter');
  };
  for (const [text, path] of [
    [account, `/accounts/${account}`], [`${ALPHA}/1`, `/licenses/${ALPHA}/1`], [endpoints.project.toUpperCase(), `/projects/${endpoints.project}`],
    [hash, `/licenses/`], [node, `/accounts/${node}`],
  ] as const) {
    await look(text);
    await page.waitForURL((url) => url.pathname.startsWith(path));
    await visitor.settles();
  }
  assert.match(await visitor.text(), /key of a node/);
  for (const [text, problem] of [
    ['0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD', /checksum \(EIP-55\) is wrong/], ['0x1234', /4 hex digits/],
    ['<img src=x onerror=alert(1)>', /neither an address nor a name/],
  ] as const) {
    await look(text);
    assert.match(await visitor.text('[role=alert]'), problem);
    assert.equal(new URL(page.url()).pathname, '/');
  }
  await visitor.leaves();
});

test('one figure on every surface: the account page has what the API and the chain have', async () => {
  const [reward] = await api<{ active: string; claimed: string; cumulative: string }[]>(`/v1/rewards/${account}`);
  assert.ok(reward);
  const visitor = await Visitor.comes(browser);
  await visitor.goes(`/accounts/${account}`);
  const wei = async (name: string) => {
    const figure = visitor.page.locator('.reward .figure', { hasText: name }).first();
    return BigInt(/= (\d+) wei/.exec((await figure.locator('.amount').getAttribute('title')) ?? '')?.[1] ?? -1);
  };
  assert.equal(await wei('claimable now'), BigInt(reward.active) - BigInt(reward.claimed));
  assert.equal(await wei('claimed'), BigInt(reward.claimed));
  assert.equal(await wei('earned in all'), BigInt(reward.cumulative));
  await visitor.leaves();
});

test("a closed day's minutes and their gaps are those of the API", async () => {
  const { minutes } = await api<{ minutes: number }>(`/v1/licenses/${ALPHA}/1/uptime/${day}`);
  const visitor = await Visitor.comes(browser);
  await visitor.goes(`/licenses/${ALPHA}/1?day=${day}`);
  await visitor.page.waitForSelector('.strip');
  const text = await visitor.text();
  assert.ok(text.includes(`${minutes.toLocaleString('en')} of `), text);
  const label = (await visitor.page.getAttribute('.strip', 'aria-label')) ?? '';
  assert.ok(label.includes(`${minutes} up`), label);
  const gaps = await visitor.page.locator('.ranges li .number').allInnerTexts();
  const missing = gaps.reduce((sum, one) => sum + Number.parseInt(one, 10), 0);
  assert.equal(missing, 1440 - minutes);
  // The year by keyboard: one tab stop, arrows move, Enter shows the day.
  await visitor.page.focus('.heat button[tabindex="0"]');
  await visitor.page.keyboard.press('ArrowDown');
  await visitor.page.keyboard.press('Enter');
  await visitor.page.waitForURL((url) => url.searchParams.get('day') !== day);
  await visitor.leaves();
});

test('a year by its numbers, nothing yet before the project, and a cause for each missing minute', async () => {
  interface Days { days: { day: string; counts: { minutes: number; expected: number; excused: number } | null }[] }
  // A closed day is counted within a minute.
  const counted = async () => (await api<Days>(`/v1/licenses/${ALPHA}/1/uptime`)).days.find((one) => one.day === day)?.counts;
  const until = Date.now() + 90_000;
  let counts = await counted();
  while (counts == null && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    counts = await counted();
  }
  assert.ok(counts);
  const visitor = await Visitor.comes(browser);
  const { page } = visitor;
  await visitor.goes(`/licenses/${ALPHA}/1?day=${day}`);
  const label = (await page.getAttribute(`.heat button[data-day="${day}"]`, 'aria-label')) ?? '';
  const due = counts.expected - counts.excused;
  assert.ok(label.includes(`${counts.minutes.toLocaleString('en')} of ${due.toLocaleString('en')} minutes`), label);
  const cells = await page.locator('.heat button').evaluateAll((all) => all.map((one) => one.getAttribute('aria-label') ?? ''));
  assert.equal(cells.length, 365);
  const { first_day: firstDay } = await api<{ first_day: string }>(`/v1/projects/${endpoints.project}`);
  for (const cell of cells) assert.equal(cell.endsWith(': not yet'), cell.slice(0, 10) < firstDay, cell);
  // The day of the story on which the most is missing.
  const { days } = await api<Days>(`/v1/licenses/${ALPHA}/1/uptime?from=${firstDay}`);
  const worst = days.filter((one) => one.counts !== null).toSorted((a, b) => (a.counts?.minutes ?? 0) - (b.counts?.minutes ?? 0))[0]?.day ?? '';
  const { missing } = await api<{ missing: { from: number; to: number; cause: string }[] }>(`/v1/licenses/${ALPHA}/1/uptime/${worst}`);
  await visitor.goes(`/licenses/${ALPHA}/1?day=${worst}`);
  await page.waitForSelector('.strip');
  const told = await page.locator('.ranges li').allInnerTexts();
  const clock = (minute: number) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
  for (const { from, to, cause } of missing) {
    const row = told.find((one) => one.startsWith(`${clock(from)}–${clock(to)}`)) ?? '';
    assert.match(row, cause === 'excused' ? /excused/ : /down: (?:no (?:node had the lease|heartbeat)|the (?:node reported|lease was new))/, `${cause} ${from}: ${told.join(' | ')}`);
  }
  await visitor.leaves();
});

test("a project's badge: a picture that runs nothing, and the line that embeds it", async () => {
  const answer = await fetch(`${site}/v1/projects/${endpoints.project}/badge`);
  assert.equal(answer.headers.get('content-type'), 'image/svg+xml');
  assert.equal(answer.headers.get('content-security-policy'), "default-src 'none'; sandbox");
  assert.match(await answer.text(), /<title>[a-z0-9-]+: paid up to 2\d{3}-\d\d-\d\d/);
  const visitor = await Visitor.comes(browser);
  await visitor.goes('/status');
  await visitor.page.click('.embed summary');
  await visitor.page.waitForFunction(() => ((document.querySelector('.embed img') as HTMLImageElement | null)?.naturalWidth ?? 0) > 100);
  assert.match(await visitor.text('.embed code'), /<img src="http[^"]+\/badge"/);
  await visitor.leaves();
});

test('a license that counts for nobody says why', async () => {
  const visitor = await Visitor.comes(browser);
  await visitor.page.route(`**/v1/licenses/${ALPHA}/1`, async (route) => {
    const answer = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...answer, holder: null, uncounted: 'taken_from_another' } });
  });
  await visitor.goes(`/licenses/${ALPHA}/1`);
  assert.match(await visitor.text(), /counts for nobody: a log takes it from somebody[^]*none by its logs/);
  await visitor.leaves();
});

test('before the project began nothing was expected: not 100 %, not open', async () => {
  const visitor = await Visitor.comes(browser);
  for (const path of [`/licenses/${ALPHA}/1?day=2020-02-29`, `/projects/${endpoints.project}/days/2020-02-29`]) {
    await visitor.goes(path);
    const text = await visitor.text();
    assert.match(text, /had not begun/);
    assert.doesNotMatch(text, /is open/);
  }
  await visitor.goes(`/projects/${endpoints.project}/days/2026-02-30`);
  assert.match(await visitor.text(), /no day 2026-02-30/);
  await visitor.goes(`/projects/${endpoints.project}/days/2999-01-01`);
  assert.match(await visitor.text(), /has not begun/);
  await visitor.leaves();
});

test('markup in names, addresses and refusals stays text', async () => {
  const bad = '<img src=x onerror=alert(1)><script>alert(2)</script>';
  const visitor = await Visitor.comes(browser);
  const { page } = visitor;
  const inert = async () => {
    assert.equal(await page.locator('main img, main script, footer img').count(), 0);
  };
  for (const kind of ['projects', 'nodes', 'accounts', 'leases', 'licenses/0x', `projects/${endpoints.project}/days`]) {
    await visitor.goes(`/${kind}/${encodeURIComponent(bad)}`);
    await inert();
  }
  // A backend that turned hostile: its words are shown, never obeyed.
  await page.route('**/v1/network', async (route) => {
    const answer = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...answer, version: bad } });
  });
  await page.route('**/v1/projects', (route) =>
    route.fulfill({ json: [{ project: ALPHA, name: bad, owner: ALPHA, token: ALPHA, first_day: '2026-01-01' }] }));
  await page.route(`**/v1/projects/${endpoints.project}`, (route) => route.fulfill({
    status: 409, contentType: 'application/problem+json',
    body: JSON.stringify({ type: 'urn:x', title: bad, status: 409, detail: bad.repeat(500), code: 'x' }),
  }));
  await visitor.goes('/');
  assert.match(await visitor.text(), /not a name of 1 to 32/);
  await inert();
  await visitor.goes(`/projects/${endpoints.project}`);
  assert.match(await visitor.text(), /Could not read the project/);
  await inert();
  visitor.complaints.splice(0, visitor.complaints.length, ...visitor.complaints.filter((one) => !/status of 409/.test(one)));
  await visitor.leaves();
});

test('a backend that does not answer: the page says so, keeps what it has, and comes back', async () => {
  const visitor = await Visitor.comes(browser);
  const { page } = visitor;
  await visitor.goes(`/projects/${endpoints.project}`);
  const before = await visitor.text('.facts');
  await page.route('**/v1/**', (route) => route.abort());
  await page.waitForSelector('.stale', { timeout: 60_000 });
  assert.match(await visitor.text('.stale'), /does not answer.*it may be old/s);
  assert.equal(await visitor.text('.facts'), before);
  await page.unroute('**/v1/**');
  await page.waitForSelector('.stale', { state: 'detached', timeout: 60_000 });
  await visitor.leaves();

  const other = await Visitor.comes(browser);
  await other.page.route('**/v1/**', (route) => route.abort());
  await other.page.goto(`${site}/projects/${endpoints.project}`);
  await other.page.waitForSelector('.failed', { timeout: 30_000 });
  assert.match(await other.text(), /Nothing can be shown yet[^]*Could not read the project[^]*Try again/);
  await other.leaves();
});
