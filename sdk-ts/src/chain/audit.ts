/**
 * The audit: recomputes every posted day of a project from its published files and the chain.
 *
 * Nothing the backend or the owner says is believed. What a contract has checked already is not judged again:
 * a `Posted` event proves that it took the signature.
 */

import type { PublicClient } from 'viem';

import { commitOf, FIRST_DAY, type PreviousDay } from '../day/build.js';
import { type DayFacts, type Fact, known, type PostedCommit, type Token, tokenKey, unknown } from '../day/facts.js';
import { Holders } from '../day/holders.js';
import { type Places, Whole } from '../day/places.js';
import { Rows } from '../day/readings.js';
import { type AuditReport, type CheckName, type DayReport, type Doubt, verdictOf } from '../day/report.js';
import { ASK_ANOTHER_RPC, verifyDay } from '../day/verify.js';
import { BUNDLE_JSON, parseBundle, type Snapshot } from '../formats/bundle.js';
import { REWARDS, UNCOUNTED_WORDS } from '../formats/tables.js';
import { structHash } from '../messages.js';
import { type Address, dayOf, epochOf, SECS_PER_DAY, ZERO_ADDRESS, ZERO_HASH } from '../parse.js';
import { licenseAbi, registryAbi } from './abi.js';
import { Chain, ChainError, isRevert } from './chain.js';
import { type History, quotasBetween, readHistory, standing } from './history.js';
import { isListed, type Listing } from './listing.js';

export interface AuditOptions {
  /** A viem client for each RPC; with several, most of them must agree. */
  clients: PublicClient | readonly PublicClient[];
  /** Where it is given, an RPC of another chain is refused. */
  chainId?: bigint;
  registry: Address;
  /** The project, by its distributor's address. */
  distributor: Address;
  places: Places;
  /** First and last day, `YYYY-MM-DD`; all posted days by default. */
  from?: string;
  to?: string;
  /** Depth at which a block counts as final where the chain has no such tag; 64 by default. */
  finalityDepth?: bigint;
  /** First block that may hold a log of the registry; 0 by default. */
  logsFrom?: bigint;
  /** Called with each day as it is judged. */
  onDay?: (day: DayReport) => void;
  /** Called as each step of a day's verification begins. */
  onCheck?: (day: string, check: CheckName) => void;
  signal?: AbortSignal;
}

/** There is nothing to audit in the range. */
export class NothingPosted extends Error {
  override name = 'NothingPosted';
}

/** The RPCs are of another chain. */
export class WrongChain extends Error {
  override name = 'WrongChain';
}

/** Audits the posted days of a project. */
export async function auditProject(options: AuditOptions): Promise<AuditReport> {
  const chain = new Chain(options.clients);
  const found = await chain.chainId();
  if (options.chainId !== undefined && found !== options.chainId) {
    throw new WrongChain(`the RPC is of chain ${found}, and the project is on chain ${options.chainId}`);
  }
  const registry = options.registry.toLowerCase() as Address;
  const distributor = options.distributor.toLowerCase() as Address;
  const history = await readHistory(chain, registry, distributor, options.logsFrom ?? 0n);
  const [posted, wanted] = range(history, options);
  const active = posted.filter((one) => one.activatesAt <= history.newest.secs);
  const { chain_id: chainId, name } = history.project;
  const gaps: Doubt[] = history.gaps.map((problem) => ({
    day: undefined, check: undefined, file: undefined, problem, fix: ASK_ANOTHER_RPC,
  }));
  const ofName = (event: string) => history.events.filter((one) => one.name === event);
  const report: AuditReport = {
    project: { chainId, registry, distributor, name },
    rpcs: chain.clients.length,
    verdict: 'cannot_tell',
    days: [],
    revoked: ofName('Revoked').map((one) => dayOf(one.args['epoch'] as bigint)),
    claims: ofName('Claimed').length,
    paid: history.state.paid,
    // Totals never fall, so the largest is the newest.
    activeTotal: active.reduce((most, { commit }) => (commit.total > most ? commit.total : most), 0n),
    findings: [],
    doubts: gaps,
    passedOver: [],
  };
  const depth = options.finalityDepth ?? 64n;
  const folded = new Folded(history);
  let before = await previous(options.places, distributor, wanted[0] as PostedCommit);
  for (const commit of wanted) {
    options.signal?.throwIfAborted();
    const onCheck = (check: CheckName) => options.onCheck?.(commit.day, check);
    const outcome = await verifyDay(factsOf(chain, history, folded, commit, depth), options.places, before, onCheck);
    outcome.report.active = commit.activatesAt <= history.newest.secs;
    // A day whose outcome is not known puts the next one in doubt, and accuses nobody.
    before = outcome.after ? known(outcome.after) : unknown(`what ${commit.day} left is not known`);
    report.findings.push(...outcome.findings);
    report.doubts.push(...outcome.doubts);
    report.passedOver.push(...outcome.passedOver);
    report.days.push(outcome.report);
    options.onDay?.(outcome.report);
  }
  report.verdict = verdictOf(report.findings, report.doubts);
  return report;
}

