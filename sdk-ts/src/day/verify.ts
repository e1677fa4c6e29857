/**
 * One day, judged from what the chain says and the bytes that were committed.
 *
 * A day holds when the rebuilt commit is the posted one and every fact that the bundle states is the chain's.
 * A table that others determine is computed, and only its committed hash is asked for.
 */

import { type Bundle, BUNDLE_JSON, bundleValue, FORMAT_1, parseBundle, UnknownFormat } from '../formats/bundle.js';
import { type JsonDifference, jsonDifference } from '../formats/json.js';
import type { Difference } from '../formats/reader.js';
import { HOLDERS, POINTS, type PointsRow, REWARDS, type Table, UNCOUNTED, UPTIME } from '../formats/tables.js';
import { digest, domainOf, structHash } from '../messages.js';
import { type Address, dayOf, type Hash, ParseError, SECS_PER_DAY } from '../parse.js';
import { signerOf } from '../signature.js';
import { AmountError } from './allocation.js';
import {
  type BuiltDay, buildDay, commitOf, DayError, type LicenseDay, type PreviousDay, tableHash, uncountedOf, uptimeLeaf,
} from './build.js';
import { at, COMMITTED, compareHolders, type DayHolders, suspects } from './compare.js';
import { type DayFacts, type Fact, type Token } from './facts.js';
import { holdersOf } from './holders.js';
import { type Places, type Reading, Whole } from './places.js';
import { Compared, Rows } from './readings.js';
import { CHECKS, type CheckName, type DayReport, type Doubt, type Finding, type PassedOver, verdictOf }
  from './report.js';
import { countsTasks, type PossiblePoints, possiblePoints, ruleGives, ruleProblem, tasksIn } from './rule.js';
import { rootOf, TreeError } from './tree.js';

export interface DayOutcome {
  report: DayReport;
  findings: Finding[];
  doubts: Doubt[];
  passedOver: PassedOver[];
  /** What the next day builds on, where that is sure. */
  after: PreviousDay | undefined;
}

/** Verifies one day. `before` is what it builds on, where that is known; `onCheck` is told each step that begins. */
export async function verifyDay(
  facts: DayFacts,
  places: Places,
  before: Fact<PreviousDay>,
  onCheck?: (check: CheckName) => void,
): Promise<DayOutcome> {
  return new Verification(facts, places, onCheck).run(before);
}

/** A row of uptime.csv without its bitmap, of which only the rule knew. */
interface License extends Token {
  license: number;
  minutes: number;
  possible: PossiblePoints;
}

class Verification {
  private readonly day: string;
  private readonly findings: Finding[] = [];
  private readonly doubts: Doubt[] = [];
  private readonly passedOver: PassedOver[] = [];
  private readonly reached = new Set<CheckName>();
  private readonly report: DayReport;
  private check: CheckName = 'bundle';

  constructor(
    private readonly facts: DayFacts,
    private readonly places: Places,
    private readonly onCheck?: (check: CheckName) => void,
  ) {
    const { posted } = facts;
    this.day = posted.day;
    this.report = {
      day: posted.day,
      verdict: 'cannot_tell',
      checks: [],
      commitHash: posted.commitHash,
      root: posted.commit.root,
      transaction: posted.transaction,
      total: posted.commit.total,
      licenses: 0,
      minutes: 0,
      accounts: 0,
      allocated: undefined,
      carryOut: undefined,
      active: false,
    };
  }

  async run(before: Fact<PreviousDay>): Promise<DayOutcome> {
    const after = await this.steps(before);
    const of = (check: CheckName) => (one: { check: CheckName | undefined }) => one.check === check;
    this.report.checks = CHECKS.map((check) => {
      const [findings, doubts] = [this.findings.filter(of(check)), this.doubts.filter(of(check))];
      const verdict = verdictOf(findings, this.reached.has(check) ? doubts : ['not reached']);
      return { check, verdict };
    });
    this.report.verdict = verdictOf(this.findings, this.doubts);
    const { report, findings, doubts, passedOver } = this;
    return { report, findings, doubts, passedOver, after };
  }

  private begin(check: CheckName): void {
    this.check = check;
    this.reached.add(check);
    this.onCheck?.(check);
  }

