/** A development chain (anvil) with the real contracts, a project and a license collection. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import {
  type Abi, type AbiFunction, type AbiParameter, createPublicClient, createTestClient, createWalletClient, encodeDeployData,
  encodeFunctionData, http, type PublicClient, type TestClient, type WalletClient,
} from 'viem';
import { mnemonicToAccount, type HDAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';

import type { Address, Hex } from '../../src/index.js';
import { repository } from './paths.js';

export const TOKEN = 10n ** 18n;

export function artifact(contract: string): { abi: Abi; bytecode: Hex } {
  return JSON.parse(readFileSync(repository(`crates/chain/abi/${contract}.json`), 'utf8'));
}

/** The program's path, by the environment or where `scripts/setup` puts it. */
export function anvilPath(): string {
  const path = process.env['NODESYS_ANVIL'] ?? repository('node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil');
  if (!existsSync(path)) throw new Error(`no anvil at ${path}: run scripts/setup, or set NODESYS_ANVIL`);
  return path;
}

/** Test accounts of anvil, known to everyone. */
export const person = (index: number): HDAccount =>
  mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: index });

export const lower = (address: string) => address.toLowerCase() as Address;

/** Fills what a struct or call has beyond the given values: contracts may get further parameters. */
function filled(parameters: readonly AbiParameter[], values: Record<string, unknown>): Record<string, unknown> {
  const none = ({ type }: AbiParameter): unknown => {
    if (type.endsWith('[]')) return [];
    if (type === 'address') return `0x${'0'.repeat(40)}`;
    if (type === 'bytes32') return `0x${'0'.repeat(64)}`;
    if (type === 'string') return '';
    if (type === 'bool') return false;
    return type === 'bytes' ? '0x' : 0n;
  };
  return Object.fromEntries(parameters.map((one) => [one.name, values[one.name ?? ''] ?? none(one)]));
}

const parts = (parameter: AbiParameter | undefined) =>
  (parameter as { components?: readonly AbiParameter[] } | undefined)?.components ?? [];

export class Devnet {
  readonly people = {
    network: person(0), owner: person(1), signer: person(2), guardian: person(3), poster: person(4),
  };
  registry: Address = '0x';
  token: Address = '0x';
  distributor: Address = '0x';
  collection: Address = '0x';

  private constructor(
    private readonly process: ChildProcess,
    readonly url: string,
    readonly client: PublicClient,
    private readonly test: TestClient,
  ) {}

