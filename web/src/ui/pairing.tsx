/** Pairing a node with a wallet, step by step. Loaded once the visitor asks for it. */

import { useCallback, useEffect, useRef, useState } from 'react';

import type { Network } from '../../../sdk-ts/src/api/views.js';
import { ApiProblem, BadAnswer, NoAnswer } from '../../../sdk-ts/src/api/http.js';
import { type Address, type Hex, ParseError } from '../../../sdk-ts/src/parse.js';
import { type Login, type PairingView, people } from '../api/login.js';
import { useNow } from '../api/now.js';
import { type Ending, refusal, words } from '../lib/pairing.js';
import { chainOf, connect, switchTo } from '../wallet/account.js';
import { discover, type Wallet } from '../wallet/providers.js';
import { authorizationOf, signText, signTyped } from '../wallet/sign.js';
import { walletWords } from '../wallet/words.js';
import { AddressText } from './bits.js';
import { Asked, CodeForm, Compare, Ended, Step, Wallets } from './pairing-steps.js';
import { Signed } from './signed.js';

interface By { wallet: Wallet; account: Address }
type Stage =
  | { at: 'connect' }
  | { at: 'sign_in'; by: By }
  | { at: 'code'; by: By }
  | { at: 'compare'; by: By; view: PairingView; digest: Hex; json: string; signature?: Hex }
  | { at: 'signed'; by: By; view: PairingView; before: boolean }
  | { at: 'ended'; ending: Ending };
/** Who is waited for: the wallet, or the backend. */
type Waits = { name: string; what: string } | 'backend';
type Current = () => boolean;

const INSTEAD = 'nodesys pair request';

