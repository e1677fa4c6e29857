/** What a wallet's or a node's error means for a person. Codes of EIP-1193, EIP-3085 and JSON-RPC. */

interface Coded { code?: unknown; shortMessage?: unknown; message?: unknown; details?: unknown; cause?: unknown; name?: unknown }

/** The first code in an error and its causes. */
export function codeOf(error: unknown): number | undefined {
  let at = error as Coded | undefined;
  for (let depth = 0; at !== undefined && at !== null && depth < 10; depth += 1) {
    if (typeof at.code === 'number') return at.code;
    at = at.cause as Coded | undefined;
  }
  return undefined;
}

/** One or two sentences: what happened, and what to do. `instead` is the program that does the same. */
export function walletWords(error: unknown, nothing = 'Nothing was sent.', instead = 'nodesys rewards claim'): string {
  switch (codeOf(error)) {
    case 4001: return `You refused it in the wallet. ${nothing}`;
    case 4100: return 'The wallet does not let this page use the account. Allow it in the wallet, then connect again.';
    case 4200: return `The wallet cannot do this. Try another wallet, or the program: ${instead}.`;
    case 4900: case 4901: return 'The wallet has lost its connection to the chain. Open the wallet, then try again.';
    case 4902: return 'The wallet does not know this chain. Add the chain in the wallet, then try again.';
    case -32002: return 'The wallet already asks you something: open it, unlock it if it is locked, and answer there.';
    case -32000: case -32003: return `The chain does not take the transaction: ${plain(error)}`;
    default: return `The wallet or its chain failed: ${plain(error)}`;
  }
}

function plain(error: unknown): string {
  const { shortMessage, details, message } = (error ?? {}) as Coded;
  const words = [shortMessage, details].filter((one) => typeof one === 'string' && one !== '');
  return (words.length > 0 ? words.join(' ') : typeof message === 'string' ? message : String(error)).slice(0, 300);
}