  private async steps(before: Fact<PreviousDay>): Promise<PreviousDay | undefined> {
    this.begin('bundle');
    const dataHash = this.facts.posted.commit.dataHash;
    const json = await this.read(BUNDLE_JSON, dataHash, () => new Whole());
    if (json === undefined) {
      this.withheld(BUNDLE_JSON);
      return undefined;
    }
    const bundle = this.parse(json);
    if (bundle === undefined) return undefined;
    await this.checkCommit(bundle, json);
    await this.checkClosed(bundle);
    await this.checkSnapshot(bundle);
    await this.checkQuota(bundle);

    const licenses = await this.uptime(bundle);
    const points = licenses && (await this.points(bundle, licenses));
    const holders = licenses && (await this.holders(bundle, licenses));
    this.begin('previous day');
    if (!before.known) this.doubt(before.reason);
    let built: BuiltDay | undefined;
    if (licenses !== undefined && points !== undefined && holders !== undefined && before.known) {
      built = await this.rebuild(bundle, licenses, points, holders, before.value);
    }
    if (built !== undefined) {
      this.report.accounts = built.rewards.length;
      this.report.allocated = built.bundle.totals.allocated;
      this.report.carryOut = built.bundle.carry_out;
    }
    return this.after(bundle, built);
  }

  private parse(json: Uint8Array): Bundle | undefined {
    try {
      return parseBundle(json);
    } catch (error) {
      if (error instanceof UnknownFormat) {
        this.doubt(error.message, BUNDLE_JSON, 'use a newer version of nodesys-sdk');
      } else if (error instanceof ParseError) {
        this.found(error.message, BUNDLE_JSON);
      } else {
        throw error;
      }
      return undefined;
    }
  }

  /** The bundle is of the commit that the chain has: its other fields are fixed by their hash. */
  private async checkCommit(bundle: Bundle, json: Uint8Array): Promise<void> {
    this.begin('commit');
    const [given, { commit, commitHash }] = [await commitOf(bundle, json), this.facts.posted];
    for (const field of ['epoch', 'revision', 'previous', 'root', 'total', 'dataHash'] as const) {
      if (given[field] === commit[field]) continue;
      const pointer = field === 'total' ? '/totals/cumulative' : `/${field}`;
      const difference = { pointer, given: `${given[field]}`, computed: `${commit[field]}` };
      this.differs('the commit on chain says otherwise', json1(difference));
    }
    if (structHash('RewardCommit', commit) !== commitHash) this.found('the hash of the posted commit is another');
    const difference = jsonDifference(bundle.project, this.facts.project, '/project');
    if (difference !== undefined) this.differs('it is of another project', json1(difference));
  }

  /** The backend's word for the uptime file: signature, path, and a key that the registry has. */
  private async checkClosed(bundle: Bundle): Promise<void> {
    this.begin('closed day');
    const { project, posted } = this.facts;
    const { closed, path, receipt_key: key, uptime_csv: csv, excused } = bundle.uptime;
    const { day, uptime_hash: uptimeHash, evidence_root: evidenceRoot } = closed.message;
    const signed = digest(domainOf(project.chain_id, project.registry), 'DayClosed', { day, uptimeHash, evidenceRoot });
    if ((await signerOf(signed, closed.signature)) !== key) {
      this.found(`the closed day: its signature is not that of the receipt key ${key}`, BUNDLE_JSON);
    } else if (day !== posted.commit.epoch) {
      this.found(`the closed day: the signed day is ${dayOf(day)}, expected ${this.day}`, BUNDLE_JSON);
    } else if (rootOf(uptimeLeaf(project.distributor, csv, excused), path) !== uptimeHash) {
      this.found(`the closed day: uptime.csv (keccak256 ${csv}) is not in the signed uptime hash`, BUNDLE_JSON);
    }
    if (bundle.files[UPTIME.file] !== csv) {
      this.found('the closed day was signed for another uptime.csv', BUNDLE_JSON);
    }
    const [recorded, postedSecs] = [await this.facts.receiptKey(key), await this.facts.postedSecs()];
    const ends = (posted.commit.epoch + 1n) * SECS_PER_DAY;
    if (!recorded.known) this.doubt(`the receipt key ${key}: ${recorded.reason}`);
    else if (!postedSecs.known) this.doubt(`the receipt key ${key}: ${postedSecs.reason}`);
    // Signed at some moment between the day's end and the post.
    else if (!recorded.value.some(({ from, until }) => from <= postedSecs.value && ends < until)) {
      this.found(`its receipt key ${key} is not recorded in the registry for then`, BUNDLE_JSON);
    }
  }

