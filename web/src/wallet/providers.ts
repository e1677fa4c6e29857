/** The wallets in this browser: by EIP-6963, and where none announces itself, the one at `window.ethereum`. */

import type { EIP1193Provider } from 'viem';

export interface Wallet { id: string; name: string; icon: string | undefined; provider: EIP1193Provider }

interface Announced { info?: { uuid?: unknown; name?: unknown; icon?: unknown }; provider?: EIP1193Provider }

/** Calls `found` with all wallets known so far, each time one more is; what it returns ends that. */
export function discover(found: (wallets: Wallet[]) => void): () => void {
  const wallets = new Map<string, Wallet>();
  const announce = (event: Event) => {
    const { info, provider } = ((event as CustomEvent<Announced | null>).detail ?? {}) as Announced;
    if (typeof info?.uuid !== 'string' || typeof provider?.request !== 'function') return;
    const name = typeof info.name === 'string' && info.name.trim() !== '' ? info.name.trim().slice(0, 40) : 'a wallet without a name';
    // A picture from elsewhere would tell its server who looks.
    const icon = typeof info.icon === 'string' && info.icon.startsWith('data:image/') ? info.icon : undefined;
    wallets.set(info.uuid, { id: info.uuid, name, icon, provider });
    found([...wallets.values()]);
  };
  window.addEventListener('eip6963:announceProvider', announce);
  window.dispatchEvent(new Event('eip6963:requestProvider'));
  const timer = setTimeout(() => {
    const provider = (window as { ethereum?: EIP1193Provider }).ethereum;
    if (wallets.size === 0 && provider !== undefined) found([{ id: 'window', name: 'Browser wallet', icon: undefined, provider }]);
  }, 300);
  return () => {
    clearTimeout(timer);
    window.removeEventListener('eip6963:announceProvider', announce);
  };
}
