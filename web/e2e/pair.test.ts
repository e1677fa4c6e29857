/** The page that `nodesys pair` links to, with the program itself: one signs in the browser, the other goes on. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Browser, BrowserContextOptions } from 'playwright-core';

import { Program, Replica } from './pairing.js';
import { api, launch, Visitor } from './site.js';
import { person, TestWallet } from './wallet.js';

const ME = person(9);
const OTHER = person(8);
/** The backend takes ten codes of an account at once, so who types many has an account of their own. */
const [CLUMSY, PATIENT] = [person(7), person(6)];
let browser: Browser;
let replica: Replica;
before(async () => {
  browser = await launch();
  replica = await Replica.starts();
});
after(async () => {
  await browser?.close();
  await replica?.ends();
});

class Operator {
  private constructor(readonly visitor: Visitor, readonly wallet: TestWallet) {}

  /** Opens a link, with a wallet in the browser. */
  static async opens(link: string, options: BrowserContextOptions = {}, account = ME): Promise<Operator> {
    const visitor = await Visitor.comes(browser, options, [replica.url]);
    const wallet = new TestWallet(visitor.page, account);
    await wallet.moveIn();
    await visitor.page.goto(link);
    await visitor.settles();
    return new Operator(visitor, wallet);
  }

  get page() { return this.visitor.page; }

  async sees(words: RegExp): Promise<void> {
    await this.page.waitForFunction(({ source, flags }) => new RegExp(source, flags).test(document.querySelector('main')?.innerText ?? ''), { source: words.source, flags: words.flags })
      .catch(async (error: unknown) => assert.fail(`no ${words} in: ${await this.visitor.text()}\n${String(error)}`));
  }

  async connects(): Promise<void> {
    await this.page.click('text=Connect a wallet');
    await this.page.click('.wallets button');
  }

  async signsIn(): Promise<void> {
    await this.connects();
    await this.page.click('button:has-text("Sign in with Test wallet")');
    await this.page.waitForSelector('.code-form input');
  }

  async types(code: string): Promise<void> {
    await this.page.fill('.code-form input', code);
    await this.page.keyboard.press('Enter');
  }

