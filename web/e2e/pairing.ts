/** What a pairing needs: a replica with logins on the network's database, and the program on a machine of its own. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { endpoints, file } from './site.js';

const programs = process.env['NODESYS_PROGRAMS'] ?? '../target/debug';
const network = dirname(resolve(file));
/** The settings of a node of the network: where its chain is, and which clock it has. */
const settings = JSON.parse(readFileSync(join(network, 'nodes/1/config.json'), 'utf8')) as { chain_id: number; registry: string; clock?: string };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : assert.fail('no port');
}

/** A folder for a test, removed with it. */
export function folder(): string {
  return mkdtempSync(join(tmpdir(), 'nodesys-pair-'));
}

/** One more replica, at a public address: people can sign in there. */
export class Replica {
  private constructor(readonly url: string, private readonly process: ChildProcess, private readonly dir: string) {}

  static async starts(): Promise<Replica> {
    const dir = folder();
    const url = `http://127.0.0.1:${await freePort()}`;
    const key = (name: string) => join(network, 'backend', `${name}.key`);
    const ready = join(dir, 'ready');
    const log = join(dir, 'log');
    const out = openSync(log, 'w');
    const started = spawn(join(programs, 'nodesys-backend'), [
      '--chain-id', `${settings.chain_id}`, '--registry', settings.registry, '--listen', url.slice('http://'.length), '--admin-listen', '127.0.0.1:0',
      '--public-url', url, '--web', 'dist', '--vouch-after-secs', '0', '--allow-unsafe-postgres',
      '--receipt-key-file', key('receipt'), '--poster-key-file', key('poster'), '--ready-file', ready,
      ...(settings.clock === undefined ? [] : ['--clock', settings.clock]),
    ], { stdio: ['ignore', out, out], env: { ...process.env, NODESYS_DATABASE_URL: endpoints.database, NODESYS_RPC: endpoints.rpc } });
    const replica = new Replica(url, started, dir);
    for (let waited = 0; ; waited += 100) {
      const answer = await fetch(`${url}/v1/network`).catch(() => undefined);
      if (answer?.ok) return replica;
      if (started.exitCode !== null || waited > 60_000) {
        const words = readFileSync(log, 'utf8').slice(-2000);
        await replica.ends();
        assert.fail(`the replica does not answer: ${words}`);
      }
      await new Promise((later) => setTimeout(later, 100));
    }
  }

  async ends(): Promise<void> {
    await ended(this.process);
    rmSync(this.dir, { recursive: true });
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

interface Step { step: 'open' | 'compare' | 'done'; link: string; code: string; words: string; operator: string; node: { authorization: { node_key: string; operator: string } } }

/** `nodesys pair` on a machine without anything: it makes the node's key. */
export class Program {
  private readonly steps: Step[] = [];
  private readonly dir = folder();
  private readonly child: ChildProcess;
  private heard: () => void = () => undefined;
  said = '';

  constructor(backend: string, machine: string) {
    writeFileSync(join(this.dir, 'config.json'), JSON.stringify({ ...settings, backend }));
    const child = spawn(join(programs, 'nodesys'), ['--home', this.dir, 'pair', '--machine', machine, '-o', 'json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface(child.stdout).on('line', (line) => {
      this.steps.push(JSON.parse(line) as Step);
      this.heard();
    });
    child.stderr.on('data', (bytes: Buffer) => { this.said += bytes.toString(); });
    child.on('exit', () => this.heard());
    this.child = child;
  }

  /** Until it tells this step. */
  async tells(step: Step['step']): Promise<Step> {
    for (;;) {
      const found = this.steps.find((one) => one.step === step);
      if (found !== undefined) return found;
      assert.equal(this.child.exitCode, null, `nodesys pair has ended: ${this.said}`);
      await new Promise<void>((heard) => { this.heard = heard; });
    }
  }

  /** How it ended by itself. */
  async exit(): Promise<number | null> {
    if (this.child.exitCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  async leaves(): Promise<void> {
    await ended(this.child);
    rmSync(this.dir, { recursive: true });
  }
}
