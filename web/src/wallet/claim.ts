/** One claim by the visitor's wallet. Each step ends, or says what it waits for. */

import { type Address as Viem, createWalletClient, custom, type EIP1193Provider, type PublicClient } from 'viem';

import { type Claimable, claimRequest } from '../../../sdk-ts/src/claims/claims.js';
import type { Hash } from '../../../sdk-ts/src/parse.js';

/** What a claim costs now: gas, and its most in wei of the native coin. The contract must take it. */
export async function cost(client: PublicClient, claimable: Claimable): Promise<{ gas: bigint; wei: bigint }> {
  const request = { ...claimRequest(claimable), account: claimable.proof.account };
  await client.simulateContract(request);
  const [gas, price] = await Promise.all([client.estimateContractGas(request), client.getGasPrice()]);
  return { gas, wei: gas * price };
}

/** Asks the wallet to send it: the transaction's hash. */
export function send(provider: EIP1193Provider, claimable: Claimable): Promise<Hash> {
  const wallet = createWalletClient({ transport: custom(provider, { retryCount: 0 }) });
  const account = claimable.proof.account as Viem;
  return wallet.writeContract({ ...claimRequest(claimable), account, chain: null });
}

/** Until the transaction is in a block; whether the chain carried it out. */
export async function mined(client: PublicClient, hash: Hash): Promise<boolean> {
  const receipt = await client.waitForTransactionReceipt({ hash, timeout: 180_000, pollingInterval: 2000 });
  return receipt.status === 'success';
}
