/** A year of days: a cell a day in columns of weeks. Arrow keys move through them; one tab stop in all. */

import { type KeyboardEvent, useEffect, useRef, useState } from 'react';

import { count, dayAfter, dayStart, percent } from '../lib/format.js';
import type { DayCell } from '../lib/minutes.js';

const WORDS: Record<DayCell['state'], string> = {
  up: 'up', partly: 'partly up', down: 'down', excused: 'excused', not_expected: 'not expected', unknown: 'unknown',
  not_yet: 'not yet',
};
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** A day in words. */
export function cellWords({ day, state, minutes, due, excused, closed }: DayCell): string {
  const numbers = due === 0 ? '' : `, ${count(minutes)} of ${count(due)} minutes (${percent(minutes, due)})`;
  return `${day}: ${WORDS[state]}${numbers}${excused > 0 ? `, ${excused} excused` : ''}${state === 'unknown' || state === 'not_yet' || closed ? '' : ', still open'}`;
}

function Shape({ cell }: { cell: DayCell }) {
  const height = cell.due === 0 ? 0 : Math.max(1.5, Math.floor((cell.minutes * 10) / cell.due));
  switch (cell.state) {
    case 'up': return <rect className="mark mark-up" width="10" height="10" rx="1.5" />;
    case 'partly': return (
      <>
        <rect className="outline" x=".5" y=".5" width="9" height="9" rx="1.5" />
        <rect className="mark mark-up" y={10 - height} width="10" height={height} rx="1" />
      </>
    );
    case 'down': return <path className="cross" d="M1.5 1.5l7 7M8.5 1.5l-7 7" />;
    case 'excused': return <path className="hatch" d="M0 4l4-4M0 9l9-9M3 10l7-7M8 10l2-2" />;
    case 'not_expected': return <circle className="mark mark-not_expected" cx="5" cy="5" r="1" />;
    case 'not_yet': return <path className="dash" d="M3 5h4" />;
    case 'unknown': return <text className="question" x="5" y="8.4" textAnchor="middle">?</text>;
  }
}

export function HeatMap({ cells, chosen, choose }: {
  /** Days in rising order, without gaps. */
  cells: readonly DayCell[]; chosen: string; choose: (day: string) => void;
}) {
  const grid = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(chosen);
  useEffect(() => setAt(chosen), [chosen]);
  useEffect(() => {
    // The newest days are at the right.
    if (grid.current) grid.current.scrollLeft = grid.current.scrollWidth;
  }, [cells.length]);
  const focus = (day: string) => {
    const cell = cells.find((one) => one.day === day);
    if (cell === undefined) return;
    setAt(day);
    grid.current?.querySelector<HTMLElement>(`[data-day="${day}"]`)?.focus();
  };
  const move = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowLeft: -7, ArrowRight: 7, ArrowUp: -1, ArrowDown: 1 };
    const step = steps[event.key];
    const to = event.key === 'Home' ? cells[0]?.day : event.key === 'End' ? cells.at(-1)?.day
      : step === undefined ? undefined : dayAfter(at, step);
    if (to === undefined) return;
    event.preventDefault();
    focus(to);
  };
  const first = cells[0]?.day;
  if (first === undefined) return null;
  // Monday is the first row.
  const before = (new Date(dayStart(first)).getUTCDay() + 6) % 7;
  const shown = cells.find((one) => one.day === at) ?? cells.at(-1);
  const stop = cells.some((one) => one.day === at) ? at : cells.at(-1)?.day;
  return (
    <>
      <div className="heat" ref={grid} role="group" aria-label="A cell for each day; arrow keys move, Enter shows the day" onKeyDown={move}>
        {Array.from({ length: before }, (_, i) => <span key={i} aria-hidden="true" className="none" />)}
        {cells.map((cell) => {
          // A month's name stands above the first of its weeks.
          const monthStarts = Number(cell.day.slice(8)) <= 7 && new Date(dayStart(cell.day)).getUTCDay() === 1;
          return (
            <button
              type="button" key={cell.day} data-day={cell.day} tabIndex={cell.day === stop ? 0 : -1}
              className={monthStarts ? 'month-start' : ''}
              data-month={monthStarts ? MONTHS[Number(cell.day.slice(5, 7)) - 1] : undefined}
              aria-label={cellWords(cell)} aria-pressed={cell.day === chosen} title={cellWords(cell)}
              onClick={() => choose(cell.day)} onFocus={() => setAt(cell.day)}
            >
              <svg viewBox="0 0 10 10" aria-hidden="true"><Shape cell={cell} /></svg>
            </button>
          );
        })}
      </div>
      {shown !== undefined && <p className="heat-words">{cellWords(shown)}</p>}
      <ul className="legend" aria-label="What the cells mean">
        {(['up', 'partly', 'down', 'excused', 'not_expected', 'unknown', 'not_yet'] as const).map((state) => (
          <li key={state}>
            <svg className="swatch day" viewBox="0 0 10 10" aria-hidden="true">
              <Shape cell={{ day: '', state, minutes: 6, due: 10, excused: 0, closed: true }} />
            </svg>
            {WORDS[state]}
          </li>
        ))}
      </ul>
    </>
  );
}
