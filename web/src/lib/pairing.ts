/** Pairing a node by a code: what a visitor types, what both screens show, and what a refusal means. */

import { ApiProblem } from '../../../sdk-ts/src/api/http.js';
import type { Hash } from '../../../sdk-ts/src/parse.js';

/** Letters of a code: no vowels, and nothing that looks like another. */
const LETTERS = /^[BCDFGHJKLMNPQRSTVWXZ]$/;

export type Code = { code: string } | { problem: string };

/** A code as people type it. What cannot be one is told here, since a wrong code costs a try. */
export function readCode(typed: string): Code {
  const letters = [...typed.toUpperCase().replaceAll(/[\s\p{Pd}]/gu, '')];
  if (letters.length === 0) return { problem: 'Type the code that the terminal shows.' };
  const stranger = letters.find((letter) => !LETTERS.test(letter));
  if (stranger !== undefined) return { problem: `“${stranger}” is in no code: a code has no vowels and no digits. This did not cost a try.` };
  if (letters.length !== 8) return { problem: `A code has eight letters, and this has ${letters.length}. This did not cost a try.` };
  const code = letters.join('');
  return { code: `${code.slice(0, 4)}-${code.slice(4)}` };
}

/** A pairing's id, as it stands in the link. */
export const readPairing = (text: string): string | undefined => (/^[0-9a-f]{32}$/.test(text) ? text : undefined);

/** The first 48 bits of a digest as three words (proquints), as the node's screen shows them. */
export function words(digest: Hash): string[] {
  const [consonants, vowels] = ['bdfghjklmnprstvz', 'aiou'];
  return [2, 6, 10].map((at) => {
    const bits = Number.parseInt(digest.slice(at, at + 4), 16);
    const consonant = (shift: number) => consonants.charAt((bits >> shift) & 15);
    const vowel = (shift: number) => vowels.charAt((bits >> shift) & 3);
    return consonant(12) + vowel(10) + consonant(6) + vowel(4) + consonant(0);
  });
}

/** Why a pairing goes no further. */
export type Ending = 'over' | 'tries' | 'claimed' | 'differ' | 'contradicts';

export type Refusal =
  | { kind: 'ended'; ending: Ending }
  | { kind: 'wrong_code'; left: number | undefined }
  | { kind: 'signed_out' }
  | { kind: 'told'; words: string };

/** What the backend's refusal, or its silence, means for the visitor. */
export function refusal(error: unknown): Refusal {
  const told = (text: string): Refusal => ({ kind: 'told', words: text });
  if (!(error instanceof ApiProblem)) return told('The backend does not answer. Nothing is lost: try again in a moment.');
  const { code, status, problem: { detail } } = error;
  switch (code) {
    case 'unknown_pairing': return { kind: 'ended', ending: 'over' };
    case 'pairing_claimed': return { kind: 'ended', ending: 'claimed' };
    case 'wrong_code': {
      const left = triesLeft(detail);
      return left === 0 ? { kind: 'ended', ending: 'tries' } : { kind: 'wrong_code', left };
    }
    case 'not_signed_in': return { kind: 'signed_out' };
    case 'login_text_old': case 'login_text_used': return told('The text to sign could no longer be used. Sign in again: the wallet gets a new one.');
    case 'cross_site': return told('This is not the backend’s public address. Open the link exactly as the terminal shows it.');
    case 'rate_limited': return told(`That was too often. ${sentence(detail)}`);
    default: return told(status >= 500 ? `The backend has a fault: ${sentence(detail)} Try again in a moment.` : `The backend refuses it: ${sentence(detail)}`);
  }
}

/** Only the words say it; a backend that words it in another way says it in its own. */
function triesLeft(detail: string): number | undefined {
  if (/pairing has ended/.test(detail)) return 0;
  const left = /(\d+) tries are left/.exec(detail)?.[1];
  return left === undefined ? undefined : Number(left);
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1, 300).replace(/\.$/, '')}.`;
