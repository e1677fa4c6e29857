/** The Rust auditor, as the command line has it. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

import type { Address, Hash, Verdict } from '../../src/index.js';
import { repository } from './paths.js';

export interface RustReport {
  verdict: Verdict;
  days: {
    day: string;
    verdict: Verdict;
    commit_hash: Hash;
    total: string;
    licenses: number;
    minutes: number;
    accounts: number;
    allocated: string | null;
    carry_out: string | null;
    active: boolean;
  }[];
  revoked: string[];
  claims: number;
  paid: string;
  active_total: string;
  findings: { day: string; file: string | null; difference: { line: number } | null; problem: string }[];
  doubts: { day: string | null; problem: string }[];
}

/** The program's path, by the environment or where cargo puts it. */
export function nodesysPath(): string {
  const path = process.env['NODESYS_BIN'] ?? repository('target/debug/nodesys');
  if (!existsSync(path)) throw new Error(`no program at ${path}: cargo build --workspace --bins, or set NODESYS_BIN`);
  return path;
}

export async function rustAudit(
  rpc: string,
  registry: Address,
  bundles: string,
  home: string,
  more: string[] = [],
): Promise<RustReport> {
  const args = [
    'audit', '--home', home, '--rpc', rpc, '--chain-id', '31337', '--registry', registry, '--project', 'acme',
    '--bundles', bundles, '-o', 'json', ...more,
  ];
  const child = spawn(nodesysPath(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (part: Buffer) => (out += part.toString()));
  child.stderr.on('data', (part: Buffer) => (err += part.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0 && code !== 7 && code !== 8) throw new Error(`nodesys audit ended with ${code}: ${err}${out}`);
  return JSON.parse(out) as RustReport;
}
