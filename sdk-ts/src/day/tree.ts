/**
 * The reward tree: what every account may have claimed in all, under one root.
 *
 * Leaves are hashed twice, `keccak256(keccak256(abi.encode(account, cumulative)))`, and stand in the order
 * of their hashes, from last to first; a parent is the hash of its two children, the smaller one first.
 * That is the layout of OpenZeppelin's StandardMerkleTree, with whose proofs the contract agrees.
 */

import { bytesToHex, hexToBytes, keccak256 } from 'viem';

import type { RewardRow } from '../formats/tables.js';
import { type Keccak, loadKeccak } from '../keccak.js';
import { type Address, address, amount, type Hash, hash, list, object, type Parsed, ZERO_HASH } from '../parse.js';

/** That an account's cumulative amount is in a tree. */
export const proof = object({ account: address, cumulative: amount, path: list(hash) });
export type Proof = Parsed<typeof proof>;

/** Leaves that make no tree. */
export class TreeError extends Error {
  override name = 'TreeError';
}

const AMOUNT_END = 1n << 128n;

/** `abi.encode(account, cumulative)` in `words`, which has 64 bytes. */
function encode(words: Uint8Array, { account, cumulative }: RewardRow): void {
  words.fill(0);
  words.set(hexToBytes(account), 12);
  const view = new DataView(words.buffer, words.byteOffset);
  view.setBigUint64(48, cumulative >> 64n);
  view.setBigUint64(56, cumulative & 0xffff_ffff_ffff_ffffn);
}

function compare(nodes: Uint8Array, a: number, b: number): number {
  for (let i = 0; i < 32; i += 1) {
    const difference = (nodes[32 * a + i] as number) - (nodes[32 * b + i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Hashes pairs, the smaller first. */
function pairs(keccak: Keccak, nodes: Uint8Array, inner: number): void {
  const words = new Uint8Array(64);
  for (let i = inner - 1; i >= 0; i -= 1) {
    const [left, right] = [2 * i + 1, 2 * i + 2];
    const [first, second] = compare(nodes, left, right) <= 0 ? [left, right] : [right, left];
    words.set(nodes.subarray(32 * first, 32 * first + 32), 0);
    words.set(nodes.subarray(32 * second, 32 * second + 32), 32);
    nodes.set(keccak(words), 32 * i);
  }
}

/** A tree with its leaves. */
export class RewardTree {
  private constructor(
    /** Rising by account. */
    readonly leaves: readonly RewardRow[],
    /** The sum of all amounts, in wei. */
    readonly total: bigint,
    private readonly nodes: Uint8Array,
    /** The node of each leaf. */
    private readonly places: Uint32Array,
  ) {}

  /** The tree of these rows, in any order; {@link TreeError} where an account is twice in it, or has nothing. */
  static async build(rows: Iterable<RewardRow>): Promise<RewardTree> {
    const leaves = [...rows].sort((a, b) => (a.account < b.account ? -1 : a.account > b.account ? 1 : 0));
    let total = 0n;
    leaves.forEach(({ account, cumulative }, i) => {
      if (leaves[i - 1]?.account === account) throw new TreeError(`account ${account} has more than one leaf`);
      if (cumulative === 0n) throw new TreeError(`account ${account} has a leaf of zero`);
      total += cumulative;
    });
    if (total >= AMOUNT_END) throw new TreeError('the total of all leaves is above the largest amount');

    const keccak = await loadKeccak();
    const count = leaves.length;
    const hashes = new Uint8Array(32 * count);
    const words = new Uint8Array(64);
    leaves.forEach((leaf, i) => {
      encode(words, leaf);
      hashes.set(keccak(keccak(words)), 32 * i);
    });
    const order = Uint32Array.from(leaves.keys()).sort((a, b) => compare(hashes, a, b));
    const nodes = new Uint8Array(32 * Math.max(2 * count - 1, 0));
    const places = new Uint32Array(count);
    order.forEach((leaf, i) => {
      const place = 2 * count - 2 - i;
      nodes.set(hashes.subarray(32 * leaf, 32 * leaf + 32), 32 * place);
      places[leaf] = place;
    });
    pairs(keccak, nodes, count - 1);
    return new RewardTree(leaves, total, nodes, places);
  }

  /** Zero for a tree without leaves. */
  get root(): Hash {
    return this.leaves.length === 0 ? ZERO_HASH : this.node(0);
  }

  /** The proof of an account; `undefined` where the tree lacks it. */
  proof(account: Address): Proof | undefined {
    const wanted = account.toLowerCase();
    let [low, high] = [0, this.leaves.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.leaves[middle] as RewardRow).account < wanted) low = middle + 1;
      else high = middle;
    }
    const leaf = this.leaves[low];
    if (leaf === undefined || leaf.account !== wanted) return undefined;
    const path: Hash[] = [];
    for (let at = this.places[low] as number; at > 0; at = (at - 1) >> 1) {
      path.push(this.node(at % 2 === 1 ? at + 1 : at - 1));
    }
    return { account: leaf.account, cumulative: leaf.cumulative, path };
  }

  /** The tree as OpenZeppelin's `StandardMerkleTree.load` reads it: `tree.json`. */
  dump(): StandardDump {
    return {
      format: 'standard-v1',
      leafEncoding: ['address', 'uint256'],
      tree: Array.from({ length: this.nodes.length / 32 }, (_, i) => this.node(i)),
      values: this.leaves.map(({ account, cumulative }, i) => ({
        value: [account, `${cumulative}`],
        treeIndex: this.places[i] as number,
      })),
    };
  }

  private node(i: number): Hash {
    return bytesToHex(this.nodes.subarray(32 * i, 32 * i + 32));
  }
}

export interface StandardDump {
  format: 'standard-v1';
  leafEncoding: ['address', 'uint256'];
  tree: Hash[];
  values: { value: [account: Address, cumulative: string]; treeIndex: number }[];
}

/** The root that a leaf hash and a path lead to. */
export function rootOf(leaf: Hash, path: readonly Hash[]): Hash {
  return path.reduce<Hash>((node, other) => {
    const [first, second] = node < other ? [node, other] : [other, node];
    return keccak256(`${first}${second.slice(2)}` as Hash);
  }, leaf);
}

/** Whether a proof leads to this root: what the contract's `claim` would find. */
export function proofHolds({ account, cumulative, path }: Proof, root: Hash): boolean {
  const words = new Uint8Array(64);
  encode(words, { account, cumulative });
  return rootOf(keccak256(keccak256(words)), path) === root;
}
