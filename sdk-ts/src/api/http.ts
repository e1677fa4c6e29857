/** Requests to a backend: timeouts, bounded answers, retries of reads, and refusals as problem documents. */

import { utf8 } from '../formats/json.js';
import { integer, open, optional, type Parsed, ParseError, type Parser, text, uint32 } from '../parse.js';

export const problem = open({
  type: text,
  title: text,
  status: integer(599),
  /** What happened here, and what to do. */
  detail: text,
  /** Stable, and made for programs. */
  code: text,
  /** The first differing row, where files were compared. */
  difference: optional(open({
    file: text, line: uint32, header: text, given: optional(text), computed: optional(text),
  })),
});
/** An RFC 9457 problem document. */
export type Problem = Parsed<typeof problem>;

/** The backend refused a request, and says why. */
export class ApiProblem extends Error {
  override name = 'ApiProblem';
  readonly code: string;
  readonly status: number;
  constructor(readonly problem: Problem) {
    super(`${problem.title}: ${problem.detail} (${problem.code})`);
    this.code = problem.code;
    this.status = problem.status;
  }
}

/** What answered is no backend, or a broken one. */
export class BadAnswer extends Error {
  override name = 'BadAnswer';
  constructor(
    readonly url: string,
    readonly status: number,
    problem: string,
  ) {
    super(`${url}: ${problem}`);
  }
}

/** There was no answer, or not in time. */
export class NoAnswer extends Error {
  override name = 'NoAnswer';
}

export interface HttpOptions {
  /** `globalThis.fetch` by default. */
  fetch?: typeof globalThis.fetch;
  /** Until an answer begins, and between two parts of it; 10,000 by default. */
  timeoutMillis?: number;
  /** How often a read is tried again that was not answered, or refused for now; 2 by default. */
  retries?: number;
  signal?: AbortSignal;
}

const MOST_JSON = 16 * 2 ** 20;
const MOST_WAIT_MILLIS = 10_000;
const ACCEPT = 'application/json, text/csv, application/problem+json, */*;q=0.1';

export interface Request {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Parts of the path, each escaped here. */
  path: readonly string[];
  query?: Record<string, string>;
  body?: { type: string; bytes: string | Uint8Array };
}

export class Http {
  readonly base: string;
  private readonly fetch: typeof globalThis.fetch;
  private readonly timeout: number;
  private readonly retries: number;
  private readonly signal: AbortSignal | undefined;

  constructor(base: string, options: HttpOptions = {}) {
    this.base = baseOf(base);
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.timeout = options.timeoutMillis ?? 10_000;
    this.retries = options.retries ?? 2;
    this.signal = options.signal;
  }

  /** The answer's JSON, read by its parser. */
  async json<T>(request: Request, parser: Parser<T>): Promise<T> {
    const { url, parts } = await this.send(request);
    const bytes = await collected(parts, MOST_JSON, url);
    try {
      return parser(JSON.parse(utf8(bytes)));
    } catch (error) {
      if (!(error instanceof ParseError || error instanceof SyntaxError)) throw error;
      throw new BadAnswer(url, 200, `cannot read its answer: ${error.message}`);
    }
  }

  /** The answer's bytes, part by part. */
  async parts(request: Request): Promise<AsyncIterable<Uint8Array>> {
    return (await this.send(request)).parts;
  }

  private async send(request: Request): Promise<{ url: string; parts: AsyncIterable<Uint8Array> }> {
    const url = this.url(request);
    // What changes something is sent once: whoever sent it knows whether it may be sent again.
    const tries = request.method === 'GET' ? 1 + this.retries : 1;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.once(url, request, attempt === tries);
      if (answer !== undefined) {
        const { response, control } = answer;
        if (response.ok) return { url, parts: this.body(response, control, url) };
        throw await this.refusal(response, control, url);
      }
      await wait(Math.min(MOST_WAIT_MILLIS, 250 * 2 ** attempt), this.signal);
    }
  }

  /** `undefined` where it is worth another try. */
  private async once(
    url: string,
    { method, body }: Request,
    last: boolean,
  ): Promise<{ response: Response; control: AbortController } | undefined> {
    this.signal?.throwIfAborted();
    const control = new AbortController();
    const stop = () => control.abort(this.signal?.reason);
    this.signal?.addEventListener('abort', stop, { once: true });
    const timer = setTimeout(() => control.abort(new Error('no answer in time')), this.timeout);
    try {
      const headers: Record<string, string> = { accept: ACCEPT };
      if (body !== undefined) headers['content-type'] = body.type;
      const response = await this.fetch(url, {
        method,
        headers,
        // Following one would hand signed requests to somebody else.
        redirect: 'error',
        signal: control.signal,
        ...(body === undefined ? {} : { body: body.bytes as BodyInit }),
      });
      const later = response.status === 429 || response.status === 503;
      if (!later || last) return { response, control };
      await response.body?.cancel();
      const seconds = Number(response.headers.get('retry-after') ?? 0);
      if (seconds > 0) await wait(Math.min(MOST_WAIT_MILLIS, 1000 * seconds), this.signal);
      return undefined;
    } catch (error) {
      this.signal?.throwIfAborted();
      if (last) throw new NoAnswer(`${url}: ${wordsOf(error)}`, { cause: error });
      return undefined;
    } finally {
      clearTimeout(timer);
      this.signal?.removeEventListener('abort', stop);
    }
  }

  private async *body(response: Response, control: AbortController, url: string): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        this.signal?.throwIfAborted();
        const timer = setTimeout(() => control.abort(new Error('the answer stopped')), this.timeout);
        const part = await reader.read().finally(() => clearTimeout(timer));
        if (part.done) return;
        yield part.value;
      }
    } catch (error) {
      this.signal?.throwIfAborted();
      throw new NoAnswer(`${url}: ${wordsOf(error)}`, { cause: error });
    } finally {
      // Whoever leaves before the end must not keep the connection.
      await reader.cancel().catch(() => undefined);
    }
  }

  private async refusal(response: Response, control: AbortController, url: string): Promise<Error> {
    const { status } = response;
    const bytes = await collected(this.body(response, control, url), MOST_JSON, url);
    // By its type: a proxy's page of JSON may happen to read as a problem.
    if (response.headers.get('content-type')?.startsWith('application/problem+json')) {
      try {
        return new ApiProblem(problem(JSON.parse(utf8(bytes))));
      } catch {
        // Said below.
      }
    }
    return new BadAnswer(url, status, `status ${status} without a problem document; is a backend there?`);
  }

  private url({ path, query }: Request): string {
    const url = `${this.base}/${path.map(encodeURIComponent).join('/')}`;
    return query === undefined ? url : `${url}?${new URLSearchParams(query)}`;
  }
}

function baseOf(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError(`not a URL: ${text.includes('@') ? '(hidden)' : text.slice(0, 200)}`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('expected http:// or https://');
  if (url.username !== '' || url.password !== '') throw new TypeError('leave user name and password out of the URL');
  if (url.search !== '' || url.hash !== '') throw new TypeError('the URL of a backend has no ? and no #');
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

async function collected(parts: AsyncIterable<Uint8Array>, most: number, url: string): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  let size = 0;
  for await (const part of parts) {
    size += part.length;
    if (size > most) throw new BadAnswer(url, 200, `its body is larger than ${most} bytes`);
    all.push(part);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of all) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function wait(millis: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, millis);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
