/** Claiming one project's rewards with a wallet. Loaded once the visitor asks for it. */

import { useCallback, useEffect, useRef, useState } from 'react';

import type { ProofView } from '../../../sdk-ts/src/api/views.js';
import type { Address, Hash as HashText } from '../../../sdk-ts/src/parse.js';
import { check, type Checked, claimableOf, clientOf } from '../chain/read.js';
import { units } from '../lib/format.js';
import { chainOf, connect, switchTo } from '../wallet/account.js';
import { cost, mined, send } from '../wallet/claim.js';
import { discover, type Wallet } from '../wallet/providers.js';
import { walletWords } from '../wallet/words.js';
import { AddressText, Amount, Hash } from './bits.js';

type State =
  | { step: 'choose' }
  | { step: 'asked'; wallet: Wallet; what: string }
  | { step: 'other_account'; wallet: Wallet; found: Address | undefined }
  | { step: 'other_chain'; wallet: Wallet; found: bigint }
  | { step: 'reading'; wallet: Wallet }
  | { step: 'ready'; wallet: Wallet; checked: Checked; gas: bigint; wei: bigint }
  | { step: 'nothing'; wallet: Wallet; why: string }
  | { step: 'sent'; wallet: Wallet; hash: HashText; slow: boolean }
  | { step: 'done'; hash: HashText; amount: bigint; checked: Checked };

const BLOCKED: Record<string, string> = {
  nothing_left: 'Everything under the newest active root is claimed.', not_active: 'The root is not active yet: its delay runs, or the project is paused.',
  unknown_root: 'The contract does not know this root. Do not claim by what this backend says.', bad_proof: 'The backend’s proof does not lead to its root.',
  refused: 'The contract refuses the claim now.',
};

