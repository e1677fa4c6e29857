/** The small parts that every page is made of. */

import { type ReactNode, useState } from 'react';

import type { Address } from '../../../sdk-ts/src/parse.js';
import { isMissing } from '../api/backend.js';
import { useNow } from '../api/now.js';
import { distance, exactUnits, local, short, units, utc } from '../lib/format.js';
import { checksummed } from '../lib/keccak.js';
import { Link } from '../router.js';

/** Copies a text, and says so. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [said, say] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say('copied');
    } catch {
      say('could not copy');
    }
    setTimeout(() => say(''), 2000);
  };
  return (
    <>
      <button type="button" className="copy" onClick={copy} aria-label={`Copy ${what}`} title={`Copy ${what}`}>
        <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
          <path fill="none" stroke="currentColor" strokeWidth="1.4" d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3" />
        </svg>
      </button>
      <span className="said" role="status">{said}</span>
    </>
  );
}

/** An address with its checksum, short in lines and whole on pages of its own. */
export function AddressText({ address, to, whole = false, copy = whole }: {
  address: Address; to?: string; whole?: boolean; copy?: boolean;
}) {
  const text = checksummed(address);
  const shown = <code title={text} className={whole ? 'whole' : ''}>{whole ? text : short(text)}</code>;
  return (
    <span className="address">
      {to === undefined ? shown : <Link to={to}>{shown}</Link>}
      {copy && <Copy text={text} what="address" />}
    </span>
  );
}

export function Hash({ hash, copy = true }: { hash: string; copy?: boolean }) {
  return (
    <span className="address">
      <code title={hash}>{short(hash)}</code>
      {copy && <Copy text={hash} what="hash" />}
    </span>
  );
}

/** A moment in UTC; the visitor's zone is in its title. */
export function Moment({ millis, ago = false }: { millis: number; ago?: boolean }) {
  const now = useNow();
  const inRange = !Number.isNaN(new Date(millis).getTime());
  return (
    <time dateTime={inRange ? new Date(millis).toISOString() : undefined} title={`${local(millis)} in your zone`}>
      {utc(millis)}
      {ago && <span className="quiet"> ({distance(millis, now)})</span>}
    </time>
  );
}

/** An amount in units of the token; its wei are in the title. */
export function Amount({ wei, symbol, decimals = 18 }: { wei: bigint; symbol?: string; decimals?: number }) {
  return (
    <span className="amount" title={`${exactUnits(wei, decimals)} = ${wei} wei`}>
      {units(wei, decimals)}
      {symbol !== undefined && <span className="quiet"> {symbol}</span>}
    </span>
  );
}

/** Whose word a fact is. */
export function Says({ who }: { who: 'backend' | 'chain' | 'commit' }) {
  const [word, title] = {
    backend: ['backend’s word', 'The backend says so. Nothing on this page proves it.'],
    chain: ['read on chain', 'Read from the chain over the RPC that you named.'],
    commit: ['committed', 'From files whose hash is in the commit; this page checked the hash. The chain has the commit once it is posted.'],
  }[who] as [string, string];
  return <span className={`says says-${who}`} title={title}>{word}</span>;
}

export function Badge({ tone, children }: { tone: 'good' | 'bad' | 'wait' | 'plain'; children: ReactNode }) {
  const mark = { good: '●', bad: '✕', wait: '◐', plain: '○' }[tone];
  return (
    <span className={`badge badge-${tone}`}>
      <span aria-hidden="true">{mark}</span> {children}
    </span>
  );
}

export function Card({ title, says, children, id, tools }: {
  title: string; says?: 'backend' | 'chain' | 'commit'; children: ReactNode; id?: string; tools?: ReactNode;
}) {
  return (
    <section className="card" id={id} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {says !== undefined && <Says who={says} />}
        {tools !== undefined && <span className="tools">{tools}</span>}
      </header>
      {children}
    </section>
  );
}

/** Name and value, side by side where there is room. */
export function Facts({ facts }: { facts: [name: string, value: ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A number that counts, above its name. */
export function Figure({ name, children }: { name: string; children: ReactNode }) {
  return <div className="figure"><span className="figure-value">{children}</span><span className="figure-name">{name}</span></div>;
}

export function Loading({ what, lines = 3 }: { what: string; lines?: number }) {
  return (
    <div className="loading" role="status">
      <span className="hidden">Loading {what}</span>
      {Array.from({ length: lines }, (_, i) => <span key={i} className="bone" aria-hidden="true" />)}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children !== undefined && <p>{children}</p>}
    </div>
  );
}

/** What went wrong, in the backend's words, and what to do. */
export function Failed({ error, what, again }: { error: unknown; what: string; again?: () => void }) {
  const words = error instanceof Error ? error.message : String(error);
  return (
    <div className="failed" role="alert">
      <p className="empty-title">{isMissing(error) ? `There is no ${what}.` : `Could not read ${what}.`}</p>
      <p className="words">{words.slice(0, 600)}</p>
      {again !== undefined && <button type="button" onClick={again}>Try again</button>}
    </div>
  );
}

/** A table that scrolls in itself where the page is narrow. */
export function Table({ caption, head, children, numbers = [] }: {
  caption: string; head: string[]; children: ReactNode; numbers?: number[];
}) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption className="hidden">{caption}</caption>
        <thead>
          <tr>{head.map((name, i) => <th key={name} scope="col" className={numbers.includes(i) ? 'number' : ''}>{name}</th>)}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** The heading of a page: what it shows, and where one is. */
export function PageHead({ kind, title, children }: { kind: string; title: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <p className="kind">{kind}</p>
      <h1 tabIndex={-1}>{title}</h1>
      {children}
    </header>
  );
}
