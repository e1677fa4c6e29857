/**
 * What the chain says of a project as far as all its days share it, and whether its logs can be complete.
 *
 * An RPC that has pruned old logs, or lags, answers with fewer of them and no error. So an absence in the logs
 * is no fact by itself: counts, links and sums in the contract's state must say the same.
 */

import type { Abi } from 'viem';

import type { PostedCommit } from '../day/facts.js';
import type { LicenseEvent } from '../day/holders.js';
import type { ProjectInfo } from '../formats/bundle.js';
import { type Address, dayOf, type Hash, name, ZERO_ADDRESS, ZERO_HASH } from '../parse.js';
import { distributorAbi, licenseAbi, registryAbi } from './abi.js';
import type { BlockRef, Chain, Logged } from './chain.js';
import { type Listing, listingsOf } from './listing.js';

/** An event of a license, with its block. */
export type LicenseLog = LicenseEvent & { blockNumber: bigint };

/** A distributor's state at one block. */
export interface DistributorState {
  head: Hash;
  epoch: bigint;
  total: bigint;
  revision: number;
  activatesAt: bigint;
  dailyQuota: bigint;
  /** Sum of all claims, in wei. */
  paid: bigint;
}

export interface History {
  project: ProjectInfo;
  newest: BlockRef;
  state: DistributorState;
  events: Logged[];
  licenseLogs: LicenseLog[];
  /** The project's listings that logs tell of. */
  listings: readonly Listing[];
  firstQuota: bigint | undefined;
  /** Why the logs cannot be complete; empty when state and logs agree. */
  gaps: string[];
}

/** The registry does not know the distributor. */
export class UnknownProject extends Error {
  override name = 'UnknownProject';
}

/** What the registry knows of a project. */
export async function projectInfo(chain: Chain, registry: Address, distributor: Address): Promise<ProjectInfo> {
  const request = { address: registry, abi: registryAbi, functionName: 'projectOf', args: [distributor] } as const;
  const found = await chain.call('reading the project', request);
  if (found.owner === ZERO_ADDRESS) {
    throw new UnknownProject(`the registry ${registry} knows no project ${distributor}`);
  }
  return { chain_id: await chain.chainId(), registry, distributor, name: name(found.name) };
}

export async function readHistory(
  chain: Chain,
  registry: Address,
  distributor: Address,
  logsFrom: bigint,
): Promise<History> {
  const project = await projectInfo(chain, registry, distributor);
  // State and logs up to one block, or what comes in between would look like a gap.
  const newest = await chain.latest();
  const state = await distributorState(chain, distributor, newest.number);
  const logs = (what: string, addresses: Address[], abi: Abi) =>
    chain.logs(`reading events of ${what}`, addresses, abi, logsFrom, newest.number);
  const ofRegistry = await logs('the registry', [registry], registryAbi);
  const events = await logs('the distributor', [distributor], distributorAbi);
  const own = ofRegistry.filter((one) => one.args['project'] === distributor);
  const listings = listingsOf(ofRegistry, distributor);
  const collections = new Set(listings.map((one) => one.collection));
  const licenseLogs = (await logs('the licenses', [...collections], licenseAbi)).map(licenseLog);
  const created = own.find((one) => one.name === 'ProjectCreated');
  const firstQuota = created?.args['dailyQuota'] as bigint | undefined;
  const gaps = gapsOf(firstQuota, events, state);
  return { project, newest, state, events, licenseLogs, listings, firstQuota, gaps };
}

export async function distributorState(chain: Chain, distributor: Address, at: bigint): Promise<DistributorState> {
  const on = { address: distributor, abi: distributorAbi, blockNumber: at } as const;
  const [head, dailyQuota, paid] = await Promise.all([
    chain.call("reading the distributor's head", { ...on, functionName: 'head' }),
    chain.call('reading the daily quota', { ...on, functionName: 'dailyQuota' }),
    chain.call('reading the sum of claims', { ...on, functionName: 'paid' }),
  ]);
  const { commitHash, epoch, total, revision, activatesAt } = head;
  return { head: commitHash, epoch, total, revision, activatesAt, dailyQuota, paid };
}

/** The commits that stand, in the order of their days. */
export function standing(events: readonly Logged[]): PostedCommit[] {
  let posts: PostedCommit[] = [];
  for (const { name: event, args, blockNumber, transaction } of events) {
    if (event === 'Revoked') posts = posts.filter((post) => post.commitHash !== args['commitHash']);
    if (event !== 'Posted') continue;
    const posted = args as unknown as PostedArgs;
    // `post` takes no total that 112 bits cannot hold.
    if (posted.total >> 128n > 0n) continue;
    posts.push({
      day: dayOf(posted.epoch),
      commit: {
        epoch: posted.epoch,
        revision: posted.revision,
        previous: posted.previous,
        root: posted.root,
        total: posted.total,
        dataHash: posted.dataHash,
      },
      commitHash: posted.commitHash,
      activatesAt: posted.activatesAt,
      blockNumber,
      transaction,
    });
  }
  return posts;
}

