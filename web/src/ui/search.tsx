/** The look-up: what was pasted is read here, and a mistake is told before anything is asked. */

import { type FormEvent, useId, useState } from 'react';

import { lookup, pathOf } from '../lib/lookup.js';
import { go } from '../router.js';

export function Search({ large = false }: { large?: boolean }) {
  const id = useId();
  const [text, setText] = useState('');
  const [told, tell] = useState<{ problem: string; advice: string }>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = lookup(text);
    if (found.kind === 'nothing') {
      tell(found);
      return;
    }
    tell(undefined);
    setText('');
    go(pathOf(found));
  };
  return (
    <form className={large ? 'search large' : 'search'} role="search" onSubmit={submit}>
      <label htmlFor={id} className={large ? '' : 'hidden'}>Address, license, node or project</label>
      <div className="search-line">
        <input
          id={id} value={text} onChange={(event) => { setText(event.target.value); tell(undefined); }}
          placeholder={large ? '0x… · 0x…/1 · acme' : 'Look up 0x…, 0x…/1 or a name'} autoComplete="off" autoCapitalize="off" spellCheck={false} maxLength={400}
          aria-invalid={told !== undefined} aria-describedby={told === undefined ? undefined : `${id}-told`} aria-label="Address, license, node or project"
        />
        <button type="submit">Look up</button>
      </div>
      <div role="alert" className="told" id={`${id}-told`}>
        {told !== undefined && <p><strong>{told.problem}</strong> {told.advice}</p>}
      </div>
    </form>
  );
}