  private async checkSnapshot(bundle: Bundle): Promise<void> {
    this.begin('snapshot');
    const snapshot = await this.facts.snapshot();
    if (!snapshot.known) {
      this.doubt(`the snapshot block: ${snapshot.reason}`);
      return;
    }
    const difference = jsonDifference(bundle.snapshot, snapshot.value, '/snapshot');
    if (difference !== undefined) this.differs("it is not the first block past the day's end", json1(difference));
  }

  private async checkQuota(bundle: Bundle): Promise<void> {
    this.begin('quota');
    const quotas = await this.facts.quotas();
    if (!quotas.known) {
      this.doubt(`the daily quota: ${quotas.reason}`);
    } else if (!quotas.value.includes(bundle.daily_quota)) {
      const computed = quotas.value.at(-1)?.toString();
      const difference = { pointer: '/daily_quota', given: `${bundle.daily_quota}`, computed };
      this.differs('it was not the daily quota then', json1(difference));
    }
  }

  private async uptime(bundle: Bundle): Promise<License[] | undefined> {
    this.begin('uptime');
    const problem = ruleProblem(bundle.terms.rule);
    const read = await this.rows(bundle, UPTIME, (row) => ({
      license: row.license,
      collection: row.collection,
      tokenId: row.tokenId,
      minutes: row.minutes,
      possible: possiblePoints(bundle.terms.rule, row, bundle.uptime.excused),
    }));
    if (read === undefined) return undefined;
    this.report.licenses = read.length;
    this.report.minutes = read.reduce((sum, row) => sum + row.minutes, 0);
    await this.checkCollections(read);
    if (problem === undefined) return read;
    this.found(`the day cannot be rebuilt: ${problem}`, BUNDLE_JSON);
    return undefined;
  }

  private async checkCollections(rows: readonly License[]): Promise<void> {
    this.begin('collections');
    const first = new Map<Address, number>();
    rows.forEach((row, i) => {
      if (!first.has(row.collection)) first.set(row.collection, i);
    });
    let reason: string | undefined;
    for (const [collection, i] of first) {
      const listed = await this.facts.listed(collection);
      if (!listed.known) {
        reason ??= listed.reason;
      } else if (!listed.value) {
        const { license, tokenId, minutes } = rows[i] as License;
        const given = `${license},${collection},${tokenId},${minutes},...`;
        this.differs(`the project does not list the collection ${collection}`, at(UPTIME, i + 2, given, undefined));
        return;
      }
    }
    if (reason !== undefined) this.doubt(`whether the project lists its collections: ${reason}`);
  }

  /** By the rule where uptime decides, else as they were committed, held to what the rule can give. */
  private async points(bundle: Bundle, licenses: readonly License[]): Promise<bigint[] | undefined> {
    this.begin('points');
    const computed = licenses.map(({ license, possible }) => ({ license, points: possible.uptime }));
    // Below the minimum uptime, tasks earn nothing either: then no license is undecided.
    if (!countsTasks(bundle.terms.rule) || licenses.every(({ possible }) => possible.perTask === 0n)) {
      await this.holdAgainst(bundle, POINTS, computed, 'the rule gives other points');
      return computed.map((row) => row.points);
    }
    // How many tasks were counted is in this file and nowhere else.
    const rows = await this.rows<PointsRow, PointsRow>(bundle, POINTS, (row) => row);
    if (rows === undefined || !this.sameLicenses(POINTS, licenses, rows)) return undefined;
    const wrong = rows.findIndex((row, i) => tasksIn((licenses[i] as License).possible, row.points) === undefined);
    if (wrong < 0) return rows.map((row) => row.points);
    const gives = ruleGives((licenses[wrong] as License).possible);
    this.differs(gives, at(POINTS, wrong + 2, POINTS.write(rows[wrong] as PointsRow), undefined));
    return undefined;
  }

  private sameLicenses<Row extends { license: number }>(
    table: Table<Row>,
    licenses: readonly License[],
    rows: readonly Row[],
  ): boolean {
    const count = Math.max(licenses.length, rows.length);
    for (let i = 0; i < count; i += 1) {
      const [license, row] = [licenses[i]?.license, rows[i]];
      if (license === row?.license) continue;
      const given = row === undefined ? undefined : table.write(row);
      const problem =
        license === undefined || (row !== undefined && row.license < license)
          ? 'there is no such license in uptime.csv'
          : `license ${license} of uptime.csv has no row`;
      this.differs(problem, at(table, i + 2, given, license === undefined ? undefined : `${license},...`));
      return false;
    }
    return true;
  }

