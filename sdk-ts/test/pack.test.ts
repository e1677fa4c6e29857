/** The packed package installs and runs in an empty project; the README's examples are what runs there. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import { privateKeyToAccount } from 'viem/accounts';

import { auditIn } from '../src/index.js';
import { threadPort } from '../src/node/index.js';
import { lower, TOKEN } from './support/devnet.js';
import { sdk } from './support/paths.js';
import { Random } from './support/random.js';
import { DELAY, HOLDING, Story } from './support/story.js';

const run = promisify(execFile);
const LICENCES = new Set(['MIT', 'Apache-2.0', 'MIT OR Apache-2.0', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD']);

let folder: string;
let story: Story;
let server: Server;
let environment: NodeJS.ProcessEnv;
let packed: string[];
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nodesys-sdk-'));
  const { stdout } = await run('npm', ['pack', '--silent', '--json', '--pack-destination', folder], { cwd: sdk('') });
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [{ filename: string; files: { path: string }[] }];
  packed = files.map((one) => one.path);
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', `./${filename}`];
  await run('npm', install, { cwd: folder });

  const bundles = join(folder, 'bundles');
  story = await Story.begin(bundles, new Random(5));
  for (let i = 0; i < 2; i += 1) await story.tell(undefined);
  await story.devnet.mineAt((await story.devnet.now()) + DELAY);
  await story.devnet.mine(80);
  const { registry, distributor, url } = story.devnet;
  server = createServer((request, response) => {
    const network = { chain_id: '31337', registry, receipt_key: registry, version: '0.1.0' };
    const known = request.url === '/v1/network';
    const problem = { type: 'urn:x', title: 'No', status: 404, detail: 'none', code: 'not_found' };
    response.writeHead(known ? 200 : 404, { 'content-type': known ? 'application/json' : 'application/problem+json' });
    response.end(JSON.stringify(known ? network : problem));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const backend = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const key = HOLDING.map((one) => one.getHdKey().privateKey).find((bytes) => {
    const account = lower(privateKeyToAccount(`0x${Buffer.from(bytes ?? []).toString('hex')}`).address);
    return readFileSync(join(bundles, distributor, story.days[1]?.day ?? '', 'rewards.csv'), 'utf8').includes(account);
  });
  environment = {
    ...process.env, RPC: url, REGISTRY: registry, DISTRIBUTOR: distributor, BUNDLES: bundles, MIRROR: backend,
    BACKEND: backend, PRIVATE_KEY: `0x${Buffer.from(key ?? []).toString('hex')}`,
  };
});
after(() => {
  server?.closeAllConnections();
  server?.close();
  story?.devnet.stop();
  if (folder) rmSync(folder, { recursive: true });
});

test('the package holds what it needs, and nothing else', () => {
  for (const path of packed) assert.match(path, /^(?:dist\/.*\.(?:js|d\.ts)|README\.md|package\.json|LICENSE-(?:MIT|APACHE))$/);
  for (const path of ['dist/index.js', 'dist/worker/browser.js', 'dist/node/worker.js', 'LICENSE-MIT']) assert.ok(packed.includes(path), path);
});

test('everything it depends on has a licence that fits', () => {
  const lock = JSON.parse(readFileSync(sdk('package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; license?: string; version: string }>;
  };
  const used = Object.entries(lock.packages).filter(([path, one]) => path !== '' && !one.dev);
  assert.ok(used.length > 5);
  for (const [path, { license }] of used) assert.ok(LICENCES.has(license ?? ''), `${path}: ${license}`);
  assert.ok(!JSON.stringify(lock).includes('resolved'), 'the lock file names no host');
});

const examples = [...readFileSync(sdk('README.md'), 'utf8').matchAll(/^```js\n(.*?)^```$/gms)].map((found) => found[1] as string);

test('each example of the README runs in the empty project', async () => {
  const expected = [
    /acme[^]*2026-01-0[12]: holds[^]*passed over[^]*\nholds\nbundle: holds/, /2026-01-01 holds\n2026-01-02 holds\nholds \d+n/,
    /\d+ wei to claim\ntransactions 1/, /^true$/m, /^31337n 0x[0-9a-f]{40}\nnot_found$/m,
  ];
  assert.equal(examples.length, expected.length);
  for (const [i, example] of examples.entries()) {
    const file = join(folder, `example-${i}.js`);
    writeFileSync(file, example);
    const { stdout } = await run(process.execPath, [file], { cwd: folder, env: environment });
    assert.match(stdout, expected[i] as RegExp, example);
  }
  assert.ok(TOKEN > 0n);
});

test('nothing that a browser loads needs Node', () => {
  const dist = join(folder, 'node_modules/nodesys-sdk/dist');
  const loaded = new Set<string>();
  const load = (file: string) => {
    if (loaded.has(file)) return;
    loaded.add(file);
    const text = readFileSync(file, 'utf8');
    for (const [, name = ''] of text.matchAll(/from '([^']+)'/g)) {
      assert.ok(!name.startsWith('node:'), `${file} imports ${name}`);
      if (name.startsWith('.')) load(join(file, '..', name));
      else assert.match(name, /^(?:viem|hash-wasm)/);
    }
    assert.doesNotMatch(text, /\b(?:Buffer|process)\b[.(]/, file);
  };
  load(join(dist, 'index.js'));
  load(join(dist, 'worker/browser.js'));
  assert.ok(loaded.size > 20);
  assert.ok(readdirSync(dist).includes('node'));
});

test("the browser's worker audits without Node's process", async () => {
  const entry = join(folder, 'node_modules/nodesys-sdk/dist/worker/browser.js');
  const code = `
    import { parentPort } from 'node:worker_threads';
    globalThis.postMessage = (message) => parentPort.postMessage(message);
    globalThis.addEventListener = (_, take) => parentPort.on('message', (data) => take({ data }));
    delete globalThis.process;
    await import(${JSON.stringify(`file://${entry}`)});
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  try {
    const job = {
      rpcs: [story.devnet.url], registry: story.devnet.registry, distributor: story.devnet.distributor,
      places: [{ kind: 'backend' as const, at: environment['BACKEND'] ?? '' }],
    };
    const steps: string[] = [];
    const report = await auditIn(threadPort(worker), job, undefined, (day, check) => steps.push(`${day} ${check}`));
    assert.deepEqual(steps.slice(0, 1), ['2026-01-01 bundle']);
    // Its only place has no files: it says so, and accuses nobody.
    assert.equal(report.verdict, 'cannot_tell');
    assert.match(report.doubts[0]?.problem ?? '', /no place gave it/);
    const folderJob = { ...job, places: [{ kind: 'folder' as const, at: folder }] };
    await assert.rejects(auditIn(threadPort(worker), folderJob), /a browser reads no folders/);
  } finally {
    await worker.terminate();
  }
});