function range(history: History, { from, to }: AuditOptions): [PostedCommit[], PostedCommit[]] {
  const epoch = (day: string | undefined, otherwise: bigint) => {
    if (day === undefined) return otherwise;
    const found = epochOf(day);
    if (found === undefined) throw new RangeError(`not a day YYYY-MM-DD: ${day}`);
    return found;
  };
  const [first, last] = [epoch(from, 0n), epoch(to, 1n << 64n)];
  const posted = standing(history.events);
  const wanted = posted.filter(({ commit }) => first <= commit.epoch && commit.epoch <= last);
  if (wanted.length > 0) return [posted, wanted];
  // Missing logs may be why there are none.
  if (history.gaps.length > 0) throw new ChainError(history.gaps.join('; '));
  throw new NothingPosted(`the project ${history.project.name} has no posted day in the range`);
}

/** What a day builds on: nothing, or what places have of the commit before it. */
async function previous(places: Places, distributor: Address, commit: PostedCommit): Promise<Fact<PreviousDay>> {
  const wanted = commit.commit.previous;
  if (wanted === ZERO_HASH) return known(FIRST_DAY);
  const day = dayOf(commit.commit.epoch - 1n);
  for (const place of places.places) {
    try {
      // Its hash is not known, but it must lead to the commit.
      const parts = await place.open(distributor, day, BUNDLE_JSON);
      if (parts === undefined) continue;
      const whole = new Whole();
      for await (const part of parts) whole.push(part);
      const bundle = parseBundle(whole.result());
      const hash = structHash('RewardCommit', await commitOf(bundle, whole.result()));
      const rewards = bundle.files[REWARDS.file];
      if (hash !== wanted || rewards === undefined) continue;
      const reading = () => new Rows(REWARDS, (row) => row);
      const { value } = await places.committed(distributor, day, REWARDS.file, rewards, reading);
      if (value !== undefined && value.error === undefined) {
        return known({ commit: hash, rewards: value.rows, carry: bundle.carry_out });
      }
    } catch {
      // A place that fails, or gives what is no bundle, is passed over.
    }
  }
  return unknown(`no place gave the bundle of ${day} that leads to the commit ${wanted}`);
}

/** Holders up to the last snapshot: days mostly come in order. */
class Folded {
  private holders = new Holders();
  private count = 0;
  private now: Holders | undefined;

  constructor(private readonly history: History) {}

  upTo(block: bigint): Holders {
    const logs = this.history.licenseLogs;
    const last = logs[this.count - 1];
    // Folding cannot be undone, so it begins anew.
    if (last !== undefined && last.blockNumber > block) [this.holders, this.count] = [new Holders(), 0];
    for (let log = logs[this.count]; log !== undefined && log.blockNumber <= block; log = logs[this.count]) {
      this.holders.apply(log);
      this.count += 1;
    }
    return this.holders;
  }

  newest(): Holders {
    if (this.now === undefined) {
      this.now = new Holders();
      for (const log of this.history.licenseLogs) this.now.apply(log);
    }
    return this.now;
  }
}

/** The answer, or why there is none. */
async function told<T>(read: () => Promise<T>): Promise<Fact<T>> {
  try {
    return known(await read());
  } catch (error) {
    if (error instanceof ChainError) return unknown(error.message);
    throw error;
  }
}