interface PostedArgs {
  epoch: bigint;
  root: Hash;
  commitHash: Hash;
  revision: number;
  previous: Hash;
  total: bigint;
  dataHash: Hash;
  activatesAt: bigint;
}

/** The quotas in force for the day `epoch` from the snapshot block up to the post. */
export function quotasBetween(history: History, epoch: bigint, snapshot: bigint, posted: bigint): bigint[] {
  if (history.firstQuota === undefined) return [];
  let quota = firstQuotas(history.firstQuota);
  let inForce = [quotaOf(quota, epoch)];
  for (const one of history.events) {
    const next = changedQuota(quota, one);
    if (next === undefined || one.blockNumber > posted) continue;
    quota = next;
    // One quota was in force at the snapshot; any later one may be the one that was built with.
    if (one.blockNumber <= snapshot) inForce = [];
    inForce.push(quotaOf(quota, epoch));
  }
  return inForce;
}

/** A lowered quota is that of the days which had not begun when it was lowered: `daily` from the day `from` on. */
interface Quota {
  daily: bigint;
  from: bigint;
  before: bigint;
}

const firstQuotas = (first: bigint): Quota => ({ daily: first, from: 0n, before: first });
const quotaOf = (quota: Quota, epoch: bigint) => (epoch < quota.from ? quota.before : quota.daily);

/** The quota after an event, if it is one that changes it. */
function changedQuota(quota: Quota, { name: event, args }: Logged): Quota | undefined {
  const daily = args['newQuota'] as bigint;
  if (event === 'QuotaRaised') return { ...quota, daily };
  if (event !== 'QuotaLowered') return undefined;
  const from = args['fromDay'] as bigint;
  // Lowered twice on one day, the days before keep the quota from before both.
  return { daily, from, before: from === quota.from ? quota.before : quota.daily };
}

/** Where logs and state contradict each other: the logs are not all of them. */
function gapsOf(firstQuota: bigint | undefined, events: readonly Logged[], state: DistributorState): string[] {
  if (firstQuota === undefined) {
    return ["the RPC has no log of the project's creation: old logs are missing"];
  }
  const gaps: string[] = [];
  const posts = standing(events);
  const byHash = new Map(posts.map((post) => [post.commitHash, post]));
  let [at, reached] = [state.head, 0];
  // Bounded by their number: logs that are made up could lead round in a circle.
  while (at !== ZERO_HASH && reached <= posts.length) {
    const post = byHash.get(at);
    if (post === undefined) {
      gaps.push(`the chain's commit ${at} has no Posted log at the RPC`);
      break;
    }
    at = post.commit.previous;
    reached += 1;
  }
  if (at === ZERO_HASH && reached !== posts.length) {
    gaps.push(`${posts.length - reached} logged commits do not lead to the chain's head`);
  }
  const revised = events.filter((one) => ['SignerDisabled', 'SignerSet', 'HeadRewound'].includes(one.name));
  const revisions = new Set(revised.map((one) => one.args['revision'])).size;
  if (revisions !== state.revision) {
    gaps.push(`the logs tell of ${revisions} revisions, the chain of ${state.revision}`);
  }
  const claims = events.filter((one) => one.name === 'Claimed');
  const paid = claims.reduce((sum, one) => sum + (one.args['amount'] as bigint), 0n);
  if (paid !== state.paid) gaps.push(`the logged claims are ${paid} wei, the chain says ${state.paid}`);
  const last = events.reduce((before, one) => changedQuota(before, one) ?? before, firstQuotas(firstQuota));
  const quota = quotaOf(last, state.epoch + 1n);
  if (quota !== state.dailyQuota) {
    gaps.push(`by the logs the daily quota is ${quota}, the chain says ${state.dailyQuota}`);
  }
  return gaps;
}

/** A log of a collection as the fold takes it. */
function licenseLog({ name: event, address: collection, args, blockNumber }: Logged): LicenseLog {
  const token = { collection, tokenId: args['tokenId'] as bigint, blockNumber };
  return event === 'Transfer'
    ? { ...token, kind: 'transfer', from: args['from'] as Address, to: args['to'] as Address }
    : { ...token, kind: 'rental', renter: args['user'] as Address, untilSecs: args['expires'] as bigint };
}
