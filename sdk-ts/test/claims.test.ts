/** Claims against the real contracts on a development chain. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { createWalletClient, custom, http, type PublicClient } from 'viem';
import { foundry } from 'viem/chains';

import {
  type Address, claimAll, type Claimable, claimMessage, claimRequest, claimState, claimTypedData, findClaim, Places,
  signedClaimRequest,
} from '../src/index.js';
import { folderPlace } from '../src/node/index.js';
import { artifact, lower, person } from './support/devnet.js';
import { Random } from './support/random.js';
import { DELAY, HOLDING, Story } from './support/story.js';

let story: Story;
let folder: string;
let places: Places;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nodesys-sdk-'));
  story = await Story.begin(join(folder, 'bundles'), new Random(5));
  places = new Places([folderPlace(join(folder, 'bundles'))]);
  for (let i = 0; i < 3; i += 1) await story.tell(undefined);
});
after(() => {
  story?.devnet.stop();
  if (folder) rmSync(folder, { recursive: true });
});

const balance = async (account: Address) =>
  (await story.devnet.client.readContract({
    address: story.devnet.token, abi: artifact('DevToken').abi, functionName: 'balanceOf', args: [account],
  })) as bigint;

const walletOf = (account: Address) => HOLDING.find((one) => lower(one.address) === account) ?? person(0);

/** Every account that has something to claim, with its proof. */
async function claimables(): Promise<Claimable[]> {
  const found: Claimable[] = [];
  for (const { address } of HOLDING) {
    const { client, distributor } = story.devnet;
    const claimable = await findClaim(client, distributor, lower(address), places);
    if (claimable && (await claimState(client, claimable)).amount > 0n) found.push(claimable);
  }
  return found;
}

test('before the delay has passed the older root counts; after it the newest', async () => {
  const { client, distributor } = story.devnet;
  const newest = story.days.at(-1)?.commit;
  for (const { address } of HOLDING) {
    const early = await findClaim(client, distributor, lower(address), places);
    if (early) assert.notEqual(early.root, newest?.root);
  }
  await story.devnet.mineAt((await story.devnet.now()) + DELAY);
  const found = await claimables();
  assert.ok(found.length >= 3, `${found.length} accounts`);
  assert.ok(found.every((one) => one.root === newest?.root));
  assert.equal(await findClaim(client, distributor, lower(person(1).address), places), undefined);
  await assert.rejects(findClaim(client, distributor, lower(person(10).address), new Places([])), /no place gives/);
});

test('a claim pays once, and what stands in its way has a name', async () => {
  const { client } = story.devnet;
  const [first] = await claimables();
  const claimable = first as Claimable;
  const { account, cumulative } = claimable.proof;
  const state = await claimState(client, claimable);
  assert.deepEqual([state.amount, state.claimed, state.blocked], [cumulative, 0n, undefined]);
  const blocked = async (change: Partial<Claimable>) => (await claimState(client, { ...claimable, ...change })).blocked;
  assert.equal(await blocked({ proof: { ...claimable.proof, cumulative: cumulative + 1n } }), 'bad_proof');
  assert.equal(await blocked({ proof: { ...claimable.proof, path: [] } }), 'bad_proof');
  assert.equal(await blocked({ root: `0x${'1'.repeat(64)}` }), 'bad_proof');

  const wallet = story.devnet.wallet(walletOf(account));
  const recipient = lower(person(19).address);
  const before = await balance(recipient);
  const { request, result } = await client.simulateContract({ ...claimRequest(claimable, recipient), account: walletOf(account) });
  assert.equal(result, cumulative);
  await client.waitForTransactionReceipt({ hash: await wallet.writeContract(request) });
  assert.equal((await balance(recipient)) - before, cumulative);
  assert.equal(await blocked({}), 'nothing_left');
});

