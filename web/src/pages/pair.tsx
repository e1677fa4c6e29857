import { useQuery } from '@tanstack/react-query';
import { type ComponentProps, type ComponentType, useState } from 'react';

import { queries, queryClient } from '../api/backend.js';
import { type Login, loginQuery, people } from '../api/login.js';
import { readPairing, refusal } from '../lib/pairing.js';
import { useTitle } from '../router.js';
import { AddressText, Failed, Loading, Moment, PageHead } from '../ui/bits.js';
import type { Pairing as Shown } from '../ui/pairing.js';
import { Unreadable } from './missing.js';

/** A node waits for its operator: the page that `nodesys pair` links to. */
export function PairPage({ params }: { params: Record<string, string> }) {
  const pairing = readPairing(params['pairing'] ?? '');
  if (pairing === undefined) {
    return <Unreadable kind="Pairing" problem="The link is not whole." advice="Copy all of the link that nodesys pair shows: it ends in 32 characters of 0-9 and a-f." />;
  }
  return <Pair pairing={pairing} />;
}

function Pair({ pairing }: { pairing: string }) {
  useTitle('Pair a node');
  const login = useQuery(loginQuery());
  const network = useQuery(queries.network());
  const changed = (to: Login | null) => queryClient.setQueryData(loginQuery().queryKey, to);
  const error = login.error ?? network.error;
  const again = () => { void login.refetch(); void network.refetch(); };
  return (
    <>
      <PageHead kind="Pairing" title="Let a node work for your wallet">
        <p className="quiet pairing-lead">
          A machine waits in <code>nodesys pair</code>. Your wallet signs that it may, for 90 days at most. It costs no gas, moves
          nothing, and can be revoked.
        </p>
      </PageHead>
      {login.data === undefined || network.data === undefined
        ? error === null ? <Loading what="the pairing" lines={5} /> : <Failed error={error} what="what the backend says of this pairing" again={again} />
        : login.data === 'off'
          ? <Off />
          : (
            <>
              {login.data !== null && <SignedIn login={login.data} changed={changed} />}
              <Begin pairing={pairing} network={network.data} login={login.data} changed={changed} />
            </>
          )}
    </>
  );
}

/** Nobody can sign in here. */
function Off() {
  return (
    <div className="failed" role="alert">
      <p className="empty-title">Nobody can sign in at this backend.</p>
      <p>
        Its operator has set no public address for logins. Open the link exactly as the terminal shows it, or pair by
        files: <code>nodesys pair request</code>, <code>nodesys pair sign</code>, <code>nodesys pair finish</code>.
      </p>
    </div>
  );
}

function SignedIn({ login, changed }: { login: Login; changed: (to: null) => void }) {
  const [told, tell] = useState<string>();
  const [busy, setBusy] = useState(false);
  const leave = async () => {
    setBusy(true);
    tell(undefined);
    try {
      await people.signOut();
      changed(null);
    } catch (error) {
      const why = refusal(error);
      if (why.kind === 'signed_out') return changed(null);
      tell(why.kind === 'told' ? why.words : 'It could not be signed out.');
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="signed-in">
      <p>Signed in as <AddressText address={login.account} to={`/accounts/${login.account}`} /> <span className="quiet">until <Moment millis={Number(login.until_millis)} /></span></p>
      <button type="button" disabled={busy} onClick={() => void leave()}>{busy ? 'Signing out…' : 'Sign out'}</button>
      <div role="alert" className="told">{told !== undefined && <p>{told}</p>}</div>
    </div>
  );
}

/** What talks to wallets is loaded once the visitor wants it. */
function Begin(props: ComponentProps<typeof Shown>) {
  const [Pairing, setPairing] = useState<ComponentType<ComponentProps<typeof Shown>>>();
  const [state, setState] = useState<'idle' | 'loading' | 'failed'>('idle');
  if (Pairing !== undefined) return <Pairing {...props} />;
  const load = async () => {
    setState('loading');
    try {
      const loaded = (await import('../ui/pairing.js')).Pairing;
      setPairing(() => loaded);
    } catch {
      setState('failed');
    }
  };
  return (
    <section className="card" aria-label="Begin">
      <h2>You need</h2>
      <ul className="needs">
        <li>the wallet that holds or rents the licenses, in this browser;</li>
        <li>the <strong>code</strong> from the terminal where <code>nodesys pair</code> waits. It is not in the link.</li>
      </ul>
      <button type="button" className="main" disabled={state === 'loading'} onClick={() => void load()}>{state === 'loading' ? 'Loading…' : 'Connect a wallet'}</button>
      <div role="alert" className="told">{state === 'failed' && <p>The rest of the page could not be loaded. Look at your connection, then try again.</p>}</div>
      <p className="quiet">Were you sent this link by somebody else, with a code? Then do not go on: it would be their machine.</p>
    </section>
  );
}
