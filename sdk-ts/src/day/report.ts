/** What a verification says: three answers, and the place to blame. */

import type { Difference } from '../formats/reader.js';
import type { Address, Hash } from '../parse.js';

/**
 * `holds`: everything was recomputed and is right. `does_not_hold`: committed bytes and agreed facts
 * contradict each other. `cannot_tell`: something is missing, and nobody is accused.
 */
export type Verdict = 'holds' | 'cannot_tell' | 'does_not_hold';

/** The steps of a day's verification, in their order. */
export const CHECKS = [
  'bundle', 'commit', 'closed day', 'snapshot', 'quota', 'uptime', 'collections', 'points', 'holders', 'previous day',
  'rewards', 'root',
] as const;
export type CheckName = (typeof CHECKS)[number];

/** One thing that is proven not to hold. */
export interface Finding {
  /** `YYYY-MM-DD`. */
  day: string;
  check: CheckName;
  file: string | undefined;
  problem: string;
  /** The row, with what was given and what was computed. */
  difference: Difference | undefined;
}

/** One thing that cannot be told. */
export interface Doubt {
  /** `undefined` where it concerns all days. */
  day: string | undefined;
  check: CheckName | undefined;
  /** The file that no place gave, where it is one. */
  file: string | undefined;
  problem: string;
  /** What to try. */
  fix: string;
}

/** A place that did not give a file as it was committed. */
export interface PassedOver {
  place: string;
  day: string;
  file: string;
  reason: 'missing' | 'altered' | 'unavailable';
  problem: string;
}

export interface CheckReport {
  check: CheckName;
  verdict: Verdict;
}

export interface DayReport {
  day: string;
  verdict: Verdict;
  checks: CheckReport[];
  commitHash: Hash;
  root: Hash;
  transaction: Hash;
  /** Sum of all amounts up to and with this day, by the chain, in wei. */
  total: bigint;
  licenses: number;
  minutes: number;
  accounts: number;
  /** What the day added, in wei, where it could be recomputed. */
  allocated: bigint | undefined;
  carryOut: bigint | undefined;
  /** Whether its delay had passed at the newest block. */
  active: boolean;
}

export interface AuditReport {
  project: { chainId: bigint; registry: Address; distributor: Address; name: string };
  /** By the word of how many RPCs. */
  rpcs: number;
  verdict: Verdict;
  days: DayReport[];
  /** Days whose commits were revoked. */
  revoked: string[];
  claims: number;
  /** Sum of all claims, in wei. */
  paid: bigint;
  /** Total of the newest active commit, in wei. */
  activeTotal: bigint;
  findings: Finding[];
  doubts: Doubt[];
  passedOver: PassedOver[];
}

export function verdictOf(findings: readonly unknown[], doubts: readonly unknown[]): Verdict {
  if (findings.length > 0) return 'does_not_hold';
  return doubts.length > 0 ? 'cannot_tell' : 'holds';
}

const WORDS: Record<Verdict, string> = {
  holds: 'holds',
  cannot_tell: 'cannot tell',
  does_not_hold: 'DOES NOT HOLD',
};

/** A finding in a line. */
export function findingText({ day, file, problem, difference }: Finding): string {
  if (difference === undefined) return `${day}${file === undefined ? '' : ` ${file}`}: ${problem}`;
  const { given = '(nothing)', computed = '(nothing)' } = difference;
  const at = `${difference.file} line ${difference.line} (${difference.header})`;
  return `${day} ${at}: given ${given}, computed ${computed}; ${problem}`;
}

/** A doubt in a line. */
export function doubtText({ day, file, problem, fix }: Doubt): string {
  return `${day === undefined ? '' : `${day} `}${file === undefined ? '' : `${file}: `}${problem}; ${fix}`;
}

/** A report for people. */
export function reportText(report: AuditReport): string {
  const days = report.days.map(
    (day) =>
      `${day.day}: ${WORDS[day.verdict]} (${day.licenses} licenses, ${day.minutes} minutes, ` +
      `${day.accounts} accounts, total ${day.total} wei, ${day.active ? 'active' : 'not active yet'})`,
  );
  return [
    `project ${report.project.name} (${report.project.distributor})`,
    ...days,
    `claims: ${report.claims} for ${report.paid} wei of ${report.activeTotal} active`,
    ...report.passedOver.map((one) => `passed over: ${one.place}: ${one.day} ${one.file}: ${one.problem}`),
    ...report.doubts.map((one) => `cannot tell: ${doubtText(one)}`),
    ...report.findings.map((one) => `difference: ${findingText(one)}`),
    WORDS[report.verdict],
  ].join('\n');
}