test('a signed claim is brought by its relayer, who keeps the fee', async () => {
  const { client, distributor } = story.devnet;
  const [first] = await claimables();
  const claimable = first as Claimable;
  const owner = walletOf(claimable.proof.account);
  const relayer = person(4);
  const terms = { relayer: lower(relayer.address), relayerFee: 7n, deadline: (await story.devnet.now()) + 600n };
  const claim = claimMessage(claimable, terms);
  const data = claimTypedData(31_337, distributor, claim);
  const signature = await owner.signTypedData(data as Parameters<typeof owner.signTypedData>[0]);
  const call = signedClaimRequest(distributor, claim, claimable.proof.path, signature);
  await assert.rejects(client.simulateContract({ ...call, account: person(5) }), /WrongRelayer/);
  const other = signedClaimRequest(distributor, { ...claim, relayerFee: 8n }, claimable.proof.path, signature);
  await assert.rejects(client.simulateContract({ ...other, account: relayer }), /InvalidSignature/);
  const [before, kept] = [await balance(claim.account), await balance(lower(relayer.address))];
  const { request } = await client.simulateContract({ ...call, account: relayer });
  const hash = await story.devnet.wallet(relayer).writeContract(request);
  await client.waitForTransactionReceipt({ hash });
  assert.equal((await balance(claim.account)) - before, claim.cumulative - 7n);
  assert.equal((await balance(lower(relayer.address))) - kept, 7n);
});

test('all at once where the wallet can, else one after the other', async () => {
  const { client } = story.devnet;
  const [first] = await claimables();
  const claimable = first as Claimable;
  const account = walletOf(claimable.proof.account);
  const asked: { method: string; params: unknown }[] = [];
  const wallet = (capabilities: unknown) =>
    createWalletClient({
      account,
      chain: foundry,
      transport: custom({
        async request({ method, params }: { method: string; params: unknown }) {
          asked.push({ method, params });
          if (method === 'wallet_getCapabilities') {
            if (capabilities === undefined) throw new Error('the method is unknown');
            return capabilities;
          }
          if (method === 'wallet_sendCalls') return { id: '0x1234' };
          return client.request({ method, params } as Parameters<typeof client.request>[0]);
        },
      }),
    });
  const able = wallet({ '0x7a69': { atomic: { status: 'supported' } } });
  const batch = await claimAll(able, client as PublicClient, [claimable, claimable]);
  assert.deepEqual([batch.kind, batch.claimed.length], ['batch', 2]);
  const batched = asked.find((one) => one.method === 'wallet_sendCalls');
  assert.ok(batched);
  const [sent] = batched.params as [
    { atomicRequired: boolean; calls: { to: string; data: `0x${string}` }[] },
  ];
  assert.equal(sent.atomicRequired, true, 'all or nothing');
  // The batch's calls are those that the chain takes.
  assert.equal(lower(sent.calls[0]?.to ?? ''), story.devnet.distributor);
  await client.call({ account, to: story.devnet.distributor, data: sent.calls[0]?.data ?? '0x' });

  // A wallet that cannot: the second of two equal claims has nothing left by then, and is told.
  const before = await balance(claimable.proof.account);
  const plain = createWalletClient({ account, chain: foundry, transport: http(story.devnet.url) });
  const each = await claimAll(plain, client as PublicClient, [claimable, claimable]);
  assert.ok(each.kind === 'transactions');
  assert.deepEqual([each.hashes.length, each.claimed.length, each.failed.length], [1, 1, 1]);
  assert.match(each.failed[0]?.problem ?? '', /NothingToClaim/);
  assert.equal((await balance(claimable.proof.account)) - before, claimable.proof.cumulative);
  const none = await claimAll(wallet(undefined), client as PublicClient, [claimable]);
  assert.deepEqual(none, { kind: 'transactions', hashes: [], claimed: [], failed: [] });
  const stranger = createWalletClient({ account: person(1), chain: foundry, transport: http(story.devnet.url) });
  await assert.rejects(claimAll(stranger, client as PublicClient, [claimable]), /not of the wallet's account/);
});