export function Pairing({ pairing, network, login, changed }: {
  pairing: string; network: Network; login: Login | null; changed: (login: Login | null) => void;
}) {
  const [wallets, setWallets] = useState<Wallet[]>();
  const [stage, setStage] = useState<Stage>({ at: 'connect' });
  const [waits, wait] = useState<Waits>();
  const [told, tell] = useState<string>();
  const [elsewhere, setElsewhere] = useState<{ wallet: Wallet; chain: bigint }>();
  const [typed, remember] = useState('');
  // What was cancelled may still be answered by the wallet; then it is not listened to.
  const turn = useRef(0);
  useEffect(() => {
    const timer = setTimeout(() => setWallets((known) => known ?? []), 600);
    const end = discover(setWallets);
    return () => { clearTimeout(timer); end(); };
  }, []);

  const refused = useCallback((error: unknown) => {
    const ofBackend = error instanceof ApiProblem || error instanceof BadAnswer || error instanceof NoAnswer;
    if (error instanceof ParseError) return tell('The wallet’s answer is no signature. Try again, or try another wallet.');
    if (!ofBackend) return tell(walletWords(error, 'Nothing was signed.', INSTEAD));
    const why = refusal(error);
    switch (why.kind) {
      case 'ended': return setStage({ at: 'ended', ending: why.ending });
      case 'wrong_code': return tell(`That is not this machine’s code. ${why.left === undefined ? 'Look again.' : why.left === 1 ? 'One try is left.' : `${why.left} tries are left.`}`);
      case 'signed_out':
        changed(null);
        return tell('Your login has ended. Sign in again, and go on where you were.');
      case 'told': return tell(why.words);
    }
  }, [changed]);

  const attempt = useCallback(async (first: Waits, work: (current: Current) => Promise<void>) => {
    turn.current += 1;
    const mine = turn.current;
    const current = () => mine === turn.current;
    tell(undefined);
    setElsewhere(undefined);
    wait(first);
    try {
      await work(current);
    } catch (error) {
      if (current()) refused(error);
    }
    if (current()) wait(undefined);
  }, [refused]);

  /** Whether the wallet is on the network's chain; if not, it is told. */
  const onChain = useCallback(async (wallet: Wallet, current: Current): Promise<boolean> => {
    const chain = await chainOf(wallet.provider);
    if (current() && chain !== network.chain_id) setElsewhere({ wallet, chain });
    return current() && chain === network.chain_id;
  }, [network.chain_id]);

  const look = useCallback((wallet: Wallet) => attempt({ name: wallet.name, what: 'Confirm in the wallet that this page may see your account.' }, async (current) => {
    const account = await connect(wallet.provider);
    if (!current()) return;
    if (account === undefined) return tell('The wallet offers no account. Choose one in the wallet, then connect again.');
    if (!(await onChain(wallet, current))) return;
    setStage({ at: 'sign_in', by: { wallet, account } });
  }), [attempt, onChain]);

  const change = ({ wallet }: { wallet: Wallet }) => attempt({ name: wallet.name, what: 'Confirm the change of chain in the wallet.' }, async (current) => {
    const before = elsewhere;
    try {
      await switchTo(wallet.provider, network.chain_id);
    } catch (error) {
      if (current()) setElsewhere(before);
      throw error;
    }
    if (current() && (await onChain(wallet, current)) && stage.at === 'connect') await look(wallet);
  });

  const signIn = ({ wallet, account }: By) => attempt('backend', async (current) => {
    const { message, nonce } = await people.text(account);
    if (!current()) return;
    // Wallets compare it with the page too, but not each of them does.
    if (!message.startsWith(`${location.host} wants you to sign in`)) return setStage({ at: 'ended', ending: 'contradicts' });
    wait({ name: wallet.name, what: 'Sign the text there to sign in. It costs nothing.' });
    const signature = await signText(wallet.provider, account, message);
    if (!current()) return;
    wait('backend');
    changed(await people.signIn(account, nonce, signature));
  });

  const claim = (by: By, code: string) => attempt('backend', async (current) => {
    const view = await people.claimPairing(pairing, code);
    if (!current()) return;
    const { digest, json } = authorizationOf(view, network);
    if (view.authorization.operator !== by.account || words(digest).join('-') !== view.words) return setStage({ at: 'ended', ending: 'contradicts' });
    setStage(view.signed ? { at: 'signed', by, view, before: true } : { at: 'compare', by, view, digest, json });
  });

  const sign = (ready: Stage & { at: 'compare' }) => attempt({ name: ready.by.wallet.name, what: 'Sign there that this node may work for you.' }, async (current) => {
    const { by, view, json } = ready;
    let { signature } = ready;
    if (signature === undefined) {
      if (!(await onChain(by.wallet, current))) return;
      signature = await signTyped(by.wallet.provider, by.account, json);
      if (!current()) return;
      // Kept, so that a backend that is away for a moment costs no second prompt.
      setStage({ ...ready, signature });
    }
    wait('backend');
    try {
      const after = await people.signPairing(pairing, signature);
      if (current()) setStage({ at: 'signed', by, view: after, before: false });
    } catch (error) {
      // A signature that the backend does not take is not sent again.
      if (current() && error instanceof ApiProblem && error.status < 500 && error.code !== 'not_signed_in' && error.code !== 'rate_limited') setStage({ ...ready, at: 'compare', view });
      throw error;
    }
  });

  const cancel = () => {
    turn.current += 1;
    wait(undefined);
    tell('Cancelled here. If the wallet still asks, refuse it there.');
  };

  const signedIn = login?.account;
  // The login decides between these steps, and only it: it may end, or begin, in another tab too.
  const by = 'by' in stage ? stage.by : undefined;
  useEffect(() => {
    if (by === undefined) return;
    if (stage.at === 'sign_in' && signedIn === by.account) setStage({ at: 'code', by });
    if ((stage.at === 'code' || stage.at === 'compare') && signedIn !== by.account) setStage({ at: 'sign_in', by });
  }, [by, stage.at, signedIn]);

  const wallet = by?.wallet;
  const account = by?.account;
  useEffect(() => {
    if (wallet === undefined || stage.at === 'signed') return;
    const other = (accounts: unknown) => {
      const first = Array.isArray(accounts) && typeof accounts[0] === 'string' ? accounts[0].toLowerCase() : undefined;
      if (first === account) return;
      turn.current += 1;
      wait(undefined);
      setStage({ at: 'connect' });
      if (first === undefined) tell('The wallet was locked, or no longer shows its account. Unlock it, then connect again.');
      else void look(wallet);
    };
    wallet.provider.on?.('accountsChanged', other);
    return () => wallet.provider.removeListener?.('accountsChanged', other);
  }, [wallet, account, look, stage.at]);

  const now = useNow();
  const over = stage.at === 'compare' && waits === undefined && Number(stage.view.until_millis) <= now;
  useEffect(() => {
    if (over) setStage({ at: 'ended', ending: 'over' });
  }, [over]);

  const place = ['connect', 'sign_in', 'code', 'compare', 'signed'].indexOf(stage.at);
  const state = (step: number) => (step < place ? 'done' : step === place ? 'now' : 'next');
  const busy = waits !== undefined;
  const asks = (
    <>
      <div role="alert" className="told">{told !== undefined && <p>{told}</p>}</div>
      {elsewhere !== undefined && (
        <div className="notice asked" role="alert">
          <p>The wallet is on chain {`${elsewhere.chain}`}, and this network is on chain {`${network.chain_id}`}.</p>
          <button type="button" onClick={() => void change(elsewhere)}>Change the chain</button>
        </div>
      )}
      <div role="status">
        {waits === 'backend' ? <p className="quiet">Asking the backend…</p> : waits !== undefined && <Asked key={waits.what} name={waits.name} what={waits.what} cancel={cancel} />}
      </div>
    </>
  );
  if (stage.at === 'ended') return <Ended ending={stage.ending} again={() => { remember(''); tell(undefined); setStage({ at: 'connect' }); }} />;
  return (
    <ol className="way">
      <Step title="Connect the wallet" state={state(0)} done={by !== undefined && <p><AddressText address={by.account} /> in {by.wallet.name}</p>}>
        <Wallets wallets={wallets} choose={(one) => void look(one)} busy={busy} />
        {asks}
      </Step>
      <Step title="Sign in" state={state(1)} done={<p className="quiet">This browser acts for that account until you sign out.</p>}>
        {stage.at === 'sign_in' && (
          <>
            <p>Your wallet signs a text that says so: <AddressText address={stage.by.account} />. It authorises no node and costs nothing.</p>
            {signedIn !== undefined && <p className="notice">This browser is signed in as <AddressText address={signedIn} />, which ends with this.</p>}
            <button type="button" className="main" disabled={busy} onClick={() => void signIn(stage.by)}>Sign in with {stage.by.wallet.name}</button>
          </>
        )}
        {asks}
      </Step>
      <Step title="Type the code" state={state(2)} done={<p className="quiet">The code is this machine’s.</p>}>
        {stage.at === 'code' && <CodeForm send={(code) => void claim(stage.by, code)} busy={busy} typed={typed} remember={(text) => { remember(text); tell(undefined); }} />}
        {asks}
      </Step>
      <Step title="Compare the words, and sign" state={state(3)} done={<p className="quiet">Your wallet has signed.</p>}>
        {stage.at === 'compare' && (
          <Compare view={stage.view} words={words(stage.digest)} busy={busy} signed={stage.signature !== undefined} agree={() => void sign(stage)} differ={() => setStage({ at: 'ended', ending: 'differ' })} />
        )}
        {asks}
      </Step>
      <Step title="The terminal goes on by itself" state={state(4)}>
        {stage.at === 'signed' && <Signed view={stage.view} before={stage.before} />}
      </Step>
    </ol>
  );
}
