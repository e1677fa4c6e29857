/** Which rows of a long table are drawn. Pure. */

/** Rows drawn above and below those in sight. */
const BEYOND = 8;
/** The first row moves by so many at a time, so that most scrolling draws nothing anew. */
const STEP = 4;

export interface Drawn { from: number; to: number }

/** The rows to draw, `to` not included: those in sight, and some beyond. */
export function drawn(scrolled: number, height: number, rowHeight: number, rows: number): Drawn {
  const first = Math.floor(Math.max(0, scrolled) / rowHeight);
  const from = Math.max(0, Math.floor((first - BEYOND) / STEP) * STEP);
  const to = Math.min(rows, from + Math.ceil(height / rowHeight) + 2 * BEYOND + STEP);
  return { from: Math.min(from, Math.max(0, rows - 1)), to };
}
