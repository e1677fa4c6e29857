// The golden vectors of the reward tree, made by OpenZeppelin's merkle-tree alone: root, proofs
// and the hash of the standard-v1 dump. Run by `test/vectors/generate`.
//
// usage: node generate-tree.mjs OUTPUT

import { writeFileSync } from 'node:fs';
import { StandardMerkleTree } from '@openzeppelin/merkle-tree';
import { formula, keccakText, SIZES } from './tree-inputs.mjs';

const LISTED = 7; // the largest case whose values are listed; larger ones give the formula only

const largest = ['0x00000000000000000000000000000000000000ff', `${2n ** 128n - 1n}`];
const inputs = [...SIZES.map((leaves) => ['', formula(leaves)]), [', largest amount', [largest]]];

const cases = inputs.map(([remark, values]) => {
  const leaves = values.length;
  const tree = StandardMerkleTree.of(values, ['address', 'uint256']);
  const proven = leaves <= LISTED
    ? values.map((_, i) => i) : [0, 1, leaves >> 1, leaves - 2, leaves - 1];
  const byAccount = StandardMerkleTree.of(
    [...values].sort(([a], [b]) => (a < b ? -1 : 1)), ['address', 'uint256'],
  );
  return {
    name: `${leaves} ${leaves === 1 ? 'leaf' : 'leaves'}${remark}`,
    leaves,
    ...(leaves <= LISTED ? { values } : {}),
    total: `${values.reduce((sum, [, amount]) => sum + BigInt(amount), 0n)}`,
    root: tree.root,
    dumpHash: keccakText(JSON.stringify(byAccount.dump())),
    proofs: proven.map((i) => ({
      account: values[i][0], cumulative: values[i][1], path: tree.getProof(i),
    })),
  };
});

const about = 'Made by @openzeppelin/merkle-tree alone: see README.md.';
const howMade = 'Where `values` are not listed, leaf i, from 0, is: account = the last 20 bytes of '
  + 'keccak256(i as uint256), cumulative = (i + 1) * 10^15. dumpHash = keccak256 of '
  + 'JSON.stringify(tree.dump()) for the values sorted by account.';
writeFileSync(process.argv[2], `${JSON.stringify({ about, howMade, cases }, null, 2)}\n`);
