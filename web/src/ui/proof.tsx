/** The check of an account's proof and payments against the chain. Loaded once the visitor asks for it. */

import { useState } from 'react';

import type { ProofView } from '../../../sdk-ts/src/api/views.js';
import type { Address } from '../../../sdk-ts/src/parse.js';
import { check, type Checked, onChain, type Paid, payments, WrongChain } from '../chain/read.js';
import { csv } from '../lib/csv.js';
import { count, exactUnits, utc } from '../lib/format.js';
import { Amount, Badge, Facts, Hash, Moment, Says, Table } from './bits.js';
import { RpcForm } from './source.js';

type State = { step: 'idle' | 'reading' } | { step: 'failed'; words: string } | { step: 'read'; checked: Checked; paid: Paid[] };

export function ProofOnChain({ account, name, chainId, proof }: { account: Address; name: string; chainId: bigint; proof: ProofView }) {
  const [state, setState] = useState<State>({ step: 'idle' });
  const read = async (url: string) => {
    setState({ step: 'reading' });
    try {
      const client = await onChain({ kind: 'rpc', url }, chainId);
      const [checked, paid] = await Promise.all([check(client, proof), payments(client, proof.project, account)]);
      setState({ step: 'read', checked, paid });
    } catch (error) {
      const words = error instanceof WrongChain ? `Another chain answers: ${error.message}.` : `Could not read the chain: ${error instanceof Error ? error.message : String(error)}`;
      setState({ step: 'failed', words: words.slice(0, 500) });
    }
  };
  return (
    <>
      <RpcForm use={(url) => void read(url)} busy={state.step === 'reading'} action="Check on chain" />
      <div role="status">
        {state.step === 'reading' && <p className="quiet">Reading the contract and every claim…</p>}
        {state.step === 'failed' && <div className="failed"><p className="empty-title">Nothing was decided.</p><p className="words">{state.words}</p></div>}
        {state.step === 'read' && <Result {...state} account={account} name={name} proof={proof} />}
      </div>
    </>
  );
}

function Result({ checked, paid, account, name, proof }: { checked: Checked; paid: Paid[]; account: Address; name: string; proof: ProofView }) {
  const { state, entry, symbol, decimals } = checked;
  const amount = (wei: bigint) => <Amount wei={wei} symbol={symbol} decimals={decimals} />;
  const good = entry !== undefined && state.blocked !== 'bad_proof';
  return (
    <div className="result">
      <p>
        <Badge tone={good ? 'good' : 'bad'}>
          {good ? 'The proof leads to a root that the contract has' : entry === undefined ? 'The contract does not have this root' : 'The proof does not lead to its root'}
        </Badge>{' '}
        <Says who="chain" />
      </p>
      <Facts
        facts={[
          ['Claimable by the contract', amount(state.amount)],
          ['Claimed by the contract', amount(state.claimed)],
          ['Earned under this root', amount(state.cumulative)],
          ['Root active', state.blocked === 'not_active' ? 'not yet' : entry === undefined ? 'unknown' : <Moment key="m" millis={Number(state.activatesAt) * 1000} />],
        ]}
      />
      <h3>Claims</h3>
      {paid.length === 0
        ? <p className="quiet">None yet.</p>
        : (
          <>
            <Table caption="Claims of the account" head={['When', 'Block', 'Transaction', 'Amount']} numbers={[1, 3]}>
              {paid.map((one) => (
                <tr key={one.transaction}>
                  <td><Moment millis={Number(one.secs) * 1000} /></td>
                  <td className="number">{count(one.block)}</td>
                  <td><Hash hash={one.transaction} /></td>
                  <td className="number">{amount(one.amount)}</td>
                </tr>
              ))}
            </Table>
            <button type="button" onClick={() => save(`claims-${name}-${account}.csv`, paymentsCsv(name, account, paid, symbol, decimals))}>Export CSV</button>
          </>
        )}
      <p className="quiet">The events of all claims add up to what the contract says it has paid, to the wei. Proof of {proof.day}, checked in this browser.</p>
    </div>
  );
}

/** Claims as a table: every amount in units of the token and in wei. */
export function paymentsCsv(name: string, account: Address, paid: readonly Paid[], symbol: string, decimals: number): string {
  const head = ['time_utc', 'block', 'project', 'account', 'recipient', 'token', 'amount', 'amount_wei', 'cumulative_wei', 'transaction'];
  return csv([head, ...paid.map((one) => [
    utc(Number(one.secs) * 1000, true).replace(' UTC', ''), one.block, name, account, one.recipient, symbol, exactUnits(one.amount, decimals),
    one.amount, one.cumulative, one.transaction,
  ])]);
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
