/**
 * The places where a project's days are published, tried in turn.
 *
 * A file is taken from any place by the hash that was committed. A place that fails, or gives other bytes, is
 * passed over and named: it can make no day look wrong, nor right.
 */

import type { Sink } from '../formats/reader.js';
import { KeccakStream } from '../keccak.js';
import type { Address, Hash } from '../parse.js';
import type { PassedOver } from './report.js';

/** A file, part by part. */
export type Parts = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** One place. */
export interface Place {
  /** For words. */
  readonly name: string;
  /** A file of a day as it is there; `undefined` where there is none. Throws where the place fails. */
  open(project: Address, day: string, file: string): Promise<Parts | undefined>;
}

/** What came of asking for a file by its hash. */
export interface Fetched<T> {
  /** What the sink made of the committed bytes; `undefined` where no place gave them. */
  value: T | undefined;
  passedOver: PassedOver[];
}

/** Takes the parts of a file, and says what they were. It is dropped where the hash is another. */
export interface Reading<T> extends Sink {
  result(): T;
}

/** The whole file in memory. */
export class Whole implements Reading<Uint8Array> {
  private readonly parts: Uint8Array[] = [];
  push(part: Uint8Array): void {
    this.parts.push(part.slice());
  }
  end(): void {}
  result(): Uint8Array {
    const all = new Uint8Array(this.parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

export interface PlacesOptions {
  /** Bytes of a table at most, so that a place cannot send without end; 4 GiB by default. */
  mostBytes?: number;
}

// bundle.json grows only with the excluded addresses and the path.
const MOST_JSON = 16 * 2 ** 20;

export class Places {
  private readonly mostBytes: number;
  /** Places that did not answer: a slow one then costs one wait, not one for each file. */
  private readonly down = new Map<Place, string>();

  constructor(
    readonly places: readonly Place[],
    options: PlacesOptions = {},
  ) {
    this.mostBytes = options.mostBytes ?? 4 * 2 ** 30;
  }

  /** A file by the hash that was committed, from the first place that gives those bytes. */
  async committed<T>(
    project: Address,
    day: string,
    file: string,
    expected: Hash,
    reading: () => Reading<T>,
  ): Promise<Fetched<T>> {
    const passedOver: PassedOver[] = [];
    const altered: { place: Place; at: number }[] = [];
    const pass = (place: Place, reason: PassedOver['reason'], problem: string) =>
      passedOver.push({ place: place.name, day, file, reason, problem });
    for (const place of this.places) {
      const down = this.down.get(place);
      if (down !== undefined) {
        pass(place, 'unavailable', down);
        continue;
      }
      try {
        const parts = await place.open(project, day, file);
        if (parts === undefined) {
          pass(place, 'missing', 'there is no such file');
          continue;
        }
        const { found, value } = await this.read(parts, file, reading());
        if (found === expected) return { value, passedOver };
        altered.push({ place, at: passedOver.length });
        pass(place, 'altered', `its keccak256 is ${found}, ${expected} was committed`);
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        this.down.set(place, problem);
        pass(place, 'unavailable', problem);
      }
    }
    // Last, since it reads anew: a careless copy, whose line ends or byte order mark can be undone. The hash
    // proves what comes out.
    for (const { place, at } of altered) {
      const again = await this.plain(place, project, day, file, expected, reading());
      if (again === undefined) continue;
      (passedOver[at] as PassedOver).problem = `${again.spelling}; it is not the file as it was committed`;
      return { value: again.value, passedOver };
    }
    return { value: undefined, passedOver };
  }

  private async read<T>(parts: Parts, file: string, reading: Reading<T>): Promise<{ found: Hash; value: T }> {
    const stream = await KeccakStream.create();
    const most = file.endsWith('.json') ? Math.min(MOST_JSON, this.mostBytes) : this.mostBytes;
    let size = 0;
    for await (const part of parts) {
      size += part.length;
      if (size > most) throw new Error(`it gave more than ${most} bytes`);
      stream.update(part);
      reading.push(part);
    }
    reading.end();
    return { found: stream.finish(), value: reading.result() };
  }

  private async plain<T>(
    place: Place,
    project: Address,
    day: string,
    file: string,
    expected: Hash,
    reading: Reading<T>,
  ): Promise<{ value: T; spelling: string } | undefined> {
    try {
      const parts = await place.open(project, day, file);
      if (parts === undefined) return undefined;
      const plain = new Plain(!file.endsWith('.json'));
      const { found, value } = await this.read(plain.over(parts), file, reading);
      return found === expected ? { value, spelling: plain.spelling() } : undefined;
    } catch {
      // It was passed over before, with its reason.
      return undefined;
    }
  }
}

const [LF, CR] = [10, 13];

/** A file as programs here write it: LF, no byte order mark, and a last line feed in tables only. */
class Plain {
  private mark = false;
  private returns = false;
  private feeds = 0;

  constructor(private readonly table: boolean) {}

  async *over(parts: Parts): AsyncGenerator<Uint8Array> {
    let first = true;
    // Line feeds that may turn out to be the last.
    let held = 0;
    for await (const part of parts) {
      let bytes = part;
      if (first && part.length > 0) {
        first = false;
        this.mark = part[0] === 0xef && part[1] === 0xbb && part[2] === 0xbf;
        if (this.mark) bytes = part.subarray(3);
      }
      if (bytes.includes(CR)) {
        this.returns = true;
        bytes = bytes.filter((byte) => byte !== CR);
      }
      let end = bytes.length;
      while (end > 0 && bytes[end - 1] === LF) end -= 1;
      if (end > 0) {
        if (held > 0) yield new Uint8Array(held).fill(LF);
        yield bytes.subarray(0, end);
        held = 0;
      }
      held += bytes.length - end;
      // Nobody's file has so many empty lines; they must not be collected without bound.
      if (held > 1_048_576) throw new Error('it has a million empty lines');
    }
    this.feeds = held;
    if (this.table) yield Uint8Array.of(LF);
  }

  spelling(): string {
    if (this.mark) return 'it begins with a byte order mark';
    if (this.returns) return 'its lines end in CRLF instead of LF';
    return this.table && this.feeds === 0 ? 'its last line feed is missing' : 'its line ends are others';
  }
}

/** A place in memory: `<project>/<day>/<file>` to bytes. */
export function memoryPlace(name: string, files: ReadonlyMap<string, Uint8Array>): Place {
  return {
    name,
    open: (project, day, file) => {
      const bytes = files.get(`${project}/${day}/${file}`);
      return Promise.resolve(bytes === undefined ? undefined : [bytes]);
    },
  };
}
