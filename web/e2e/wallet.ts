/** A wallet in the page (EIP-1193, announced by EIP-6963) whose key is one of anvil's; the test decides what it does. */

import type { Page } from 'playwright-core';
import { createPublicClient, createWalletClient, type Hex, http } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';

import { endpoints } from './site.js';

export const chain = createPublicClient({ chain: foundry, transport: http(endpoints.rpc), pollingInterval: 100 });
export const person = (index: number) => mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: index });

export class TestWallet {
  /** Whether it answers with a refusal, never answers, or does what it is asked. */
  mood: 'willing' | 'refusing' | 'locked' = 'willing';
  chainId = foundry.id as number;
  /** What it was asked, by method. */
  readonly asked: string[] = [];
  private readonly signer;

  constructor(private readonly page: Page, private account: ReturnType<typeof person>) {
    this.signer = createWalletClient({ account, chain: foundry, transport: http(endpoints.rpc) });
  }

  async moveIn(name = 'Test wallet'): Promise<void> {
    await this.page.exposeFunction('testWallet', (method: string, params: unknown[]) => this.answer(method, params));
    await this.page.addInitScript((shown) => {
      type Answer = { result?: unknown; error?: { code: number; message: string } };
      const listeners = new Map<string, Set<(value: unknown) => void>>();
      const provider = {
        async request({ method, params }: { method: string; params?: unknown[] }) {
          const ask = (globalThis as unknown as { testWallet(method: string, params: unknown[]): Promise<Answer> }).testWallet;
          const { result, error } = await ask(method, params ?? []);
          if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code });
          if (method === 'wallet_switchEthereumChain') for (const told of listeners.get('chainChanged') ?? []) told(null);
          return result;
        },
        on: (event: string, listener: (value: unknown) => void) => void listeners.set(event, (listeners.get(event) ?? new Set()).add(listener)),
        removeListener: (event: string, listener: (value: unknown) => void) => void listeners.get(event)?.delete(listener),
      };
      Object.assign(globalThis, { testWalletTells: (event: string, value: unknown) => { for (const told of listeners.get(event) ?? []) told(value); } });
      const detail = Object.freeze({ info: { uuid: '1', name: shown, icon: 'https://example.org/track.png', rdns: 'test' }, provider });
      const announce = () => window.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }));
      window.addEventListener('eip6963:requestProvider', announce);
      announce();
    }, name);
  }

  /** The visitor chooses another account in it. */
  async becomes(account: ReturnType<typeof person>): Promise<void> {
    this.account = account;
    await this.page.evaluate((address) => (globalThis as unknown as { testWalletTells(event: string, value: unknown): void }).testWalletTells('accountsChanged', [address]), account.address);
  }

  private async answer(method: string, params: unknown[]): Promise<unknown> {
    this.asked.push(method);
    const asksPerson = ['eth_requestAccounts', 'eth_sendTransaction', 'wallet_switchEthereumChain', 'personal_sign', 'eth_signTypedData_v4'].includes(method);
    if (asksPerson && this.mood === 'locked') return new Promise(() => undefined);
    if (asksPerson && this.mood === 'refusing') return { error: { code: 4001, message: 'User rejected the request.' } };
    switch (method) {
      case 'eth_requestAccounts': case 'eth_accounts': return { result: [this.account.address] };
      case 'eth_chainId': return { result: `0x${this.chainId.toString(16)}` };
      case 'wallet_switchEthereumChain': {
        this.chainId = Number((params[0] as { chainId: Hex }).chainId);
        return { result: null };
      }
      case 'personal_sign': return { result: await this.account.signMessage({ message: { raw: params[0] as Hex } }) };
      case 'eth_signTypedData_v4': {
        const data = JSON.parse(params[1] as string) as Parameters<typeof this.account.signTypedData>[0] & { domain: { chainId: number } };
        // As wallets do: another chain's data is not signed.
        if (data.domain.chainId !== this.chainId) return { error: { code: -32603, message: 'Provided chainId must match the active chainId' } };
        return { result: await this.account.signTypedData(data) };
      }
      case 'eth_sendTransaction': {
        const { to, data } = params[0] as { to: Hex; data: Hex };
        return { result: await this.signer.sendTransaction({ to, data }) };
      }
      default: {
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
        const response = await fetch(endpoints.rpc, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
        return (await response.json()) as unknown;
      }
    }
  }
}
