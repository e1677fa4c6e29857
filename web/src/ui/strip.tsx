/** A day of minutes: a row for each hour, a cell for each minute, told by height, colour and words. */

import { useMemo } from 'react';

import type { Missing } from '../../../sdk-ts/src/api/views.js';
import { clock } from '../lib/format.js';
import { causeWords, counted, type MinuteState, ranges, STATE_WORDS } from '../lib/minutes.js';

/** Top and height of a minute's mark in a row that is 10 high: the shape says the state without its colour. */
const MARKS: Record<MinuteState, [top: number, height: number]> = {
  up: [0, 10], excused: [3, 4], down: [7.5, 2.5], not_expected: [4.6, 0.8], unknown: [0, 10],
};
const ORDER: MinuteState[] = ['up', 'down', 'excused', 'not_expected', 'unknown'];

function path(states: readonly MinuteState[], hour: number, wanted: MinuteState): string {
  const [top, height] = MARKS[wanted];
  let drawn = '';
  for (let minute = 0; minute < 60; minute += 1) {
    if (states[hour * 60 + minute] === wanted) drawn += `M${minute + 0.1} ${top}h.8v${height}h-.8z`;
  }
  return drawn;
}

export function Strip({ day, states, missing }: { day: string; states: readonly MinuteState[]; missing: readonly Missing[] | undefined }) {
  const hours = useMemo(
    () => Array.from({ length: 24 }, (_, hour) =>
      ORDER.map((state) => [state, path(states, hour, state)] as const).filter(([, drawn]) => drawn !== '')),
    [states],
  );
  const found = useMemo(() => ranges(states, missing), [states, missing]);
  const told = found.filter(({ state }) => state !== 'up');
  const words = ORDER.map((state) => [state, counted(states, state)] as const).filter(([, number]) => number > 0)
    .map(([state, number]) => `${number} ${STATE_WORDS[state]}`).join(', ');
  return (
    <>
      <div className="strip" role="img" aria-label={`Minutes of ${day}: ${words}. The list below names them.`}>
        {hours.map((marks, hour) => (
          <div className="hour" key={hour}>
            <span className="hour-name" aria-hidden="true">{clock(hour * 60).slice(0, 2)}</span>
            <svg viewBox="0 0 60 10" preserveAspectRatio="none" aria-hidden="true">
              {marks.map(([state, drawn]) => <path key={state} className={`mark mark-${state}`} d={drawn} />)}
            </svg>
          </div>
        ))}
      </div>
      <Legend states={ORDER} />
      {told.length === 0
        ? <p className="quiet">Every minute of this day is up.</p>
        : (
          <details className="ranges" open={told.length <= 12}>
            <summary>{told.length === 1 ? 'The one range' : `All ${told.length} ranges`} of minutes without credit</summary>
            <ul>
              {told.slice(0, 200).map((range) => (
                <li key={range.from}>
                  <span className="span">{clock(range.from)}–{clock(range.to)}</span>
                  <span className="number">{range.to - range.from} min</span>
                  <span><Mark state={range.state} /> {STATE_WORDS[range.state]}: <span className="quiet">{causeWords(range)}</span></span>
                </li>
              ))}
              {told.length > 200 && <li>and {told.length - 200} more</li>}
            </ul>
          </details>
        )}
    </>
  );
}

/** One minute's mark, as in the strip. */
export function Mark({ state }: { state: MinuteState }) {
  const [top, height] = MARKS[state];
  return (
    <svg className="swatch" viewBox="0 0 6 10" aria-hidden="true">
      <rect className={`mark mark-${state}`} x="1" y={top} width="4" height={height} />
    </svg>
  );
}

export function Legend({ states }: { states: readonly MinuteState[] }) {
  return (
    <ul className="legend" aria-label="What the marks mean">
      {states.map((state) => <li key={state}><Mark state={state} /> {STATE_WORDS[state]}</li>)}
    </ul>
  );
}
