/** Where the visitor has the chain read from: an RPC that they type, or their wallet. Nothing is asked before. */

import { type FormEvent, useId, useState } from 'react';

const KEY = 'nodesys.rpc';

export function remembered(): string {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

/** What is wrong with a URL of an RPC; undefined where nothing is. */
export function rpcProblem(text: string): string | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'This is no URL. It begins with https:// or, on your own machine, http://127.0.0.1.';
  }
  if (url.username !== '' || url.password !== '') return 'Leave user name and password out of the URL.';
  if (url.protocol === 'https:') return undefined;
  if (url.protocol === 'http:' && ['127.0.0.1', 'localhost'].includes(url.hostname)) return undefined;
  return 'Without TLS only your own machine can be asked: use https://, or http://127.0.0.1.';
}

export function RpcForm({ use, busy, action }: { use: (url: string) => void; busy: boolean; action: string }) {
  const id = useId();
  const [text, setText] = useState(remembered);
  const [problem, tell] = useState<string>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = rpcProblem(text.trim());
    tell(found);
    if (found !== undefined) return;
    try {
      sessionStorage.setItem(KEY, text.trim());
    } catch {
      // It is then typed again on the next page.
    }
    use(text.trim());
  };
  return (
    <form className="rpc" onSubmit={submit}>
      <label htmlFor={id}>Your RPC of this chain</label>
      <div className="search-line">
        <input
          id={id} value={text} onChange={(event) => { setText(event.target.value); tell(undefined); }} placeholder="https://…" inputMode="url"
          autoComplete="off" autoCapitalize="off" spellCheck={false} aria-invalid={problem !== undefined} aria-describedby={`${id}-told`} maxLength={500}
        />
        <button type="submit" disabled={busy}>{busy ? 'Reading…' : action}</button>
      </div>
      <div role="alert" className="told" id={`${id}-told`}>{problem !== undefined && <p>{problem}</p>}</div>
      <p className="quiet">It is asked from your browser, and kept for this tab only.</p>
    </form>
  );
}
