/**
 * Random days of a project on a development chain: transfers and rentals, rotated receipt keys, excused minutes,
 * every rule, rewards beyond the quota, revoked commits; and now and then an owner who lies.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { privateKeyToAccount } from 'viem/accounts';

import {
  type Address, type Bitmap, type BuiltDay, buildDay, canonicalJson, type ClosedUptime, commitOf, countMinutes, dayFiles, dayOf,
  domainOf, epochOf, FIRST_DAY, type Format, FORMAT_1, FORMAT_2, fromMinuteOn, type Hash, type Hex, type LicenseDay,
  parseTable, pointsWith, possiblePoints, type PreviousDay, type RewardCommit, REWARDS, rootOf, type Rule, structHash,
  type Terms, type Token, toWire, typedData, UPTIME, uptimeLeaf, type UptimeRow, writeBundle,
} from '../../src/index.js';
import { tableHash } from '../../src/day/build.js';
import { artifact, Devnet, lower, person, TOKEN } from './devnet.js';
import { type Lie, lied } from './lies.js';
import { OddCollection } from './odd.js';
import type { Random } from './random.js';

const SECS_PER_DAY = 86_400n;
const QUOTA = 1_000n * TOKEN;
export const DELAY = 600n;
const ZERO: Address = `0x${'0'.repeat(40)}`;
export const HOLDING = Array.from({ length: 6 }, (_, i) => person(10 + i));


type DayOwner = Pick<LicenseDay, 'holder' | 'renter' | 'uncounted'>;

export interface ToldDay {
  day: string;
  lie: Lie | undefined;
  commit: RewardCommit;
  rule: Rule['name'];
  excused: number;
  format: Format;
  /** Licenses that are not counted. */
  uncounted: number;
}

export class Story {
  readonly days: ToldDay[] = [];
  /** The holder of each token, from token 1 on. */
  private readonly owned: number[] = [];
  private before: PreviousDay = FIRST_DAY;
  private revision = 0;
  private keys = 0;
  private ownKeys = false;
  private key = privateKeyToAccount(`0x${'1'.repeat(64)}`);

  constructor(
    readonly devnet: Devnet,
    private readonly odd: OddCollection,
    private readonly folder: string,
    private readonly random: Random,
  ) {}

  static async begin(folder: string, random: Random): Promise<Story> {
    const first = epochOf('2026-01-01') as bigint;
    const devnet = await Devnet.start(first * SECS_PER_DAY + 3_600n);
    try {
      await devnet.deploy({ name: 'acme', dailyQuota: QUOTA, delay: DELAY, funds: 1_000_000n * TOKEN });
      const story = new Story(devnet, await OddCollection.create(devnet), folder, random);
      await story.rotate();
      for (let i = 0; i < 4 + random.int(5); i += 1) await story.mint();
      return story;
    } catch (error) {
      devnet.stop();
      throw error;
    }
  }

  private async mint(): Promise<void> {
    const { devnet } = this;
    const holder = this.random.int(HOLDING.length);
    await devnet.call(devnet.people.owner, 'NodeLicense', devnet.collection, 'mint', [HOLDING[holder]?.address]);
    this.owned.push(holder);
  }

  private async rotate(): Promise<void> {
    this.keys += 1;
    this.key = privateKeyToAccount(`0x${`${this.keys}`.padStart(64, '7')}`);
    // Once the project has a key of its own, the network's count no more.
    this.ownKeys ||= this.keys > 2 && this.random.oneIn(2);
    await this.devnet.receiptKey(lower(this.key.address), this.ownKeys ? 'project' : 'network');
  }

