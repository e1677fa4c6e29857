/** Finding an account's proof with the backend gone: by the chain's newest active commit and published files. */

import type { PublicClient } from 'viem';

import { Chain, ChainError } from '../chain/chain.js';
import { distributorAbi } from '../chain/abi.js';
import { standing } from '../chain/history.js';
import { type Places, Whole } from '../day/places.js';
import { Rows } from '../day/readings.js';
import { RewardTree } from '../day/tree.js';
import { BUNDLE_JSON, parseBundle } from '../formats/bundle.js';
import { REWARDS } from '../formats/tables.js';
import { type Address, ZERO_HASH } from '../parse.js';
import type { Claimable } from './claims.js';

/** No place gives the files of the active commit. */
export class NoFiles extends Error {
  override name = 'NoFiles';
}

/**
 * The account's proof under the newest active root; `undefined` where it has earned nothing, or nothing is active
 * yet. The files need not be trusted: the proof leads to a root that the chain has.
 */
export async function findClaim(
  clients: PublicClient | readonly PublicClient[],
  distributor: Address,
  account: Address,
  places: Places,
  logsFrom = 0n,
): Promise<Claimable | undefined> {
  const chain = new Chain(clients);
  const project = distributor.toLowerCase() as Address;
  const newest = await chain.latest();
  const events = await chain.logs('reading posted commits', [project], distributorAbi, logsFrom, newest.number);
  const on = { address: project, abi: distributorAbi } as const;
  for (const posted of standing(events).reverse()) {
    const { root, dataHash } = posted.commit;
    // While nobody has earned anything, the root is zero.
    if (posted.activatesAt > newest.secs || root === ZERO_HASH) continue;
    // A pause keeps the later ones from becoming active.
    if (!(await chain.call('asking whether a root is active', { ...on, functionName: 'isActive', args: [root] }))) continue;
    const json = await places.committed(project, posted.day, BUNDLE_JSON, dataHash, () => new Whole());
    const expected = json.value && parseBundle(json.value).files[REWARDS.file];
    const reading = () => new Rows(REWARDS, (row) => row);
    const rows = expected && (await places.committed(project, posted.day, REWARDS.file, expected, reading)).value;
    if (!rows || rows.error !== undefined) throw new NoFiles(`no place gives the committed rewards of ${posted.day}`);
    const tree = await RewardTree.build(rows.rows);
    if (tree.root !== root) throw new ChainError(`the committed rewards of ${posted.day} do not lead to the posted root`);
    const proof = tree.proof(account);
    return proof && { distributor: project, root, proof };
  }
  return undefined;
}
