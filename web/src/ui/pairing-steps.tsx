/** What each step of a pairing shows. */

import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';

import type { PairingView } from '../api/login.js';
import { type Ending, readCode } from '../lib/pairing.js';
import type { Wallet } from '../wallet/providers.js';
import { AddressText, Facts, Moment } from './bits.js';

/** A step in the list: done, at hand, or to come. The one at hand takes the focus: its field, or else its heading. */
export function Step({ title, state, done, children }: { title: string; state: 'done' | 'now' | 'next'; done?: ReactNode; children?: ReactNode }) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const hasIt = head.current?.parentElement?.contains(document.activeElement) ?? false;
    if (state === 'now' && !hasIt) head.current?.focus({ preventScroll: true });
  }, [state]);
  return (
    <li className={`step step-${state}`} aria-current={state === 'now' ? 'step' : undefined}>
      <h2 tabIndex={-1} ref={head}>{title}{state === 'done' && <span className="hidden">: done</span>}</h2>
      {state === 'done' && done}
      {state === 'now' && <div className="step-body">{children}</div>}
    </li>
  );
}

export function Wallets({ wallets, choose, busy }: { wallets: Wallet[] | undefined; choose: (wallet: Wallet) => void; busy: boolean }) {
  if (wallets === undefined) return <p className="quiet">Looking for wallets…</p>;
  if (wallets.length === 0) {
    return <p>No wallet announces itself in this browser. Install one, open this link in your wallet’s own browser, or pair by files: <code>nodesys pair request</code>.</p>;
  }
  return (
    <div className="wallets">
      {wallets.map((one) => (
        <button type="button" key={one.id} disabled={busy} onClick={() => choose(one)}>
          {one.icon !== undefined && <img src={one.icon} alt="" width="18" height="18" />} Connect {one.name}
        </button>
      ))}
    </div>
  );
}

/** Until a wallet answers; a prompt that may be lost is told. */
export function Asked({ name, what, cancel }: { name: string; what: string; cancel: () => void }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 20_000);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="notice asked">
      <p><strong>{name} asks you.</strong> {what} If it is locked, unlock it.</p>
      {late && <p>It has not answered for 20 seconds. Its window may be behind this one, or may be lost: open the wallet by its own icon, or cancel here and try again.</p>}
      <button type="button" onClick={cancel}>Cancel</button>
    </div>
  );
}

/** The code, with what is wrong with it before it costs a try. */
export function CodeForm({ send, busy, typed, remember }: { send: (code: string) => void; busy: boolean; typed: string; remember: (typed: string) => void }) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const [problem, tell] = useState<string>();
  useEffect(() => field.current?.focus(), []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const read = readCode(typed);
    tell('problem' in read ? read.problem : undefined);
    if ('code' in read) send(read.code);
    else field.current?.focus();
  };
  return (
    <form className="code-form" onSubmit={submit}>
      <label htmlFor={id}>The code that your terminal shows</label>
      <div className="search-line">
        <input
          id={id} ref={field} value={typed} onChange={(event) => { remember(event.target.value); tell(undefined); }} maxLength={24}
          autoComplete="off" autoCapitalize="characters" autoCorrect="off" spellCheck={false} aria-invalid={problem !== undefined} aria-describedby={`${id}-told ${id}-hint`}
        />
        <button type="submit" className="main" disabled={busy}>{busy ? 'Asking…' : 'Go on'}</button>
      </div>
      <div role="alert" className="told" id={`${id}-told`}>{problem !== undefined && <p>{problem}</p>}</div>
      <p className="quiet" id={`${id}-hint`}>Eight letters, as in WDJB-MJHT. Capitals, spaces and the dash do not matter.</p>
    </form>
  );
}

/** What will be signed, and the words that the terminal must show too. */
export function Compare({ view, words, busy, signed, agree, differ }: {
  view: PairingView; words: readonly string[]; busy: boolean; signed: boolean; agree: () => void; differ: () => void;
}) {
  const { operator, node_key, not_after } = view.authorization;
  return (
    <>
      <p>Look at the terminal. It must show <strong>these three words</strong>, in this order:</p>
      <p className="three" aria-label={`The words: ${words.join(', ')}`}>{words.map((word, i) => <code key={i}>{word}</code>)}</p>
      <Facts facts={[
        ['Node key', <AddressText key="node" address={node_key} whole />],
        ['Operator: your wallet', <AddressText key="operator" address={operator} whole />],
        ['May work for you until', <Moment key="until" millis={Number(not_after) * 1000} ago />],
        ['The machine calls itself', view.machine === '' ? <span className="quiet">it gave no name</span> : <q className="machine">{view.machine.slice(0, 64)}</q>],
      ]} />
      <p className="quiet">The name is the machine’s own claim, and proves nothing. Only the words do: they are computed here from what your wallet will sign.</p>
      <div className="choices">
        <button type="button" className="main" disabled={busy} onClick={agree}>{signed ? 'Send the signature again' : 'They are the same: sign'}</button>
        {!signed && <button type="button" disabled={busy} onClick={differ}>They differ</button>}
      </div>
      <p className="quiet">This pairing ends <Moment millis={Number(view.until_millis)} ago />.</p>
    </>
  );
}

const ENDINGS: Record<Ending, { title: string; words: ReactNode }> = {
  over: {
    title: 'This pairing is over, or never was.',
    words: <>Each ends ten minutes after it began, and serves once. Run <code>nodesys pair</code> again on the machine, and open its new link.</>,
  },
  tries: { title: 'Too many wrong codes.', words: <>Five wrong codes end a pairing. Run <code>nodesys pair</code> again on the machine, and open its new link.</> },
  claimed: {
    title: 'Another account has typed this code.',
    words: <>If it is yours, choose it in the wallet. If it is not, somebody else has seen the code: stop <code>nodesys pair</code>, and run it again.</>,
  },
  differ: {
    title: 'Good that you looked: nothing was signed.',
    words: <>Other words mean another machine’s code. Take link and code from the screen of your own machine only: stop <code>nodesys pair</code> there, and run it again.</>,
  },
  contradicts: {
    title: 'The backend contradicts itself: nothing was signed.',
    words: <>What it says of this pairing does not fit what your wallet would sign. Pair by files instead: <code>nodesys pair request</code>.</>,
  },
};

export function Ended({ ending, again }: { ending: Ending; again: () => void }) {
  const { title, words } = ENDINGS[ending];
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.focus({ preventScroll: true }), []);
  return (
    <div className="failed" role="alert" tabIndex={-1} ref={place}>
      <p className="empty-title">{title}</p>
      <p>{words}</p>
      {ending === 'claimed' && <button type="button" onClick={again}>Use another account</button>}
    </div>
  );
}
