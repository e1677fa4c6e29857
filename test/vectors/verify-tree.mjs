// OpenZeppelin's merkle-tree, unmodified, loads the standard-v1 dump that our Rust writes.
//
// usage: node --test test/vectors/verify-tree.mjs   (needs cargo and node_modules)

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { StandardMerkleTree } from '@openzeppelin/merkle-tree';
import { keccakText, SIZES } from './tree-inputs.mjs';

const root = new URL('../..', import.meta.url);
const { cases } = JSON.parse(readFileSync(new URL('tree.json', import.meta.url), 'utf8'));
const dump = (leaves) => execFileSync(
  'cargo', ['run', '--quiet', '--package', 'nodesys-core', '--example', 'standard_v1', '--', `${leaves}`],
  { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 30 },
);

for (const leaves of SIZES) {
  test(`OpenZeppelin loads Rust's dump of ${leaves} leaves`, () => {
    const expected = cases.find((candidate) => candidate.leaves === leaves);
    const json = dump(leaves);
    assert.equal(keccakText(json), expected.dumpHash);

    const tree = StandardMerkleTree.load(JSON.parse(json));
    tree.validate();
    assert.equal(tree.root, expected.root);
    assert.equal(tree.length, leaves);
    for (const { account, cumulative, path } of expected.proofs) {
      assert.deepEqual(tree.getProof([account, cumulative]), path);
    }
  });
}

test('one changed byte is refused', () => {
  const json = dump(7);
  const altered = (change) => {
    const data = JSON.parse(json);
    change(data);
    return () => StandardMerkleTree.load(data);
  };
  const flip = (hex) => hex.slice(0, -1) + (hex.at(-1) === '0' ? '1' : '0');
  assert.doesNotThrow(altered(() => {}));
  for (let i = 0; i < 13; i += 1) {
    assert.throws(altered((data) => { data.tree[i] = flip(data.tree[i]); }), `node ${i}`);
  }
  for (let i = 0; i < 7; i += 1) {
    assert.throws(altered(({ values }) => { values[i].value[0] = flip(values[i].value[0]); }));
    assert.throws(altered(({ values }) => { values[i].value[1] += '0'; }));
    assert.throws(altered(({ values }) => { values[i].treeIndex ^= 1; }));
  }
});