export function Claim({ account, chainId, proof, done }: { account: Address; chainId: bigint; proof: ProofView; done: () => void }) {
  const [wallets, setWallets] = useState<Wallet[]>();
  const [state, setState] = useState<State>({ step: 'choose' });
  const [told, tell] = useState<string>();
  // What was cancelled may still be answered by the wallet; then it is not listened to.
  const turn = useRef(0);
  useEffect(() => {
    const timer = setTimeout(() => setWallets((known) => known ?? []), 600);
    const end = discover(setWallets);
    return () => { clearTimeout(timer); end(); };
  }, []);

  const attempt = useCallback(async (wallet: Wallet, work: (current: () => boolean) => Promise<void>) => {
    turn.current += 1;
    const mine = turn.current;
    tell(undefined);
    try {
      await work(() => mine === turn.current);
    } catch (error) {
      if (mine !== turn.current) return;
      tell(walletWords(error));
      setState((before) => (before.step === 'ready' || before.step === 'other_chain' ? before : { step: 'choose' }));
    }
    void wallet;
  }, []);

  const look = useCallback((wallet: Wallet) => attempt(wallet, async (current) => {
    setState({ step: 'asked', wallet, what: 'Confirm in the wallet that this page may see your account.' });
    const found = await connect(wallet.provider);
    if (!current()) return;
    if (found !== account) return setState({ step: 'other_account', wallet, found });
    const chain = await chainOf(wallet.provider);
    if (!current()) return;
    if (chain !== chainId) return setState({ step: 'other_chain', wallet, found: chain });
    setState({ step: 'reading', wallet });
    const client = clientOf({ kind: 'wallet', provider: wallet.provider });
    const checked = await check(client, proof);
    if (!current()) return;
    if (checked.state.blocked !== undefined) return setState({ step: 'nothing', wallet, why: BLOCKED[checked.state.blocked] ?? 'Nothing can be claimed now.' });
    const costs = await cost(client, claimableOf(proof));
    if (current()) setState({ step: 'ready', wallet, checked, ...costs });
  }), [account, attempt, chainId, proof]);

  const wallet = 'wallet' in state ? state.wallet : undefined;
  useEffect(() => {
    if (wallet === undefined || state.step === 'sent') return;
    const again = () => void look(wallet);
    wallet.provider.on?.('accountsChanged', again);
    wallet.provider.on?.('chainChanged', again);
    return () => {
      wallet.provider.removeListener?.('accountsChanged', again);
      wallet.provider.removeListener?.('chainChanged', again);
    };
  }, [wallet, look, state.step]);

  const change = (to: Wallet) => attempt(to, async (current) => {
    const before = state;
    setState({ step: 'asked', wallet: to, what: 'Confirm the change of chain in the wallet.' });
    try {
      await switchTo(to.provider, chainId);
    } catch (error) {
      if (current()) setState(before);
      throw error;
    }
    if (current()) await look(to);
  });

  const claim = (ready: State & { step: 'ready' }) => attempt(ready.wallet, async (current) => {
    const { wallet: by, checked } = ready;
    setState({ step: 'asked', wallet: by, what: 'Confirm the claim in the wallet. Nothing is sent before.' });
    let hash: HashText;
    try {
      hash = await send(by.provider, claimableOf(proof));
    } catch (error) {
      if (current()) setState(ready);
      throw error;
    }
    // From here on the transaction is on its way, whatever was cancelled.
    setState({ step: 'sent', wallet: by, hash, slow: false });
    try {
      const good = await mined(clientOf({ kind: 'wallet', provider: by.provider }), hash);
      if (good) setState({ step: 'done', hash, amount: checked.state.amount, checked });
      else {
        setState({ step: 'choose' });
        tell(`The chain refused the transaction ${hash}: nothing was claimed, its gas was spent.`);
      }
      done();
    } catch {
      setState({ step: 'sent', wallet: by, hash, slow: true });
    }
  });

  const cancel = () => {
    turn.current += 1;
    setState({ step: 'choose' });
    tell('Cancelled here. If the wallet still asks, refuse it there.');
  };

  return (
    <div className="claim">
      <div role="alert" className="told">{told !== undefined && <p>{told}</p>}</div>
      <div role="status">
        {state.step === 'choose' && (wallets === undefined
          ? <p className="quiet">Looking for wallets…</p>
          : wallets.length === 0
            ? <p>No wallet announces itself in this browser. Install one, or claim with <code>nodesys rewards claim</code>.</p>
            : (
              <div className="wallets">
                {wallets.map((one) => (
                  <button type="button" key={one.id} onClick={() => void look(one)}>
                    {one.icon !== undefined && <img src={one.icon} alt="" width="18" height="18" />} Connect {one.name}
                  </button>
                ))}
              </div>
            ))}
        {state.step === 'asked' && (
          <p className="notice">
            <strong>{state.wallet.name} asks you.</strong> {state.what} If it is locked, unlock it. <button type="button" onClick={cancel}>Cancel</button>
          </p>
        )}
        {state.step === 'reading' && <p className="quiet">Reading the contract over {state.wallet.name}…</p>}
        {state.step === 'other_account' && (
          <p className="notice">
            {state.found === undefined ? 'The wallet offers no account. ' : <>The wallet offers <AddressText address={state.found} />, and these are the rewards of <AddressText address={account} />. </>}
            Only that account can claim them: choose it in the wallet. <button type="button" onClick={() => void look(state.wallet)}>Try again</button>
          </p>
        )}
        {state.step === 'other_chain' && (
          <p className="notice">
            The wallet is on chain {`${state.found}`}, and the rewards are on chain {`${chainId}`}.{' '}
            <button type="button" onClick={() => void change(state.wallet)}>Change the chain</button>
          </p>
        )}
        {state.step === 'nothing' && <p className="notice">{state.why}</p>}
        {state.step === 'ready' && (
          <div className="ready">
            <p>
              <strong className="big"><Amount wei={state.checked.state.amount} symbol={state.checked.symbol} decimals={state.checked.decimals} /></strong>{' '}
              to <AddressText address={account} />, by the contract’s own word.
            </p>
            <p className="quiet">About {`${state.gas}`} gas, at most {units(state.wei, 18, 9)} of the chain’s coin at the price of now.</p>
            <button type="button" className="main" onClick={() => void claim(state)}>Claim</button>
          </div>
        )}
        {state.step === 'sent' && (
          <p className="notice">
            Sent: <Hash hash={state.hash} />. {state.slow ? 'No block has it after three minutes. It may still come: look for its hash before you send another.' : 'Waiting for its block…'}
          </p>
        )}
        {state.step === 'done' && (
          <p className="notice">
            <strong>Claimed <Amount wei={state.amount} symbol={state.checked.symbol} decimals={state.checked.decimals} />.</strong> Transaction <Hash hash={state.hash} />.
            {' '}The figures above follow once its block is final.
          </p>
        )}
      </div>
    </div>
  );
}
