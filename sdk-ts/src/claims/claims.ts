/**
 * Claims: what an account may take, and the calls that take it.
 *
 * Nothing is sent here but by {@link claimAll}: a call is viem's request, for `simulateContract`, `writeContract`
 * or a wallet of your own.
 */

import { encodeFunctionData, type PublicClient } from 'viem';

import { distributorAbi } from '../chain/abi.js';
import { type Proof, proofHolds } from '../day/tree.js';
import { type Claim, domainOf, type TypedData, typedData } from '../messages.js';
import { type Address, type Hash, type Hex, ZERO_ADDRESS } from '../parse.js';

/** A proof, the root that it leads to, and the project that owes. */
export interface Claimable {
  distributor: Address;
  root: Hash;
  proof: Proof;
}

/** What stands in the way of a claim. */
export type ClaimBlock = 'bad_proof' | 'unknown_root' | 'not_active' | 'nothing_left' | 'refused';

export interface ClaimState {
  /** What a claim would pay now, in wei. */
  amount: bigint;
  /** What the account was paid before, in wei. */
  claimed: bigint;
  /** What it earned in all under the root, in wei. */
  cumulative: bigint;
  /** When the root becomes active, seconds since 1970; zero where the contract does not know it. */
  activatesAt: bigint;
  /** Why `amount` is zero. */
  blocked: ClaimBlock | undefined;
}

type Reader = Pick<PublicClient, 'readContract'>;

/** What the account of a proof may claim, by the chain. Throws where the chain cannot be read. */
export async function claimState(client: Reader, { distributor, root, proof }: Claimable): Promise<ClaimState> {
  const on = { address: distributor, abi: distributorAbi } as const;
  const { account, cumulative, path } = proof;
  const [entry, active, claimed] = await Promise.all([
    client.readContract({ ...on, functionName: 'commitOf', args: [root] }),
    client.readContract({ ...on, functionName: 'isActive', args: [root] }),
    client.readContract({ ...on, functionName: 'claimed', args: [account] }),
  ]);
  const state = { amount: 0n, claimed, cumulative, activatesAt: entry.activatesAt };
  if (!proofHolds(proof, root)) return { ...state, blocked: 'bad_proof' };
  if (entry.activatesAt === 0n) return { ...state, blocked: 'unknown_root' };
  if (!active) return { ...state, blocked: 'not_active' };
  if (cumulative <= claimed) return { ...state, blocked: 'nothing_left' };
  try {
    // The contract's own word, which knows also what is left of the active total.
    const args = [account, root, cumulative, path] as const;
    const amount = await client.readContract({ ...on, functionName: 'claimable', args });
    return { ...state, amount, blocked: undefined };
  } catch (error) {
    if (error instanceof Error && error.name === 'ContractFunctionExecutionError' && isRevert(error)) {
      return { ...state, blocked: 'refused' };
    }
    throw error;
  }
}

const isRevert = (error: Error) => error.cause instanceof Error && error.cause.name === 'ContractFunctionRevertedError';

/** The call by which an account claims for itself, to a recipient of its choice. */
export function claimRequest({ distributor, root, proof }: Claimable, recipient: Address = proof.account) {
  const args = [root, proof.cumulative, proof.path, recipient] as const;
  return { account: proof.account, address: distributor, abi: distributorAbi, functionName: 'claim', args } as const;
}

/** The same as target and data, for `wallet_sendCalls`. */
export function claimCall(claimable: Claimable, recipient?: Address): { to: Address; data: Hex } {
  const { address, abi, functionName, args } = claimRequest(claimable, recipient);
  return { to: address, data: encodeFunctionData({ abi, functionName, args }) };
}

/** What a claim says that somebody else may bring to the chain. */
export interface SignedClaimTerms {
  /** The account itself by default. */
  recipient?: Address;
  /** Who may bring it; anyone by default. */
  relayer?: Address;
  /** What the one who brings it keeps, in wei; nothing by default. */
  relayerFee?: bigint;
  /** Last second of validity, seconds since 1970. */
  deadline: bigint;
}

/** The message that an account signs so that somebody else can bring its claim. */
export function claimMessage({ root, proof }: Claimable, terms: SignedClaimTerms): Claim {
  return {
    account: proof.account,
    root,
    cumulative: proof.cumulative,
    recipient: terms.recipient ?? proof.account,
    relayer: terms.relayer ?? ZERO_ADDRESS,
    relayerFee: terms.relayerFee ?? 0n,
    deadline: terms.deadline,
  };
}

/** That message for `signTypedData`. */
export function claimTypedData(chainId: bigint | number, distributor: Address, claim: Claim): TypedData<'Claim'> {
  return typedData(domainOf(chainId, distributor), 'Claim', claim);
}

/** The call by which anyone, or the named relayer, brings a signed claim. */
export function signedClaimRequest(distributor: Address, claim: Claim, path: readonly Hash[], signature: Hex) {
  const args = [claim, path, signature] as const;
  return { address: distributor, abi: distributorAbi, functionName: 'claimWithSignature', args } as const;
}