function factsOf(chain: Chain, history: History, folded: Folded, posted: PostedCommit, depth: bigint): DayFacts {
  const { project } = history;
  const doubt = history.gaps.length > 0 ? history.gaps.join('; ') : undefined;
  let asked: Promise<Fact<Snapshot>> | undefined;
  const readSnapshot = async (): Promise<Fact<Snapshot>> => {
    const secs = (posted.commit.epoch + 1n) * SECS_PER_DAY;
    const found = await told(() => chain.firstAtOrAfter(secs, depth));
    if (!found.known) return found;
    if (found.value === undefined) return unknown(`no final block at or after second ${secs} yet`);
    const { number, hash, secs: at } = found.value;
    return known({ block_number: number, block_hash: hash, block_secs: at });
  };
  const snapshot = () => (asked ??= readSnapshot());
  let holders = new Holders();
  return {
    project,
    posted,
    postedSecs: () => told(async () => (await chain.block(posted.blockNumber)).secs),
    async snapshot() {
      const found = await snapshot();
      if (found.known) holders = folded.upTo(found.value.block_number);
      return found;
    },
    receiptKey: (key) =>
      told(async () => {
        const { registry: address, distributor } = project;
        const on = { address, abi: registryAbi } as const;
        const [what, network] = ['reading the receipt key', ZERO_ADDRESS];
        const recorded = async (of: Address) => {
          const [from, until] = await chain.call(what, { ...on, functionName: 'receiptKeyOf', args: [of, key] });
          return { from, until };
        };
        const since = await chain.call(what, { ...on, functionName: 'ownReceiptKeysFrom', args: [distributor] });
        const [theirs, own] = [await recorded(network), await recorded(distributor)];
        // A project that has keys of its own takes the network's only up to then; zero says that it has none.
        const valid =
          since === 0n
            ? [theirs]
            : [
                { from: theirs.from, until: theirs.until < since ? theirs.until : since },
                { from: own.from > since ? own.from : since, until: own.until },
              ];
        return valid.filter(({ from, until }) => from < until);
      }),
    async listed(collection) {
      const { registry: address, distributor } = project;
      const request = { address, abi: registryAbi, functionName: 'listingOf', args: [collection] } as const;
      const found = await told(() => chain.call('reading whose collection it is', request));
      if (!found.known) return found;
      const { project: lister, fromDay, untilDay } = found.value;
      // Zero stands for none.
      const until = untilDay === 0 ? undefined : BigInt(untilDay);
      const last: Listing = { project: lister.toLowerCase() as Address, collection, from: BigInt(fromDay), until };
      const day = posted.commit.epoch;
      const ever = lister === ZERO_ADDRESS ? undefined : last;
      const listed = isListed(distributor, collection, day, ever, history.listings);
      return listed === undefined
        ? unknown(`the RPC has no logs of a listing of ${collection} on ${posted.day}`)
        : known(listed);
    },
    async quotas() {
      const at = await snapshot();
      if (!at.known) return at;
      if (doubt !== undefined) return unknown(doubt);
      return known(quotasBetween(history, posted.commit.epoch, at.value.block_number, posted.blockNumber));
    },
    owned: (token, secs) => holders.at(token, secs),
    uncounted: (token) => holders.uncounted(token),
    async doubtful(tokens) {
      const all = (reason: string) => new Map(tokens.map((token) => [tokenKey(token), reason]));
      const at = await snapshot();
      if (!at.known) return all(at.reason);
      if (doubt !== undefined) return all(doubt);
      const found = await told(() => contradicted(chain, history, folded.newest(), tokens));
      return found.known ? found.value : all(found.reason);
    },
  };
}

/** Tokens whose logs contradict themselves, or the holder that the chain's state has now. */
async function contradicted(
  chain: Chain,
  history: History,
  newest: Holders,
  tokens: readonly Token[],
): Promise<Map<string, string>> {
  const doubtful = new Map<string, string>();
  for (const token of tokens) {
    const [folded, called] = [newest.at(token, history.newest.secs), await ownership(chain, history, token)];
    const uncounted = newest.uncounted(token);
    const same = folded.holder === called.holder && folded.renter === called.renter;
    // As complete logs would have it too, where nobody ever held it.
    if (uncounted === 'no_transfer' ? called.holder === ZERO_ADDRESS : uncounted === undefined && same) continue;
    const reason =
      uncounted === undefined
        ? 'logs and calls of the RPC disagree about who holds it now'
        : `by its logs at the RPC, ${UNCOUNTED_WORDS[uncounted]}: they may not be all`;
    doubtful.set(tokenKey(token), reason);
  }
  return doubtful;
}

async function ownership(chain: Chain, history: History, { collection, tokenId }: Token) {
  const { number: blockNumber, secs } = history.newest;
  const on = { address: collection, abi: licenseAbi, args: [tokenId], blockNumber } as const;
  // A token that does not exist has no holder; a collection without ERC-4907 has no rentals.
  const orNone = async <T>(read: Promise<T>, none: T) => {
    try {
      return await read;
    } catch (error) {
      if (isRevert(error)) return none;
      throw error;
    }
  };
  const what = 'reading the holder of a license';
  const holder = await orNone(chain.call(what, { ...on, functionName: 'ownerOf' }), ZERO_ADDRESS);
  const renter = await orNone(chain.call(what, { ...on, functionName: 'userOf' }), ZERO_ADDRESS);
  const until = await orNone(chain.call(what, { ...on, functionName: 'userExpires' }), 0n);
  const runs = renter !== ZERO_ADDRESS && until >= secs;
  return { holder: holder.toLowerCase(), renter: runs ? renter.toLowerCase() : ZERO_ADDRESS };
}
