/** What a visitor does who is signed in. The secret is in a cookie that no script can read. */

import { queryOptions } from '@tanstack/react-query';

import { ApiProblem, Http } from '../../../sdk-ts/src/api/http.js';
import { address, boolean, list, open, type Address, type Hex, type Parsed, text, uint256, uint64 } from '../../../sdk-ts/src/parse.js';

const login = open({ account: address, until_millis: uint64 });
/** A login: who signed in, and when it ends by itself. */
export type Login = Parsed<typeof login>;

const loginText = open({ message: text, nonce: text });
const pairingView = open({
  authorization: open({ operator: address, node_key: address, not_after: uint64, nonce: uint256 }),
  words: text, machine: text, signed: boolean, until_millis: uint64,
});
/** A pairing for the account that has typed its code. */
export type PairingView = Parsed<typeof pairingView>;

/** A form of another site cannot set this header. */
const http = new Http(location.origin, {
  retries: 0, timeoutMillis: 15_000,
  fetch: (url, init) => fetch(url, { ...init, headers: { ...(init?.headers as Record<string, string>), 'nodesys-csrf': '1' } }),
});
const body = (value: object) => ({ type: 'application/json', bytes: JSON.stringify(value) });
const post = (path: readonly string[], value: object) => ({ method: 'POST', path: ['v1', ...path], body: body(value) }) as const;

export const people = {
  /** The text by which an account signs in. */
  text: (account: Address) => http.json(post(['login', 'messages'], { account }), loginText),
  signIn: (account: Address, nonce: string, signature: Hex) => http.json(post(['login'], { account, nonce, signature }), login),
  signOut: () => http.json({ method: 'DELETE', path: ['v1', 'login'] }, list(open({}))),
  claimPairing: (pairing: string, code: string) => http.json(post(['pairings', pairing, 'claims'], { code }), pairingView),
  signPairing: (pairing: string, signature: Hex) => http.json(post(['pairings', pairing, 'signature'], { signature }), pairingView),
};

const isCode = (error: unknown, code: string): boolean => error instanceof ApiProblem && error.code === code;

/** Who is signed in: null for nobody, `off` where this backend has no login. */
export const loginQuery = () =>
  queryOptions({
    queryKey: ['login'],
    queryFn: async (): Promise<Login | null | 'off'> => {
      try {
        return await http.json({ method: 'GET', path: ['v1', 'login'] }, login);
      } catch (error) {
        if (isCode(error, 'not_signed_in')) return null;
        if (isCode(error, 'login_off')) return 'off';
        throw error;
      }
    },
    staleTime: Infinity,
  });