  /** Holders, renters and who is not counted, as committed, once each row is held against the chain. */
  private async holders(bundle: Bundle, licenses: readonly License[]): Promise<DayHolders | undefined> {
    this.begin('holders');
    const rows = holdersOf(this.facts, licenses, bundle);
    const ours = { rows, uncounted: uncountedOf(rows) };
    const [holders, uncounted] = [
      await this.committedRows(bundle, HOLDERS, ours.rows),
      bundle.format === FORMAT_1 ? ours.uncounted : await this.committedRows(bundle, UNCOUNTED, ours.uncounted),
    ];
    if (holders === ours.rows && uncounted === ours.uncounted) return ours;
    const all = Array.isArray(holders) && Array.isArray(uncounted);
    const committed = all ? { rows: holders, uncounted } : undefined;
    const doubtful = await this.facts.doubtful(suspects(committed, ours, licenses));
    if (committed === undefined) {
      for (const [read, { file }] of [[holders, HOLDERS], [uncounted, UNCOUNTED]] as const) {
        if (read !== undefined) continue;
        if (doubtful.size === 0) this.found('its committed hash is not that of the holders on chain', file);
        else this.withheld(file);
      }
      return undefined;
    }
    const { differences, doubt } = compareHolders(committed, ours, licenses, doubtful);
    for (const { problem, difference } of differences) this.differs(problem, difference);
    if (doubt !== undefined) this.doubt(doubt);
    return committed;
  }

  /** The rows of a table as they were committed: ours where they have its hash. */
  private async committedRows<Row>(
    bundle: Bundle,
    table: Table<Row>,
    ours: readonly Row[],
  ): Promise<readonly Row[] | 'refused' | undefined> {
    if (bundle.files[table.file] === (await tableHash(table, ours))) return ours;
    return this.readRows<Row, Row>(bundle, table, (row) => row);
  }

  /** The day from what was committed: what it gives must be what was. */
  private async rebuild(
    bundle: Bundle,
    licenses: readonly License[],
    points: readonly bigint[],
    holders: DayHolders,
    before: PreviousDay,
  ): Promise<BuiltDay | undefined> {
    this.begin('rewards');
    const { project, posted } = this.facts;
    const { revision, epoch } = posted.commit;
    const { format, daily_quota: dailyQuota, terms, snapshot, uptime: closed } = bundle;
    let built: BuiltDay;
    try {
      built = await buildDay({
        format, project, epoch, revision, dailyQuota, terms, snapshot, closed, before,
        licenses: licenseDays(licenses, points, holders),
      });
    } catch (error) {
      if (!(error instanceof DayError || error instanceof AmountError || error instanceof TreeError)) throw error;
      this.found(`the day cannot be rebuilt: ${error.message}`);
      return undefined;
    }
    await this.holdAgainst(bundle, REWARDS, built.rewards, COMMITTED);
    this.begin('root');
    // Only where nothing else was found: every other difference shows in bundle.json as well.
    if (this.findings.length === 0) {
      const difference = jsonDifference(bundleValue(bundle), bundleValue(built.bundle));
      if (difference !== undefined) this.differs("it is not what the day's files give", json1(difference));
      else if (built.commitHash !== posted.commitHash) this.found('the rebuilt commit is not the posted one');
    }
    return built;
  }

  /** A table that others determine: where its committed hash is another, the first row that differs is named. */
  private async holdAgainst<Row>(
    bundle: Bundle,
    table: Table<Row>,
    rows: readonly Row[],
    problem: string,
  ): Promise<void> {
    const expected = hashOf(bundle, table);
    if (expected === (await tableHash(table, rows))) return;
    const given = expected && (await this.read(table.file, expected, () => new Compared(table, rows)));
    if (given?.difference !== undefined) this.differs(problem, given.difference);
    else this.found(`${problem}: its committed hash is not that of the right file`, table.file);
  }

  /** The committed rows of a table that nothing else determines; in doubt where nobody gives it. */
  private async rows<Row, T>(bundle: Bundle, table: Table<Row>, take: (row: Row) => T): Promise<T[] | undefined> {
    const rows = await this.readRows(bundle, table, take);
    if (rows === 'refused') return undefined;
    if (rows === undefined) this.withheld(table.file);
    return rows;
  }

