/** Tables for spreadsheets: RFC 4180, in which no cell is run as a formula. */

/** A cell. What a spreadsheet would take for a formula gets an apostrophe before it; numbers of ours have none. */
export function cell(value: string | number | bigint): string {
  let text = String(value);
  // Also a formula behind white space, as spreadsheets read it; and none of the signs of a plain number.
  if (typeof value === 'string' && /^\s*[=+\-@\t\r\uFF0B\uFF0D\uFF1D\uFF20]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csv = (rows: readonly (readonly (string | number | bigint)[])[]): string =>
  rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
