/** Claiming from several projects: in one batch where the wallet can (EIP-5792), else one after the other. */

import type { PublicClient, WalletClient } from 'viem';

import type { Address, Hash } from '../parse.js';
import { type Claimable, claimCall, claimRequest, claimState } from './claims.js';

export type ClaimedAll =
  /** One batch, all or nothing: its id for `waitForCallsStatus`. */
  | { kind: 'batch'; id: string; claimed: Claimable[] }
  /** A transaction each; `failed` are those that were not sent, or that the chain refused. */
  | { kind: 'transactions'; hashes: Hash[]; claimed: Claimable[]; failed: { claimable: Claimable; problem: string }[] };

export interface ClaimAllOptions {
  recipient?: Address;
  /** `batch`: only in one batch; `transactions`: never; by default a batch where the wallet says it can. */
  by?: 'batch' | 'transactions';
}

/**
 * Claims all that is left of these, each under its active root. What has nothing left is passed over.
 *
 * @throws where the chain cannot be read, or the wallet refuses the batch.
 */
export async function claimAll(
  wallet: WalletClient,
  chain: PublicClient,
  claimables: readonly Claimable[],
  options: ClaimAllOptions = {},
): Promise<ClaimedAll> {
  const { account } = wallet;
  if (account === undefined) throw new Error('the wallet client has no account');
  const foreign = claimables.find(({ proof }) => proof.account !== account.address.toLowerCase());
  if (foreign !== undefined) throw new Error(`the proof is of ${foreign.proof.account}, not of the wallet's account`);
  const states = await Promise.all(claimables.map((one) => claimState(chain, one)));
  const left = claimables.filter((_, i) => (states[i]?.amount ?? 0n) > 0n);
  const batch = options.by === 'batch' || (options.by === undefined && left.length > 1 && (await canBatch(wallet)));
  if (batch && left.length > 0) {
    const calls = left.map((one) => claimCall(one, options.recipient));
    const { id } = await wallet.sendCalls({ account, calls, forceAtomic: true });
    return { kind: 'batch', id, claimed: left };
  }
  const sent: ClaimedAll = { kind: 'transactions', hashes: [], claimed: [], failed: [] };
  for (const claimable of left) {
    try {
      const { request } = await chain.simulateContract({ ...claimRequest(claimable, options.recipient), account });
      const hash = await wallet.writeContract(request);
      const receipt = await chain.waitForTransactionReceipt({ hash });
      if (receipt.status !== 'success') throw new Error(`the transaction ${hash} failed`);
      sent.hashes.push(hash);
      sent.claimed.push(claimable);
    } catch (error) {
      // One project's trouble does not keep the others' rewards.
      sent.failed.push({ claimable, problem: error instanceof Error ? error.message : String(error) });
    }
  }
  return sent;
}

/** Whether the wallet says that it executes several calls as one (EIP-5792). */
async function canBatch(wallet: WalletClient): Promise<boolean> {
  try {
    const chainId = await wallet.getChainId();
    const capabilities = (await wallet.getCapabilities({ chainId })) as { atomic?: { status?: string } };
    return ['supported', 'ready'].includes(capabilities.atomic?.status ?? '');
  } catch {
    // A wallet without the method answers with an error.
    return false;
  }
}