  /** `refused` where the committed bytes cannot be read: that is found, as is that no hash is named. */
  private async readRows<Row, T>(
    bundle: Bundle,
    table: Table<Row>,
    take: (row: Row) => T,
  ): Promise<T[] | 'refused' | undefined> {
    const expected = hashOf(bundle, table);
    if (expected === undefined) {
      this.found(`it names no hash of ${table.file}`, BUNDLE_JSON);
      return undefined;
    }
    const taking = () => new Rows(table, take);
    const read = await this.read(table.file, expected, taking);
    if (read?.error === undefined) return read?.rows;
    const { line, given, problem } = read.error;
    this.differs(problem, at(table, line, given, undefined));
    return 'refused';
  }

  private async read<T>(file: string, expected: Hash, reading: () => Reading<T>): Promise<T | undefined> {
    const { distributor } = this.facts.project;
    const fetched = await this.places.committed(distributor, this.day, file, expected, reading);
    this.passedOver.push(...fetched.passedOver);
    return fetched.value;
  }

  /** What the next day builds on: by what was committed, even where that was wrong. */
  private async after(bundle: Bundle, built: BuiltDay | undefined): Promise<PreviousDay | undefined> {
    const { commitHash } = this.facts.posted;
    if (built?.commitHash === commitHash) {
      return { commit: commitHash, rewards: built.rewards, carry: built.bundle.carry_out };
    }
    const expected = hashOf(bundle, REWARDS);
    if (expected === undefined) return undefined;
    const read = await this.read(REWARDS.file, expected, () => new Rows(REWARDS, (row) => row));
    if (read === undefined || read.error !== undefined) return undefined;
    return { commit: commitHash, rewards: read.rows, carry: bundle.carry_out };
  }

  private found(problem: string, file?: string): void {
    this.findings.push({ day: this.day, check: this.check, file, problem, difference: undefined });
  }

  private differs(problem: string, difference: Difference): void {
    this.findings.push({ day: this.day, check: this.check, file: difference.file, problem, difference });
  }

  private doubt(problem: string, file?: string, fix = ASK_ANOTHER_RPC): void {
    this.doubts.push({ day: this.day, check: this.check, file, problem, fix });
  }

  /** Nobody gave the committed bytes of a file that nothing else determines. */
  private withheld(file: string): void {
    const asked = this.passedOver.filter((one) => one.file === file);
    const words = asked.map((one) => `${one.place}: ${one.problem}`).join('; ');
    const altered = asked.some((one) => one.reason === 'altered');
    const problem = altered ? 'no place gave it as it was committed' : 'no place gave it';
    const fix = 'name another place, or ask the owner to publish it';
    this.doubt(words === '' ? problem : `${problem} (${words})`, file, fix);
  }
}

export const ASK_ANOTHER_RPC = "try again in a minute, or name another RPC with the project's whole history";

const hashOf = <Row>(bundle: Bundle, { file }: Table<Row>): Hash | undefined =>
  Object.hasOwn(bundle.files, file) ? bundle.files[file] : undefined;

/** Tables as one: each has the licenses of uptime.csv, or the day cannot be built. */
function licenseDays(licenses: readonly License[], points: readonly bigint[], holders: DayHolders): LicenseDay[] {
  const reasons = new Map(holders.uncounted.map(({ license, reason }) => [license, reason]));
  if (holders.rows.length > licenses.length) throw new DayError('holders.csv has more licenses than uptime.csv');
  const days = licenses.map(({ license, minutes }, i) => {
    const row = holders.rows[i];
    if (row?.license !== license) throw new DayError(`license ${license} has no row in holders.csv`);
    const { holder, renter } = row;
    return { license, minutes, points: points[i] as bigint, holder, renter, uncounted: reasons.get(license) };
  });
  const known = new Set(licenses.map(({ license }) => license));
  const unknown = holders.uncounted.find(({ license }) => !known.has(license));
  if (unknown !== undefined) throw new DayError(`license ${unknown.license} is not in uptime.csv`);
  return days;
}

function json1({ pointer, given, computed }: JsonDifference): Difference {
  return { file: BUNDLE_JSON, line: 1, header: pointer, given, computed };
}
