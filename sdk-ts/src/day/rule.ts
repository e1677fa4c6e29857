/** Points: a project's rule turns a day's uptime, and the tasks accepted in it, into whole points. */

import { type Bitmap, MILLION, ratioPpm } from '../formats/bitmap.js';
import type { UptimeRow } from '../formats/tables.js';
import { object, oneOf, ParseError, type Parser, points, uint32 } from '../parse.js';

export interface UptimeRule {
  name: 'uptime';
  /** Points of a license that is up all day. */
  rate: bigint;
  /** Least ratio of uptime that earns, in parts per million. */
  minimum_uptime_ppm: number;
}
export interface TasksRule {
  name: 'tasks';
  /** Points of one accepted task. */
  per_task: bigint;
  /** Most tasks of one license and day that count. */
  max_tasks: number;
  minimum_uptime_ppm: number;
}
export interface UptimeTasksRule {
  name: 'uptime_tasks';
  rate: bigint;
  per_task: bigint;
  max_tasks: number;
  minimum_uptime_ppm: number;
}
export type Rule = UptimeRule | TasksRule | UptimeTasksRule;

const minimum = { minimum_uptime_ppm: uint32 };
const tasks = { per_task: points, max_tasks: uint32 };
const RULES: Record<Rule['name'], Parser<Rule>> = {
  uptime: object({ name: oneOf('uptime'), rate: points, ...minimum }),
  tasks: object({ name: oneOf('tasks'), ...tasks, ...minimum }),
  uptime_tasks: object({ name: oneOf('uptime_tasks'), rate: points, ...tasks, ...minimum }),
};

/** Reads a rule by its name. */
export const rule: Parser<Rule> = (value, path = '') => {
  const named = oneOf('uptime', 'tasks', 'uptime_tasks')((value as { name?: unknown } | null)?.name, `${path}/name`);
  return RULES[named](value, path);
};

const POINTS_END = 1n << 63n;

/** Why a rule's parameters are out of range; `undefined` where they are not. */
export function ruleProblem(rule: Rule): string | undefined {
  if (rule.minimum_uptime_ppm > MILLION) {
    return `minimum_uptime_ppm is ${rule.minimum_uptime_ppm}, but one million parts per million are the whole day`;
  }
  if (rule.name === 'uptime') return undefined;
  if (rule.per_task === 0n) return 'per_task is 0: use the rule `uptime` where tasks earn nothing';
  const most = rateOf(rule) + rule.per_task * BigInt(rule.max_tasks);
  return most < POINTS_END ? undefined : `up to ${most} points leave the range of points (2^63)`;
}

/** Whether tasks earn points, so that uptime alone does not decide. */
export function countsTasks(rule: Rule): boolean {
  return rule.name !== 'uptime';
}

const rateOf = (rule: Rule) => (rule.name === 'tasks' ? 0n : rule.rate);

/** The part for uptime; `undefined` below the minimum, where nothing earns. */
function uptimePoints(rule: Rule, row: UptimeRow, excused: Bitmap): bigint | undefined {
  const least = rule.minimum_uptime_ppm;
  if (least > 0 && ratioPpm(row.bitmap, row.expected, excused) < least) return undefined;
  return (BigInt(row.minutes) * rateOf(rule)) / 1440n;
}

/** What a rule can give one license: from, to, and in which steps. */
export interface PossiblePoints {
  /** The points for uptime. */
  uptime: bigint;
  /** Points of one task, zero where tasks earn nothing. */
  perTask: bigint;
  /** The most tasks that count. */
  maxTasks: number;
}

export function possiblePoints(rule: Rule, row: UptimeRow, excused: Bitmap): PossiblePoints {
  const uptime = uptimePoints(rule, row, excused);
  if (uptime === undefined || rule.name === 'uptime') return { uptime: uptime ?? 0n, perTask: 0n, maxTasks: 0 };
  return { uptime, perTask: rule.per_task, maxTasks: rule.max_tasks };
}

/** How many tasks these points count; `undefined` where the rule cannot give them. */
export function tasksIn(possible: PossiblePoints, given: bigint): bigint | undefined {
  const above = given - possible.uptime;
  if (above === 0n) return 0n;
  if (above < 0n || possible.perTask === 0n || above % possible.perTask !== 0n) return undefined;
  const tasks = above / possible.perTask;
  return tasks <= BigInt(possible.maxTasks) ? tasks : undefined;
}

/** In words, what the rule gives instead. */
export function ruleGives({ uptime, perTask, maxTasks }: PossiblePoints): string {
  return perTask === 0n
    ? `the rule gives ${uptime}`
    : `the rule gives ${uptime} for uptime and ${perTask} for each of at most ${maxTasks} tasks`;
}

/** The points with this many tasks accepted in the day. */
export function pointsWith(possible: PossiblePoints, tasks: bigint): bigint {
  const counted = tasks < BigInt(possible.maxTasks) ? tasks : BigInt(possible.maxTasks);
  const sum = possible.uptime + possible.perTask * counted;
  if (sum >= POINTS_END) throw new ParseError('points', 'the sum leaves the range of points (2^63)');
  return sum;
}