  /** Starts the chain at a moment, in seconds since 1970. */
  static async start(secs: bigint): Promise<Devnet> {
    const args = ['--port', '0', '--timestamp', `${secs}`, '--slots-in-an-epoch', '1', '--accounts', '20'];
    const child = spawn(anvilPath(), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const url = await new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`anvil ended with ${code}`)));
      const lines = createInterface(child.stdout);
      lines.on('line', (line) => {
        const found = /^Listening on (\S+)$/.exec(line);
        if (found) resolve(`http://${found[1]}`);
      });
    });
    const transport = http(url);
    const client = createPublicClient({ chain: foundry, transport, cacheTime: 0, pollingInterval: 20 });
    const test = createTestClient({ chain: foundry, transport, mode: 'anvil' });
    const devnet = new Devnet(child, url, client as PublicClient, test);
    await test.setBlockTimestampInterval({ interval: 1 });
    return devnet;
  }

  stop(): void {
    this.process.removeAllListeners('exit');
    this.process.kill();
  }

  wallet(account: HDAccount): WalletClient {
    return createWalletClient({ account, chain: foundry, transport: http(this.url) });
  }

  /** Sends a call or a deployment; it must succeed. */
  async send(from: HDAccount, to: Address | null, data: Hex): Promise<{ contract: Address; block: bigint }> {
    const hash = await this.wallet(from).sendTransaction({ account: from, chain: foundry, to, data, gas: 12_000_000n });
    const receipt = await this.client.waitForTransactionReceipt({ hash, pollingInterval: 20 });
    if (receipt.status !== 'success') throw new Error(`a transaction to ${to} failed`);
    return { contract: lower(receipt.contractAddress ?? '0x'), block: receipt.blockNumber };
  }

  async call(from: HDAccount, contract: string, at: Address, functionName: string, args: unknown[]): Promise<bigint> {
    const data = encodeFunctionData({ abi: artifact(contract).abi, functionName, args });
    return (await this.send(from, at, data)).block;
  }

  /** The same where the contract takes it; whether it did. */
  async attempt(from: HDAccount, contract: string, at: Address, functionName: string, args: unknown[]): Promise<boolean> {
    const data = encodeFunctionData({ abi: artifact(contract).abi, functionName, args });
    try {
      await this.client.call({ account: from, to: at, data });
    } catch (error) {
      if (error instanceof Error && /revert/.test(error.message)) return false;
      throw error;
    }
    await this.send(from, at, data);
    return true;
  }

  async create(from: HDAccount, contract: string, args: unknown[]): Promise<Address> {
    const { abi, bytecode } = artifact(contract);
    return (await this.send(from, null, encodeDeployData({ abi, bytecode, args }))).contract;
  }

  /** Registry, token, a funded project, and a collection listed in it. */
  async deploy(project: { name: string; dailyQuota: bigint; delay: bigint; funds: bigint }): Promise<void> {
    const { network, owner, signer, guardian } = this.people;
    const multicall = JSON.parse(readFileSync(repository('crates/chain/abi/Multicall3.json'), 'utf8'));
    const address = '0xcA11bde05977b3631167028862bE2a173976CA11';
    await this.test.setCode({ address, bytecode: multicall.deployedBytecode });
    this.registry = await this.create(network, 'ProjectRegistry', [network.address]);
    this.token = await this.create(owner, 'DevToken', ['Acme', 'ACME', owner.address]);
    const { abi } = artifact('ProjectRegistry');
    const of = (name: string) => abi.find((one) => one.type === 'function' && one.name === name) as AbiFunction;
    const params = filled(parts(of('createProject').inputs[0]), {
      name: project.name, token: this.token, signer: signer.address, guardian: guardian.address,
      dailyQuota: project.dailyQuota, delay: project.delay,
    });
    const distributor = await this.client.readContract({
      address: this.registry, abi, functionName: 'projectAddress', args: [owner.address, params],
    });
    this.distributor = lower(distributor as string);
    await this.call(owner, 'ProjectRegistry', this.registry, 'reserveProject', [this.distributor]);
    await this.call(owner, 'ProjectRegistry', this.registry, 'createProject', [params]);
    await this.call(owner, 'DevToken', this.token, 'mint', [this.distributor, project.funds]);
    this.collection = await this.list('render');
  }

  /** A collection of its own for a workload, listed in the project. */
  async list(workload: string): Promise<Address> {
    const { owner } = this.people;
    const license = artifact('NodeLicense').abi.find((one) => one.type === 'constructor');
    const plain = { name: `Acme ${workload}`, symbol: 'A', owner: owner.address, minter: owner.address };
    const collection = await this.create(owner, 'NodeLicense', [filled(parts(license?.inputs[0]), plain)]);
    const listed = [this.distributor, workload, collection];
    await this.call(owner, 'ProjectRegistry', this.registry, 'listCollection', listed);
    return collection;
  }

  /** Gives a contract other code. */
  async become(address: Address, bytecode: Hex): Promise<void> {
    await this.test.setCode({ address, bytecode });
  }

  /** Records a receipt key from now on: the network's, or the project's own. */
  async receiptKey(key: Address, of: 'network' | 'project'): Promise<void> {
    const [from, project] =
      of === 'network' ? [this.people.network, `0x${'0'.repeat(40)}`] : [this.people.owner, this.distributor];
    const args = [project, key, 0n, (1n << 64n) - 1n];
    await this.call(from, 'ProjectRegistry', this.registry, 'setReceiptKey', args);
  }

  async now(): Promise<bigint> {
    return (await this.client.getBlock()).timestamp;
  }

  /** Mines a block at a moment, or a second later where that is past. */
  async mineAt(secs: bigint): Promise<{ number: bigint; hash: Hex; timestamp: bigint }> {
    if (secs > (await this.now())) await this.test.setNextBlockTimestamp({ timestamp: secs });
    await this.test.mine({ blocks: 1 });
    return this.client.getBlock();
  }

  async mine(blocks: number): Promise<void> {
    await this.test.mine({ blocks });
  }
}
