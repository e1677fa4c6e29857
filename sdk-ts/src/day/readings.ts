/** What is made of a committed file while it is read. */

import { type Difference, TableComparer, type TableError, TableReader } from '../formats/reader.js';
import type { Table } from '../formats/tables.js';
import type { Reading } from './places.js';

/** A table's rows, each reduced as it is read, up to the first that is wrong. */
export class Rows<Row, T> implements Reading<{ rows: T[]; error: TableError | undefined }> {
  private readonly rows: T[] = [];
  private readonly reader: TableReader<Row>;

  constructor(table: Table<Row>, take: (row: Row) => T) {
    this.reader = new TableReader(table, (row) => this.rows.push(take(row)));
  }

  push(part: Uint8Array): void {
    this.reader.push(part);
  }

  end(): void {
    this.reader.end();
  }

  result(): { rows: T[]; error: TableError | undefined } {
    return { rows: this.rows, error: this.reader.error };
  }
}

/** The first difference of a table from the rows that it should have. */
export class Compared<Row> extends TableComparer<Row> implements Reading<{ difference: Difference | undefined }> {
  result(): { difference: Difference | undefined } {
    return { difference: this.difference };
  }
}
