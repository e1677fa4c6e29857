/** Rewards in Chromium: why, proof, export and claim, against the chain itself. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import type { Browser } from 'playwright-core';
import { erc20Abi, type Hex } from 'viem';

import { distributorAbi } from '../../sdk-ts/src/chain/abi.js';
import { api, endpoints, launch, Visitor } from './site.js';
import { chain, person, TestWallet } from './wallet.js';

interface Reward { project: string; active: string; claimed: string; cumulative: string; day: string }
const distributor = endpoints.distributor as Hex;
const claimed = (account: Hex) => chain.readContract({ address: distributor, abi: distributorAbi, functionName: 'claimed', args: [account] });
const rewardsOf = async (account: string) => (await api<Reward[]>(`/v1/rewards/${account.toLowerCase()}`))[0];

let browser: Browser;
/** Somebody with something to claim, and somebody who has claimed. */
let owed: ReturnType<typeof person>;
let paid: ReturnType<typeof person>;
before(async () => {
  browser = await launch();
  const people = Array.from({ length: 10 }, (_, i) => person(i));
  const rewards = await Promise.all(people.map(({ address }) => rewardsOf(address)));
  const find = (wanted: (reward: Reward) => boolean) => people.find((_, i) => { const one = rewards[i]; return one !== undefined && wanted(one); });
  owed = find((one) => BigInt(one.active) > BigInt(one.claimed)) ?? assert.fail('nobody in the demo has anything to claim');
  paid = find((one) => BigInt(one.claimed) > 0n) ?? assert.fail('nobody in the demo has claimed');
});
after(() => browser?.close());

const pathOf = (account: string) => `/accounts/${account.toLowerCase()}/rewards/${endpoints.project}`;

test('why this number: each line is recomputed from the committed files, and ends at the committed sum', async () => {
  const reward = await rewardsOf(paid.address);
  assert.ok(reward);
  const visitor = await Visitor.comes(browser);
  await visitor.goes(pathOf(paid.address));
  const lines = visitor.page.locator('.sum li');
  await lines.first().waitFor();
  const wei = async (i: number) => BigInt(/= (\d+) wei/.exec((await lines.nth(i).locator('.amount').getAttribute('title')) ?? '')?.[1] ?? -1);
  assert.equal(await wei(4), BigInt(reward.cumulative));
  assert.equal((await wei(2)) + (await wei(3)), await wei(4));
  assert.match(await visitor.text(), /recomputed here from the committed files: the sums agree/);
  await visitor.leaves();
});

test('a tampered file is not believed', async () => {
  const visitor = await Visitor.comes(browser);
  await visitor.page.route('**/v1/bundles/**/rewards.csv', async (route) => {
    const body = (await (await route.fetch()).text()).replace(/\d(?=\n$)/, (digit) => `${(Number(digit) + 1) % 10}`);
    await route.fulfill({ body, contentType: 'text/csv' });
  });
  await visitor.goes(pathOf(paid.address));
  await visitor.page.waitForSelector('.failed');
  assert.match(await visitor.text('.failed'), /rewards\.csv of .* is not the committed file/);
  await visitor.leaves();
});

test('the proof and every payment are checked on chain, and the CSV equals the chain to the wei', async () => {
  const visitor = await Visitor.comes(browser, { acceptDownloads: true }, [new URL(endpoints.rpc).origin]);
  const { page } = visitor;
  await visitor.goes(pathOf(paid.address));
  await page.click('text=Name an RPC');
  for (const [bad, told] of [['nonsense', /no URL/], ['http://rpc.example.org', /Without TLS/], ['https://me:secret@rpc.example.org', /Leave user name/]] as const) {
    await page.fill('.rpc input', bad);
    await page.click('.rpc button');
    assert.match(await visitor.text('.rpc [role=alert]'), told);
  }
  await page.fill('.rpc input', endpoints.rpc);
  await page.click('.rpc button');
  await page.waitForSelector('.result');
  const text = await visitor.text('.result');
  assert.match(text, /The proof leads to a root that the contract has/);
  const symbol = await chain.readContract({ address: endpoints.token as Hex, abi: erc20Abi, functionName: 'symbol' });
  assert.ok(text.includes(symbol), text);
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('text=Export CSV')]);
  const [head = '', ...rows] = readFileSync(await download.path(), 'utf8').trimEnd().split('\r\n');
  const column = head.split(',').indexOf('amount_wei');
  const sum = rows.reduce((all, row) => all + BigInt(row.split(',')[column] ?? ''), 0n);
  assert.ok(rows.length > 0);
  assert.equal(sum, await claimed(paid.address));
  for (const row of rows) {
    const receipt = await chain.getTransactionReceipt({ hash: row.split(',').at(-1) as Hex });
    assert.equal(receipt.status, 'success');
    assert.equal(`${receipt.blockNumber}`, row.split(',')[1]);
  }
  await visitor.leaves();
});