  /** What happens during a day: licenses change hands. */
  private async live(): Promise<void> {
    const { random, devnet } = this;
    for (let i = 0; i < random.int(3); i += 1) {
      const license = random.int(this.owned.length);
      const holder = HOLDING[this.owned[license] as number] as (typeof HOLDING)[number];
      if (random.oneIn(2)) {
        const to = random.int(HOLDING.length);
        const args = [holder.address, HOLDING[to]?.address, BigInt(license + 1)];
        await devnet.call(holder, 'NodeLicense', devnet.collection, 'transferFrom', args);
        this.owned[license] = to;
      } else {
        const until = (await devnet.now()) + random.below(3n * SECS_PER_DAY);
        const renter = random.pick(HOLDING).address;
        // A running rental cannot be replaced.
        await devnet.attempt(holder, 'NodeLicense', devnet.collection, 'setUser', [BigInt(license + 1), renter, until]);
      }
    }
    if (random.oneIn(4)) await this.mint();
    if (random.oneIn(2)) await this.odd.add(random);
    if (random.oneIn(5)) await this.rotate();
  }

  private uptime(): UptimeRow[] {
    const { random } = this;
    const tokens = (collection: Address, { length }: ArrayLike<unknown>, first: number) =>
      Array.from({ length }, (_, i) => ({ license: first + 2 * i, collection, tokenId: BigInt(i + 1) }));
    const all = [...tokens(this.devnet.collection, this.owned, 0), ...tokens(this.odd.address, this.odd.tokens, 1)];
    return all.sort((a, b) => a.license - b.license).flatMap((token) => {
      // A license that was never leased has no row.
      if (token.license > 0 && random.oneIn(12)) return [];
      const expected = random.oneIn(3) ? random.int(1441) : 1440;
      const seen = fromMinuteOn(random.oneIn(2) ? 1440 - expected : random.int(1441));
      for (let hole = 0; hole < random.int(4); hole += 1) seen.fill(0, random.int(180), random.int(180));
      return [{ ...token, minutes: countMinutes(seen), expected, bitmap: seen }];
    });
  }

  private rule(): Rule {
    const { random } = this;
    const minimum_uptime_ppm = random.oneIn(2) ? 0 : random.int(1_000_001);
    const rate = random.oneIn(3) ? random.below(1n << 62n) : 1440n;
    const tasks = { per_task: random.below(50n) + 1n, max_tasks: random.int(20) };
    return random.pick<Rule>([
      { name: 'uptime', rate, minimum_uptime_ppm },
      { name: 'tasks', ...tasks, minimum_uptime_ppm },
      { name: 'uptime_tasks', rate, ...tasks, minimum_uptime_ppm },
    ]);
  }

  private terms(): Terms {
    const { random } = this;
    const excluded = HOLDING.filter(() => random.oneIn(8)).map((one) => lower(one.address)).sort();
    return {
      day_reward: random.oneIn(8) ? 0n : random.below(QUOTA + QUOTA / 4n),
      rule: this.rule(),
      beneficiary: random.oneIn(4) ? 'holder' : 'renter',
      excluded,
    };
  }

  private async closed(epoch: bigint, uptimeCsv: Hash, excused: Bitmap): Promise<ClosedUptime> {
    const { random, devnet } = this;
    const path = Array.from({ length: random.int(4) }, () => random.hex(32) as Hash);
    const uptimeHash = rootOf(uptimeLeaf(devnet.distributor, uptimeCsv, excused), path);
    const message = { day: epoch, uptimeHash, evidenceRoot: random.hex(32) as Hash };
    const data = typedData(domainOf(31_337, devnet.registry), 'DayClosed', message);
    const signature = await this.key.signTypedData(data as Parameters<typeof this.key.signTypedData>[0]);
    const wire = toWire('DayClosed', message) as { uptime_hash: Hash; evidence_root: Hash };
    return {
      closed: { message: { day: epoch, uptime_hash: wire.uptime_hash, evidence_root: wire.evidence_root }, signature },
      receipt_key: lower(this.key.address),
      uptime_csv: uptimeCsv,
      excused,
      path,
    };
  }

