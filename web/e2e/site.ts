/** The site in a real browser: what every test of pages starts from. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

export interface Endpoints {
  rpc: string; backend: string; database: string; registry: string; distributor: string; token: string; project: string;
  collections: Record<string, string>;
}

export const file = process.env['NODESYS_ENDPOINTS'] ?? '../target/demo/endpoints.json';
if (!existsSync(file)) throw new Error(`no ${file}: run scripts/demo --serve, or name its endpoints.json in NODESYS_ENDPOINTS`);
export const endpoints = JSON.parse(readFileSync(file, 'utf8')) as Endpoints;
export const site = process.env['NODESYS_SITE'] ?? endpoints.backend;

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
interface Violation { id: string; help: string; nodes: { html: string; failureSummary: string }[] }

const found = [process.env['NODESYS_CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  .find((path) => path !== undefined && existsSync(path));

export async function launch(): Promise<Browser> {
  if (found === undefined) throw new Error('no Chromium: scripts/setup --web installs it, or name it in NODESYS_CHROMIUM');
  // The tests' own pages only; a container has no user namespaces for its sandbox.
  return chromium.launch({ executablePath: found, args: ['--no-sandbox'] });
}

export async function api<T>(path: string): Promise<T> {
  const response = await fetch(endpoints.backend + path);
  assert.equal(response.status, 200, path);
  return (await response.json()) as T;
}

/** A visitor, and what their browser complained about. */
export class Visitor {
  readonly complaints: string[] = [];
  readonly strangers: string[] = [];

  private constructor(readonly context: BrowserContext, readonly page: Page, private readonly allowed: readonly string[]) {}

  static async comes(browser: Browser, options: BrowserContextOptions = {}, allowed: readonly string[] = []): Promise<Visitor> {
    const context = await browser.newContext(options);
    const visitor = new Visitor(context, await context.newPage(), [site, ...allowed]);
    visitor.page.setDefaultTimeout(45_000);
    visitor.page.on('pageerror', (error) => visitor.complaints.push(error.message));
    visitor.page.on('dialog', (dialog) => {
      visitor.complaints.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    visitor.page.on('console', (message) => {
      // A look-up asks what an address is, and "not found" is an answer; so is "not signed in", or "not this code".
      if (message.type() === 'error' && !/status of 40[1349]|ERR_FAILED|ERR_INTERNET/.test(message.text())) visitor.complaints.push(message.text());
    });
    context.on('request', (request) => {
      const url = request.url();
      if (!/^(?:data|blob):/.test(url) && !visitor.allowed.some((one) => url.startsWith(one))) visitor.strangers.push(url);
    });
    return visitor;
  }

  async goes(path: string): Promise<void> {
    await this.page.goto(site + path);
    await this.settles();
  }

  /** Until nothing loads any more. */
  async settles(): Promise<void> {
    await this.page.waitForFunction(() => document.querySelector('h1') !== null && document.querySelector('.loading') === null);
  }

  text(selector = 'main'): Promise<string> {
    return this.page.innerText(selector);
  }

  /** What keeps people out of the page as it is now, by axe. */
  async barriers(): Promise<string[]> {
    // The policy lets no page load it, so it comes by the debugger's way.
    await this.page.evaluate(axe);
    const violations = await this.page.evaluate(async () => {
      const run = (globalThis as unknown as { axe: { run(options: object): Promise<{ violations: Violation[] }> } }).axe;
      const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
      return (await run.run({ runOnly: tags })).violations;
    });
    const told = (one: Violation['nodes'][number]) => `  ${one.html}\n  ${one.failureSummary}`;
    return violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(told).join('\n')}`);
  }

  async leaves(): Promise<void> {
    await this.context.close();
    assert.deepEqual(this.complaints, [], 'the browser complained');
    assert.deepEqual(this.strangers, [], 'somebody else was asked');
  }
}