test('an RPC of another chain, or one that does not answer, decides nothing', async () => {
  const visitor = await Visitor.comes(browser, {}, ['http://127.0.0.1']);
  const { page } = visitor;
  await visitor.goes(pathOf(paid.address));
  await page.click('text=Name an RPC');
  await page.route(endpoints.rpc, (route) => route.fulfill({ json: { jsonrpc: '2.0', id: 1, result: '0x1' } }));
  await page.fill('.rpc input', endpoints.rpc);
  await page.click('.rpc button');
  await page.waitForSelector('.failed');
  assert.match(await visitor.text('.failed'), /Nothing was decided[^]*chain 1, and the network is on chain 31337/);
  await page.unroute(endpoints.rpc);
  await page.route(endpoints.rpc, (route) => route.abort());
  await page.click('.rpc button');
  await page.waitForFunction(() => document.querySelector('.failed')?.textContent?.includes('Could not read the chain'));
  await visitor.leaves();
});

test('claim: refused, locked, on another chain, by another account, then done; the chain has paid', async () => {
  const before = await claimed(owed.address);
  const reward = await rewardsOf(owed.address);
  const visitor = await Visitor.comes(browser);
  const { page } = visitor;
  const wallet = new TestWallet(page, owed);
  const bad = '<img src=x onerror=alert(1)>';
  await wallet.moveIn(bad);
  await visitor.goes(pathOf(owed.address));
  assert.deepEqual(wallet.asked, [], 'no wallet is asked before the visitor wants it');
  await page.click('text=Claim with a wallet');
  const connect = page.locator('.wallets button').first();
  await connect.waitFor();
  assert.equal(await connect.innerText(), `Connect ${bad}`);
  assert.equal(await page.locator('main img').count(), 0);
  const told = (words: RegExp) => page.waitForFunction((source) => new RegExp(source).test(document.querySelector('.claim')?.textContent ?? ''), words.source);

  wallet.mood = 'refusing';
  await connect.click();
  await told(/You refused it in the wallet\. Nothing was sent/);

  wallet.mood = 'locked';
  await connect.click();
  await told(/asks you\..*If it is locked, unlock it/);
  await page.click('text=Cancel');
  await told(/Cancelled here/);

  wallet.mood = 'willing';
  wallet.chainId = 1;
  await connect.click();
  await told(/on chain 1, and the rewards are on chain 31337/);
  wallet.mood = 'refusing';
  await page.click('text=Change the chain');
  await told(/You refused/);
  wallet.mood = 'willing';
  await page.click('text=Change the chain');
  await told(/About [0-9]+ gas/);

  wallet.mood = 'refusing';
  await page.click('.claim button.main');
  await told(/You refused it in the wallet\. Nothing was sent/);
  assert.equal(await claimed(owed.address), before);

  wallet.mood = 'willing';
  await page.click('.claim button.main');
  await told(/Claimed /);
  assert.equal(await claimed(owed.address), BigInt(reward?.active ?? 0));
  await visitor.leaves();

  // Nothing is left, which the contract says; and another's wallet can do nothing here.
  for (const [who, words] of [[owed, /Everything under the newest active root is claimed/], [person(9), /Only that account can claim them/]] as const) {
    const again = await Visitor.comes(browser);
    const other = new TestWallet(again.page, who);
    await other.moveIn();
    await again.goes(pathOf(owed.address));
    await again.page.click('text=Claim with a wallet');
    await again.page.locator('.wallets button').first().click();
    await again.page.waitForFunction((source) => new RegExp(source).test(document.querySelector('.claim')?.textContent ?? ''), words.source);
    assert.ok(!other.asked.includes('eth_sendTransaction'));
    await again.leaves();
  }
});

test('without a wallet the page says what to do', async () => {
  const visitor = await Visitor.comes(browser);
  await visitor.goes(pathOf(paid.address));
  await visitor.page.click('text=Claim with a wallet');
  await visitor.page.waitForSelector('text=No wallet announces itself');
  await visitor.leaves();
});
