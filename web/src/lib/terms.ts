/** A rule for points, in a sentence. */

import type { Rule } from '../../../sdk-ts/src/day/rule.js';
import { count } from './format.js';

export function ruleWords(rule: Rule): string {
  const percent = rule.minimum_uptime_ppm / 10_000;
  const least = percent === 0 ? '' : ` Below ${percent} % of its minutes it earns none.`;
  const uptime = rule.name === 'tasks' ? '' : `A license that is up all day earns ${count(rule.rate)} points, and in proportion for less.`;
  const tasks = rule.name === 'uptime' ? ''
    : ` Each accepted task earns ${count(rule.per_task)} points, for ${count(rule.max_tasks)} tasks a day at most.`;
  return `${uptime}${tasks}${least}`.trim();
}
