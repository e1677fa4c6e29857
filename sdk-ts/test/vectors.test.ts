/** The vectors that every implementation of Node System is held to, and OpenZeppelin's own tree. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { StandardMerkleTree } from '@openzeppelin/merkle-tree';
import { encodeAbiParameters, keccak256, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

import {
  type Address, digest, domainOf, type Hash, type Hex, IN_DISTRIBUTOR_DOMAIN, licenseHash, type Message,
  type MessageName, proofHolds, RewardTree, type RewardRow, signature, signerOf, structHash, typedData, TYPES,
} from '../src/index.js';
import { repository } from './support/paths.js';
import { Random } from './support/random.js';

const vectors = (file: string) => JSON.parse(readFileSync(repository(`test/vectors/${file}`), 'utf8'));

interface Vector {
  name: string;
  primaryType: MessageName;
  typeString: string;
  domain: { chainId: string; verifyingContract: Address };
  message: Record<string, unknown>;
  structHash: Hash;
  digest: Hash;
  privateKey: Hex;
  signer: Address;
  signature: Hex;
}

/** The vector's message with the types that the package wants. */
function typed(name: MessageName, message: Record<string, unknown>): Record<string, unknown> {
  const value = (type: string, given: unknown): unknown => {
    if (type.endsWith('[]')) {
      const inner = type.slice(0, -2) as MessageName;
      return (given as Record<string, unknown>[]).map((one) => typed(inner, one));
    }
    if (type === 'uint8' || type === 'uint32') return Number(given);
    return type.startsWith('uint') ? BigInt(given as string) : given;
  };
  return Object.fromEntries(TYPES[name].map((field) => [field.name, value(field.type, message[field.name])]));
}

test('every message has the hash, the digest and the signature of the vectors', async () => {
  const { messages, licenses } = vectors('messages.json') as {
    messages: Vector[];
    licenses: { chainId: string; collection: Address; tokenId: string; license: Hash }[];
  };
  const seen = new Set<string>();
  for (const vector of messages) {
    const { primaryType, name } = vector;
    seen.add(primaryType);
    const message = typed(primaryType, vector.message) as Message<typeof primaryType>;
    const domain = domainOf(BigInt(vector.domain.chainId), vector.domain.verifyingContract);
    const own = TYPES[primaryType].map(({ name: field, type }) => `${type} ${field}`).join(',');
    assert.ok(vector.typeString.startsWith(`${primaryType}(${own})`), name);
    assert.equal(structHash(primaryType, message), vector.structHash, name);
    assert.equal(digest(domain, primaryType, message), vector.digest, name);
    assert.equal(await signerOf(vector.digest, vector.signature), vector.signer, name);
    const account = privateKeyToAccount(vector.privateKey);
    const data = typedData(domain, primaryType, message) as Parameters<typeof account.signTypedData>[0];
    assert.equal(await account.signTypedData(data), vector.signature, name);
    // In the domain of a distributor exactly where the vectors say so.
    const registry = messages.find((one) => one.primaryType === 'DayClosed')?.domain.verifyingContract;
    assert.equal(IN_DISTRIBUTOR_DOMAIN.has(primaryType), vector.domain.verifyingContract !== registry, name);
  }
  const unseen = Object.keys(TYPES).filter((name) => !seen.has(name));
  assert.deepEqual(unseen, ['LeaseStatus'], 'a part of Heartbeat');
  for (const { chainId, collection, tokenId, license } of licenses) {
    assert.equal(licenseHash(BigInt(chainId), collection, BigInt(tokenId)), license);
  }
});

test('a signature has one spelling', () => {
  const good = `0x${'11'.repeat(32)}${'22'.repeat(32)}1b`;
  assert.equal(signature(good), good);
  const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const high = (n - BigInt(`0x${'22'.repeat(32)}`)).toString(16).padStart(64, '0');
  const bad = [
    `0x${'11'.repeat(32)}${high}1b`, `0x${'11'.repeat(64)}00`, `0x${'11'.repeat(64)}`, `${good}00`, good.toUpperCase(), '',
  ];
  for (const one of bad) assert.throws(() => signature(one), `${one}`);
});

