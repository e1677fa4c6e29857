/** A table of any length: only the rows in sight are drawn, all of the same height. */

import { type ReactNode, useEffect, useRef, useState } from 'react';

import { drawn } from '../lib/window.js';

/** As `.grid td` has it. */
const ROW_HEIGHT = 38;

export interface GridColumn<Row> {
  id: string;
  name: string;
  number?: boolean;
  cell: (row: Row) => ReactNode;
}

export function Grid<Row>({ caption, columns, rows, keyOf, order, sort }: {
  caption: string; columns: readonly GridColumn<Row>[]; rows: readonly Row[]; keyOf: (row: Row) => string;
  order: { column: string; down: boolean }; sort: (column: string) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [part, setPart] = useState(() => drawn(0, 800, ROW_HEIGHT, rows.length));
  const look = () => {
    const at = box.current;
    if (at === null) return;
    const next = drawn(at.scrollTop, at.clientHeight, ROW_HEIGHT, rows.length);
    setPart((before) => (before.from === next.from && before.to === next.to ? before : next));
  };
  useEffect(() => {
    look();
    addEventListener('resize', look);
    return () => removeEventListener('resize', look);
  });
  const to = Math.min(part.to, rows.length);
  const from = Math.min(part.from, to);
  return (
    <div className="grid" ref={box} onScroll={look} tabIndex={0} role="region" aria-label={caption}>
      <table aria-rowcount={rows.length + 1}>
        <caption className="hidden">{caption}</caption>
        <colgroup>{columns.map(({ id }) => <col key={id} className={`col-${id}`} />)}</colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map(({ id, name, number }) => (
              <th
                key={id} scope="col" className={number ? 'number' : ''}
                aria-sort={order.column !== id ? undefined : order.down ? 'descending' : 'ascending'}
              >
                <button type="button" onClick={() => sort(id)}>
                  {name}<span aria-hidden="true" className="arrow">{order.column !== id ? '' : order.down ? ' ↓' : ' ↑'}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {from > 0 && <tr aria-hidden="true" className="space" style={{ height: from * ROW_HEIGHT }} />}
          {rows.slice(from, to).map((row, i) => (
            <tr key={keyOf(row)} aria-rowindex={from + i + 2}>
              {columns.map(({ id, number, cell }) => <td key={id} className={number ? 'number' : ''}>{cell(row)}</td>)}
            </tr>
          ))}
          {to < rows.length && <tr aria-hidden="true" className="space" style={{ height: (rows.length - to) * ROW_HEIGHT }} />}
        </tbody>
      </table>
    </div>
  );
}