  /** Nothing is cut off, and nobody is kept out. */
  async isWellMade(): Promise<void> {
    assert.ok((await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
    assert.deepEqual(await this.visitor.barriers(), []);
  }

  leaves(): Promise<void> { return this.visitor.leaves(); }
}

/** Another code than this one. */
const other = (code: string) => code.replaceAll(/[A-Z]/g, (letter) => (letter === 'B' ? 'C' : 'B'));

for (const [width, colorScheme] of [[1440, 'light'], [360, 'dark']] as const) {
  test(`a node is paired, at ${width}: a wrong code, a refusal, then the program ends well`, async () => {
    const name = '<b>rack</b> 7';
    const program = new Program(replica.url, name);
    const { link, code } = await program.tells('open');
    assert.ok(!link.includes(code.slice(0, 4)), 'the code is apart from the link');
    const operator = await Operator.opens(link, { viewport: { width, height: 800 }, colorScheme });
    const { page, wallet } = operator;
    assert.equal(wallet.asked.length, 0, 'no wallet is asked before the visitor wants it');
    await operator.isWellMade();

    await operator.connects();
    await operator.sees(/Sign in with Test wallet/);
    await operator.isWellMade();
    wallet.mood = 'refusing';
    await page.click('button:has-text("Sign in with Test wallet")');
    await operator.sees(/You refused it in the wallet\. Nothing was signed/);
    wallet.mood = 'willing';
    await page.click('button:has-text("Sign in with Test wallet")');
    await page.waitForSelector('.code-form input:focus');

    await operator.types('WDJB-MJHA');
    await operator.sees(/“A” is in no code/);
    await operator.types(other(code));
    await operator.sees(/not this machine’s code\. 4 tries are left/);
    await operator.isWellMade();
    await operator.types(code.toLowerCase().replace('-', ' '));
    await page.waitForSelector('.three');
    const told = await program.tells('compare');
    assert.equal((await page.locator('.three code').allInnerTexts()).join('-'), told.words);
    assert.equal(told.operator.toLowerCase(), ME.address.toLowerCase());
    assert.match((await page.innerText('.machine')).replaceAll(/[“”"]/g, ''), /^<b>rack<\/b> 7$/);
    await operator.isWellMade();
    assert.ok(!wallet.asked.includes('eth_signTypedData_v4'), 'the wallet is opened after the words were compared');

    wallet.mood = 'refusing';
    await page.click('text=They are the same: sign');
    await operator.sees(/You refused it in the wallet\. Nothing was signed/);
    wallet.mood = 'willing';
    await page.click('text=They are the same: sign');
    const { node } = await program.tells('done');
    assert.equal(await program.exit(), 0, program.said);
    await operator.sees(/The node is paired/);
    await operator.isWellMade();
    const { authorization } = await api<{ authorization: { operator: string } }>(`/v1/nodes/${node.authorization.node_key}`);
    assert.equal(authorization.operator.toLowerCase(), ME.address.toLowerCase());

    // The login goes on; the link has served.
    await page.goto(link);
    await operator.connects();
    await operator.types(code);
    await operator.sees(/was signed before[^]*The node is paired/);
    await page.click('text=Sign out');
    await page.waitForSelector('.signed-in', { state: 'detached' });
    assert.equal((await operator.visitor.context.request.get(`${replica.url}/v1/login`)).status(), 401);
    await operator.leaves();
    await program.leaves();
  });
}

test('five wrong codes, an unknown link, half a link, and a login that is off', async () => {
  const program = new Program(replica.url, 'rack');
  const { link, code } = await program.tells('open');
  const operator = await Operator.opens(link, {}, CLUMSY);
  await operator.signsIn();
  for (const left of [/4 tries are left/, /3 tries are left/, /2 tries are left/, /One try is left/, /Too many wrong codes/]) {
    await operator.types(other(code));
    await operator.sees(left);
  }
  await operator.isWellMade();
  await operator.page.goto(`${replica.url}/pair/${'0'.repeat(32)}`);
  await operator.connects();
  await operator.types(code);
  await operator.sees(/This pairing is over, or never was/);
  await operator.page.goto(link.slice(0, -1));
  await operator.sees(/The link is not whole/);
  const off = { type: 'urn:nodesys:problem:login_off', title: 'This backend has no login', status: 404, detail: 'no --public-url', code: 'login_off' };
  await operator.page.route('**/v1/login', (route) => route.fulfill({ status: 404, contentType: 'application/problem+json', body: JSON.stringify(off) }));
  await operator.page.goto(link);
  await operator.sees(/Nobody can sign in at this backend/);
  await operator.isWellMade();
  await operator.leaves();
  await program.leaves();
});

test('other words, another account, and another chain: nothing is signed', async () => {
  const program = new Program(replica.url, '');
  const { link, code } = await program.tells('open');
  const operator = await Operator.opens(link);
  const { page, wallet } = operator;
  wallet.chainId = 1;
  await operator.connects();
  await operator.sees(/on chain 1, and this network is on chain 31337/);
  await page.click('text=Change the chain');
  await page.click('button:has-text("Sign in with Test wallet")');
  await operator.types(code);
  await operator.sees(/it gave no name/);
  wallet.chainId = 1;
  await page.click('text=They are the same: sign');
  await operator.sees(/on chain 1, and this network is on chain 31337/);
  await page.click('text=They differ');
  await operator.sees(/nothing was signed/);
  await operator.isWellMade();

  const stranger = await Operator.opens(link, {}, OTHER);
  await stranger.signsIn();
  await stranger.types(code);
  await stranger.sees(/Another account has typed this code/);
  await stranger.page.click('text=Use another account');
  await stranger.page.click('.wallets button');
  await stranger.page.waitForSelector('.code-form input');
  // Chosen in the wallet: who signed in before is no longer who signs.
  await stranger.wallet.becomes(ME);
  await stranger.sees(/signed in as[^]*which ends with this/);
  await stranger.page.click('button:has-text("Sign in with Test wallet")');
  await stranger.types(code);
  await stranger.page.waitForSelector('.three');
  for (const one of [operator, stranger]) {
    assert.ok(!one.wallet.asked.includes('eth_signTypedData_v4'));
    await one.leaves();
  }
  await program.leaves();
});

test('a lost prompt, a login that has ended, and a backend that is away', async () => {
  const program = new Program(replica.url, 'rack');
  const { link, code } = await program.tells('open');
  const operator = await Operator.opens(link, {}, PATIENT);
  const { page, wallet } = operator;
  await operator.connects();
  await page.waitForSelector('text=Sign in with Test wallet');
  await page.clock.install();
  wallet.mood = 'locked';
  await page.click('button:has-text("Sign in with Test wallet")');
  await operator.sees(/asks you\..*If it is locked, unlock it/);
  await page.clock.runFor(21_000);
  await operator.sees(/has not answered for 20 seconds/);
  await operator.isWellMade();
  await page.click('button:has-text("Cancel")');
  await operator.sees(/Cancelled here/);
  wallet.mood = 'willing';

  await page.click('button:has-text("Sign in with Test wallet")');
  await page.waitForSelector('.code-form input');

  await operator.visitor.context.clearCookies();
  await operator.types(code);
  await operator.sees(/Your login has ended\. Sign in again/);
  await page.click('button:has-text("Sign in with Test wallet")');
  await page.waitForSelector('.code-form input');
  assert.equal(await page.inputValue('.code-form input'), code, 'what was typed is kept');

  await page.route('**/v1/pairings/**', (route) => route.abort());
  await page.keyboard.press('Enter');
  await operator.sees(/The backend does not answer\. Nothing is lost/);
  await page.unroute('**/v1/pairings/**');
  await operator.types(code);
  await page.waitForSelector('.three');
  await page.route('**/signature', (route) => route.abort());
  await page.click('text=They are the same: sign');
  await operator.sees(/The backend does not answer\. Nothing is lost/);
  await page.unroute('**/signature');
  await page.click('text=Send the signature again');
  await program.tells('done');
  assert.equal(await program.exit(), 0);
  assert.equal(wallet.asked.filter((one) => one === 'eth_signTypedData_v4').length, 1, 'the wallet is asked once');
  await operator.leaves();
  await program.leaves();
});
