/** The client against a server that answers what a backend does, and what it never should. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';

import { ApiProblem, BadAnswer, Backend, findClaim, httpPlace, keccak256, known, NoAnswer, Places, proofHolds, RewardTree, verifyDay }
  from '../src/index.js';
import { SCHEMAS } from '../src/api/views.js';
import { parseTable } from '../src/formats/reader.js';
import { REWARDS } from '../src/formats/tables.js';
import { before as dayBefore, bundleOf, DAYS, factsOf, filesOf, postedOf, PROJECT } from './support/fixture.js';
import { repository } from './support/paths.js';

const openapi = JSON.parse(readFileSync(repository('crates/backend/openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, unknown>>;
  components: { schemas: Record<string, { properties?: Record<string, unknown>; required?: string[] }> };
};

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;
let handler: Handler = (_, response) => response.end();
let server: Server;
let url: string;
const asked: string[] = [];
before(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      asked.push(`${request.method} ${request.url}`);
      handler(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

function json(value: unknown): Handler {
  return (_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };
}

test('the parsers read what the OpenAPI file says', () => {
  for (const [name, parser] of Object.entries(SCHEMAS)) {
    const schema = openapi.components.schemas[name];
    assert.ok(schema?.properties, `there is no schema ${name}`);
    for (const field of parser.fields) assert.ok(Object.hasOwn(schema.properties, field), `${name} has no ${field}`);
    for (const field of schema.required ?? []) assert.ok((parser.fields as readonly string[]).includes(field), `${name}: ${field}`);
  }
});

test('every route the client asks is one of the OpenAPI file', async () => {
  handler = (_, response) => {
    response.statusCode = 418;
    response.end();
  };
  const backend = new Backend(`${url}/`);
  const [a, h] = [PROJECT, `0x${'1'.repeat(64)}` as const];
  const commit = postedOf(DAYS[0] as string).commit;
  const calls: (() => Promise<unknown>)[] = [
    () => backend.network(), () => backend.projects(), () => backend.project(a), () => backend.node(a), () => backend.fleet(a, '7.0'),
    () => backend.authorizeNode({ operator: a, nodeKey: a, notAfter: 1n, nonce: 2n }, '0x', '0x'),
    () => backend.revokeNode({ message: { operator: a, nodeKey: a, nonce: 2n }, signature: '0x' }),
    () => backend.lease(h), () => backend.license(a, 1n), () => backend.licenseDay(a, 1n, '2026-01-01'),
    () => backend.licenseDays(a, 1n, { from: '2026-01-01' }),
    () => backend.day('2026-01-01'), () => backend.uptime(a, '2026-01-01'), () => backend.closedUptime(a, '2026-01-01'),
    () => backend.putPoints(a, '2026-01-01', bundleOf(DAYS[0] as string).terms, '0x', new Uint8Array()),
    () => backend.commit(a, commit, '0x'), () => backend.commitOf(a, '2026-01-01'), () => backend.roots(a),
    () => backend.proof(a, a, '2026-01-01'), () => backend.rewards(a), () => backend.bundleFile(a, '2026-01-01', 'tree.json'),
  ];
  const routes = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => new RegExp(`^${method.toUpperCase()} ${path.replaceAll(/\{[^}]*\}/g, '[^/?]+')}$`)),
  );
  for (const call of calls) {
    asked.length = 0;
    await assert.rejects(call(), BadAnswer);
    const route = (asked[0] ?? '').split('?')[0] as string;
    assert.ok(routes.some((one) => one.test(route)), route);
  }
});

test('answers are read strictly, and refusals are problems', async () => {
  const backend = new Backend(url, { retries: 0, timeoutMillis: 500 });
  const good = { chain_id: '31337', registry: PROJECT, receipt_key: PROJECT, version: '0.1.0', now_millis: '1767225600000', newer: [1] };
  handler = json(good);
  assert.deepEqual(await backend.network(), {
    chain_id: 31_337n, registry: PROJECT, receipt_key: PROJECT, version: '0.1.0', now_millis: 1_767_225_600_000n,
  });
  for (const bad of [{ ...good, chain_id: 31_337 }, { ...good, registry: PROJECT.toUpperCase() }, [], null, 'x', {}]) {
    handler = json(bad);
    await assert.rejects(backend.network(), BadAnswer, JSON.stringify(bad));
  }
  handler = (_, response) => response.end('<html>');
  await assert.rejects(backend.network(), /cannot read its answer/);
  const refusal = { type: 'urn:nodesys:problem:day_open', title: 'The day is not closed yet', status: 409, detail: 'soon', code: 'day_open' };
  handler = (_, response) => {
    response.writeHead(409, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify(refusal));
  };
  await assert.rejects(backend.uptime(PROJECT, '2026-01-01'), (error) => error instanceof ApiProblem && error.code === 'day_open' && error.status === 409);
  handler = (_, response) => {
    response.writeHead(502, { 'content-type': 'text/html' });
    response.end(JSON.stringify(refusal));
  };
  await assert.rejects(backend.network(), (error) => error instanceof BadAnswer && error.status === 502);
  handler = (_, response) => {
    response.writeHead(302, { location: `${url}/elsewhere` });
    response.end();
  };
  await assert.rejects(backend.network(), NoAnswer);
  handler = () => undefined;
  await assert.rejects(backend.network(), /no answer in time/);
  handler = (_, response) => {
    response.write('{');
  };
  await assert.rejects(backend.network(), /the answer stopped/);
  await assert.rejects(new Backend('http://127.0.0.1:9', { retries: 0 }).network(), NoAnswer);
  for (const bad of ['ftp://x', 'x', 'http://a:b@c', 'http://a/?b=c']) assert.throws(() => new Backend(bad), TypeError);
});

test('a read is tried again, a write is not', async () => {
  const backend = new Backend(url, { retries: 2 });
  let count = 0;
  handler = (request, response, body) => {
    count += 1;
    if (count < 3) {
      response.statusCode = 503;
      response.end();
    } else json([])(request, response, body);
  };
  assert.deepEqual(await backend.projects(), []);
  assert.equal(count, 3);
  count = 0;
  await assert.rejects(backend.commit(PROJECT, postedOf(DAYS[0] as string).commit, '0x'), BadAnswer);
  assert.equal(count, 1);
  const control = new AbortController();
  control.abort(new Error('enough'));
  await assert.rejects(new Backend(url, { signal: control.signal }).projects(), /enough/);
});

test('a proof of a backend is held against its root', async () => {
  const day = DAYS[1] as string;
  const tree = await RewardTree.build(parseTable(REWARDS, filesOf(day).get('rewards.csv') as Uint8Array));
  const account = tree.leaves[0]?.account ?? '0x';
  const proof = tree.proof(account);
  assert.ok(proof && proofHolds(proof, tree.root));
  const view = { project: PROJECT, day, root: tree.root, ...proof, cumulative: `${proof.cumulative}`, state: 'active' };
  const backend = new Backend(url);
  handler = json(view);
  assert.deepEqual(await backend.claimable(PROJECT, account), { distributor: PROJECT, root: tree.root, proof });
  handler = json({ ...view, cumulative: `${proof.cumulative + 1n}` });
  await assert.rejects(backend.claimable(PROJECT, account), /does not lead to its root/);
  assert.equal(typeof findClaim, 'function');
});

test('mirrors are tried in turn by hash, whatever one of them gives', async () => {
  const day = DAYS[1] as string;
  handler = (request, response) => {
    const found = /^\/(good|bad|v1\/bundles)\/(0x[0-9a-f]+)\/([^/]+)\/([^/]+)$/.exec(request.url ?? '');
    const bytes = found && filesOf(day).get(found[4] as string);
    if (!found || !bytes || found[1] === 'v1/bundles') {
      response.statusCode = 404;
      response.end('nothing here');
      return;
    }
    // In two parts, as networks have it.
    const given = found[1] === 'bad' ? bytes.subarray(0, bytes.length - 3) : bytes;
    response.write(given.subarray(0, 100));
    response.end(given.subarray(100));
  };
  const places = new Places([
    httpPlace(url), httpPlace(`${url}/bad`, { layout: 'folder' }), httpPlace(`${url}/good`, { layout: 'folder' }),
  ]);
  const outcome = await verifyDay(factsOf(postedOf(day), bundleOf(day), filesOf(day)), places, known(dayBefore(day)));
  assert.equal(outcome.report.verdict, 'holds');
  assert.deepEqual(
    outcome.passedOver.map(({ place, file, reason }) => [place, file, reason]),
    ['bundle.json', 'uptime.csv'].flatMap((file) => [[url, file, 'missing'], [`${url}/bad`, file, 'altered']]),
  );
  assert.match(await keccak256(new Uint8Array()), /^0xc5d24601/);
});