  /** Tells the next day; with a lie where one is given. */
  async tell(lie: Lie | undefined): Promise<void> {
    const { devnet, random } = this;
    await this.live();
    const epoch = (await devnet.now()) / SECS_PER_DAY;
    const block = await devnet.mineAt((epoch + 1n) * SECS_PER_DAY + random.below(30n));
    const uptime = this.uptime();
    const excused = random.oneIn(3) ? fromMinuteOn(1440 - random.int(400)) : new Uint8Array(180);
    const closed = await this.closed(epoch, await tableHash(UPTIME, uptime), excused);
    const terms = this.terms();
    const format: Format = lie === undefined && random.oneIn(3) ? FORMAT_1 : FORMAT_2;
    const licenses: LicenseDay[] = [];
    for (const row of uptime) {
      const owner = await this.ownerAt(row, format, block);
      const points = pointsWith(possiblePoints(terms.rule, row, excused), random.below(25n));
      licenses.push({ license: row.license, minutes: row.minutes, points, ...owner });
    }
    const project = { chain_id: 31_337n, registry: devnet.registry, distributor: devnet.distributor, name: 'acme' };
    const snapshot = { block_number: block.number, block_hash: block.hash, block_secs: block.timestamp };
    const input = {
      format, project, epoch, revision: this.revision, dailyQuota: QUOTA, terms, snapshot, closed, licenses, before: this.before,
    };
    const honest = await buildDay(input);
    if (lie === undefined && random.oneIn(4)) await this.revoked(honest);
    const built = await buildDay({ ...input, revision: this.revision });
    const files = dayFiles(built, uptime, licenses);
    const told = lie === undefined ? built.bundle : await lied(lie, built.bundle, files, random);
    const bundleJson = writeBundle(told);
    files.set('bundle.json', bundleJson);
    const commit = await commitOf(told, bundleJson);
    await this.post(commit, files);
    const rewards = parseTable(REWARDS, files.get('rewards.csv') as Uint8Array);
    this.before = { commit: structHash('RewardCommit', commit), rewards, carry: told.carry_out };
    this.days.push({
      day: dayOf(epoch), lie, commit, rule: terms.rule.name, excused: countMinutes(excused), format,
      uncounted: licenses.filter((one) => one.uncounted !== undefined).length,
    });
  }

  private async ownerAt({ collection, tokenId }: Token, format: Format, block: { timestamp: bigint }): Promise<DayOwner> {
    if (collection === this.odd.address) {
      const { last, reason } = this.odd.tokens[Number(tokenId) - 1] as (typeof this.odd.tokens)[number];
      const counts = format === FORMAT_1 || reason === undefined;
      return counts ? last : { holder: ZERO, renter: ZERO, uncounted: reason };
    }
    const { client } = this.devnet;
    const { abi } = artifact('NodeLicense');
    const read = (functionName: string) =>
      client.readContract({ address: collection, abi, functionName, args: [tokenId] });
    const [holder, renter, until] = [await read('ownerOf'), await read('userOf'), await read('userExpires')];
    const runs = (until as bigint) >= block.timestamp;
    return { holder: lower(holder as string), renter: runs ? lower(renter as string) : ZERO };
  }

  private async post(commit: RewardCommit, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const { devnet } = this;
    const { signer, poster } = devnet.people;
    const data = typedData(domainOf(31_337, devnet.distributor), 'RewardCommit', commit);
    const signature: Hex = await signer.signTypedData(data as Parameters<typeof signer.signTypedData>[0]);
    await devnet.call(poster, 'RewardDistributor', devnet.distributor, 'post', [commit, signature]);
    const folder = join(this.folder, devnet.distributor, dayOf(commit.epoch));
    mkdirSync(folder, { recursive: true });
    for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
    const signed = canonicalJson({ commit: toWire('RewardCommit', commit), signature });
    writeFileSync(join(folder, 'commit.json'), signed);
  }

  /** A commit that is posted and revoked: the same day is posted again with the next revision. */
  private async revoked(day: BuiltDay): Promise<void> {
    const { devnet } = this;
    const last = this.days.at(-1)?.commit;
    const genesis = {
      epoch: 0n, revision: 0, previous: `0x${'0'.repeat(64)}`, root: `0x${'0'.repeat(64)}`, total: 0n,
      dataHash: `0x${'0'.repeat(64)}`,
    };
    await this.post(day.commit, new Map());
    const args = [[day.commit], last ?? genesis];
    await devnet.call(devnet.people.owner, 'RewardDistributor', devnet.distributor, 'revoke', args);
    this.revision += 1;
  }
}
