/**
 * Reading tables part by part: a file of any size takes the room of one line.
 *
 * A row that would be written otherwise than it stands is refused, as are rows out of order or twice, a
 * carriage return, a byte order mark and a last line without a line feed. So a file's bytes and its rows
 * determine each other.
 */

import { ParseError } from '../parse.js';
import type { Table } from './tables.js';

/** Where and why a table is refused. */
export class TableError extends Error {
  override name = 'TableError';
  constructor(
    readonly file: string,
    /** Counted from 1, the header. */
    readonly line: number,
    readonly problem: string,
    readonly given: string | undefined,
  ) {
    super(`${file} line ${line}: ${problem}`);
  }
}

/** Takes a file part by part. */
export interface Sink {
  push(part: Uint8Array): void;
  end(): void;
}

// A row of uptime.csv has some 500 characters. A stranger's endless line must not fill the memory.
const LONGEST_LINE = 4096;

/** The lines of a file; the last one may lack its line feed, which `whole` says. */
export class Lines implements Sink {
  private rest = '';
  private count = 0;
  // One character for each byte, whatever it is; those beyond ASCII fit no column.
  private readonly decoder = new TextDecoder('latin1');

  constructor(
    private readonly take: (line: string, number: number) => void,
    private readonly tooLong: (number: number) => void,
    private readonly unfinished: (line: string, number: number) => void,
  ) {}

  push(part: Uint8Array): void {
    const lines = (this.rest + this.decoder.decode(part)).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.take(line, (this.count += 1));
    if (this.rest.length > LONGEST_LINE) {
      this.tooLong(this.count + 1);
      this.rest = this.rest.slice(0, LONGEST_LINE);
    }
  }

  end(): void {
    if (this.rest !== '' || this.count === 0) this.unfinished(this.rest, this.count + 1);
  }
}

/** Reads a table, and hands on each row until the first that is wrong. */
export class TableReader<Row> implements Sink {
  /** The first thing that is wrong. */
  error: TableError | undefined;
  private readonly lines: Lines;
  private readonly columns: number;
  private last: number | string | undefined;

  constructor(
    private readonly table: Table<Row>,
    private readonly onRow: (row: Row) => void,
  ) {
    this.columns = table.header.split(',').length;
    this.lines = new Lines(
      (line, number) => this.line(line, number),
      (number) => this.fail(number, 'a line of more than 4096 characters', undefined),
      (line, number) => this.fail(number, 'the last line has no line feed', line),
    );
  }

  push(part: Uint8Array): void {
    this.lines.push(part);
  }

  end(): void {
    this.lines.end();
  }

  private fail(number: number, problem: string, given: string | undefined): void {
    this.error ??= new TableError(this.table.file, number, problem, given);
  }

  private line(line: string, number: number): void {
    if (this.error !== undefined) return;
    if (number === 1) {
      if (line !== this.table.header) this.fail(1, `expected the header "${this.table.header}"`, line);
      return;
    }
    const columns = line.split(',');
    if (columns.length !== this.columns) {
      this.fail(number, `${columns.length} columns, expected ${this.columns}`, line);
      return;
    }
    let row: Row;
    try {
      row = this.table.read(columns);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      this.fail(number, error.message, line);
      return;
    }
    const key = this.table.key(row);
    if (this.last !== undefined && key === this.last) {
      this.fail(number, 'duplicate of the row before', line);
    } else if (this.last !== undefined && key < this.last) {
      this.fail(number, 'out of order: rows rise by their first column', line);
    } else {
      this.last = key;
      this.onRow(row);
    }
  }
}

/** All rows of a table in memory. */
export function parseTable<Row>(table: Table<Row>, bytes: Uint8Array): Row[] {
  const rows: Row[] = [];
  const reader = new TableReader(table, (row) => rows.push(row));
  reader.push(bytes);
  reader.end();
  if (reader.error !== undefined) throw reader.error;
  return rows;
}

/** A table's bytes, in parts of some 64 KiB. */
export function* writeTable<Row>(table: Table<Row>, rows: Iterable<Row>): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  let text = `${table.header}\n`;
  for (const row of rows) {
    text += `${table.write(row)}\n`;
    if (text.length < 65_536) continue;
    yield encoder.encode(text);
    text = '';
  }
  yield encoder.encode(text);
}

/** The first line in which two files differ. */
export interface Difference {
  file: string;
  /** Counted from 1, the header. */
  line: number;
  /** The header, which names the columns; a JSON pointer in a JSON file. */
  header: string;
  /** `undefined` where the file ends before. */
  given: string | undefined;
  /** `undefined` where the file should end before, or where no value is known to be right. */
  computed: string | undefined;
}

/** Compares a given file with the rows that it should have. */
export class TableComparer<Row> implements Sink {
  difference: Difference | undefined;
  private readonly expected: Iterator<string>;
  private readonly lines: Lines;
  private count = 0;

  constructor(
    private readonly table: Table<Row>,
    rows: Iterable<Row>,
  ) {
    this.expected = written(table, rows);
    const differ = (line: string | undefined, number: number) => {
      this.count = number;
      this.hold(number, line, this.next());
    };
    this.lines = new Lines(differ, (number) => this.hold(number, '(a line without end)', this.next()), differ);
  }

  push(part: Uint8Array): void {
    this.lines.push(part);
  }

  end(): void {
    this.lines.end();
    const more = this.next();
    if (more !== undefined) this.hold(this.count + 1, undefined, more);
  }

  private next(): string | undefined {
    const next = this.expected.next();
    return next.done === true ? undefined : next.value;
  }

  private hold(line: number, given: string | undefined, computed: string | undefined): void {
    if (given === computed) return;
    this.difference ??= { file: this.table.file, line, header: this.table.header, given, computed };
  }
}

function* written<Row>(table: Table<Row>, rows: Iterable<Row>): Generator<string, undefined> {
  yield table.header;
  for (const row of rows) yield table.write(row);
  return undefined;
}