const leaf = (i: number): RewardRow => {
  const word = encodeAbiParameters([{ type: 'uint256' }], [BigInt(i)]);
  return { account: `0x${keccak256(word).slice(-40)}`, cumulative: BigInt(i + 1) * 10n ** 15n };
};

test('the tree has the roots, proofs and dumps of the vectors', async () => {
  const { cases } = vectors('tree.json') as {
    cases: {
      name: string;
      leaves: number;
      values?: [Address, string][];
      total: string;
      root: Hash;
      dumpHash: Hash;
      proofs: { account: Address; cumulative: string; path: Hash[] }[];
    }[];
  };
  for (const one of cases) {
    const rows = one.values
      ? one.values.map(([account, cumulative]) => ({ account, cumulative: BigInt(cumulative) }))
      : Array.from({ length: one.leaves }, (_, i) => leaf(i));
    const tree = await RewardTree.build(rows);
    assert.equal(tree.root, one.root, one.name);
    assert.equal(`${tree.total}`, one.total, one.name);
    assert.equal(keccak256(toHex(JSON.stringify(tree.dump()))), one.dumpHash, one.name);
    for (const { account, cumulative, path } of one.proofs) {
      const proof = { account, cumulative: BigInt(cumulative), path };
      assert.deepEqual(tree.proof(account), proof, one.name);
      assert.ok(proofHolds(proof, one.root));
      assert.ok(!proofHolds({ ...proof, cumulative: proof.cumulative + 1n }, one.root));
    }
    assert.equal(tree.proof(`0x${'0'.repeat(40)}`), undefined);
  }
});

test("OpenZeppelin's tree agrees, value by value", async () => {
  const random = new Random(17);
  for (const size of [1, 2, 3, 4, 6, 31, 100, 333]) {
    const rows = Array.from({ length: size }, () => ({
      account: random.hex(20) as Address,
      cumulative: random.below(1n << 100n) + 1n,
    }));
    const tree = await RewardTree.build(rows);
    const theirs = StandardMerkleTree.of(rows.map((row) => [row.account, `${row.cumulative}`]), ['address', 'uint256']);
    assert.equal(tree.root, theirs.root);
    const dump = tree.dump();
    // Its `load` does not notice a value that was left out.
    assert.equal(dump.values.length, size);
    assert.equal(dump.tree.length, 2 * size - 1);
    assert.equal(new Set(dump.values.map(({ treeIndex }) => treeIndex)).size, size);
    const loaded = StandardMerkleTree.load(dump as Parameters<typeof StandardMerkleTree.load>[0]);
    loaded.validate();
    const values = new Set([...loaded.entries()].map(([, [account, cumulative]]) => `${account} ${cumulative}`));
    assert.equal(values.size, size);
    for (const { account, cumulative } of rows) {
      assert.ok(values.has(`${account} ${cumulative}`));
      assert.deepEqual(tree.proof(account)?.path, theirs.getProof([account, `${cumulative}`]));
    }
  }
});

test('leaves that make no tree are refused, and an empty one has the zero root', async () => {
  const [a, b] = [leaf(0), leaf(1)];
  await assert.rejects(RewardTree.build([a, b, { ...a, cumulative: 9n }]), /more than one leaf/);
  await assert.rejects(RewardTree.build([a, { ...b, cumulative: 0n }]), /leaf of zero/);
  await assert.rejects(RewardTree.build([{ ...a, cumulative: (1n << 128n) - 1n }, b]), /largest amount/);
  const empty = await RewardTree.build([]);
  assert.deepEqual([empty.root, empty.total, empty.dump().tree], [`0x${'0'.repeat(64)}`, 0n, []]);
});
