/**
 * What a visitor pasted into the look-up, and where that leads.
 *
 * A checksum that is there must hold, as in the programs: an address of one case has none and is taken as it is,
 * one of both cases must be as EIP-55 writes it.
 */

import { type Address, type Hash, name } from '../../../sdk-ts/src/parse.js';
import { checksummed } from './keccak.js';

export type Found =
  | { kind: 'address'; address: Address }
  | { kind: 'license'; collection: Address; tokenId: bigint }
  | { kind: 'lease'; licenseHash: Hash }
  | { kind: 'project'; name: string };

export type Lookup = Found | { kind: 'nothing'; problem: string; advice: string };

const nothing = (problem: string, advice: string): Lookup => ({ kind: 'nothing', problem, advice });
const MOST_TOKEN = 2n ** 256n;

/** Reads what was pasted. */
export function lookup(pasted: string): Lookup {
  const text = ownPath(pasted.trim());
  if (text === '') return nothing('Nothing was entered.', 'Paste an address, a license, a node or a project’s name.');
  const [first = '', token, ...rest] = text.split(/[/#]/);
  if (token !== undefined && rest.length === 0 && first.startsWith('0x')) return license(first, token);
  if (/^[a-z]+\.eth$|\.eth$/i.test(text)) {
    return nothing('Names that end in .eth are not resolved here yet.', 'Paste the address that the name stands for.');
  }
  if (/^[a-z0-9-]+:0x/i.test(text)) {
    return nothing('The address has a chain’s name in front.', 'Leave the name and the colon out.');
  }
  if (/^0x/i.test(text)) return hexadecimal(text);
  if (/^[0-9a-f]{40}$/i.test(text)) return nothing('The address lacks its 0x.', `Try 0x${text}`);
  try {
    return { kind: 'project', name: name(text.toLowerCase()) };
  } catch {
    return nothing(
      'This is neither an address nor a name of a project.',
      'An address is 0x and 40 hex digits; a name has 1 to 32 of a-z, 0-9 and inner dashes; a license is collection/number.',
    );
  }
}

/** The path of a page that shows it. */
export function pathOf(found: Found): string {
  switch (found.kind) {
    case 'address': return `/accounts/${found.address}`;
    case 'license': return `/licenses/${found.collection}/${found.tokenId}`;
    case 'lease': return `/leases/${found.licenseHash}`;
    case 'project': return `/projects/${found.name}`;
  }
}

/** An address as a person wrote it: lower-case hex, or what is wrong with it. */
export function readAddress(text: string): { address: Address } | { problem: string; advice: string } {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) {
    const digits = text.replace(/^0x/i, '');
    if (!/^[0-9a-fA-F]*$/.test(digits)) {
      return { problem: 'The address has characters that are not hex digits.', advice: 'Use 0-9 and a-f after 0x, and copy it again.' };
    }
    return {
      problem: `The address has ${digits.length} hex digits, and an address has 40.`,
      advice: digits.length < 40 ? 'Something was cut off: copy all of it.' : 'There is something more in it: copy only the address.',
    };
  }
  const address = text.toLowerCase() as Address;
  const digits = text.slice(2);
  const mixed = digits !== digits.toLowerCase() && digits !== digits.toUpperCase();
  if (mixed && checksummed(address) !== text) {
    return {
      problem: 'The address’s checksum (EIP-55) is wrong: a character was changed.',
      advice: 'Copy it again from where you have it. Do not send anything to it.',
    };
  }
  return { address };
}

/** A project as a path names it: by its name or its distributor's address. */
export function readProject(text: string): { project: string } | { problem: string; advice: string } {
  if (text.startsWith('0x')) {
    const read = readAddress(text);
    return 'problem' in read ? read : { project: read.address };
  }
  try {
    return { project: name(text) };
  } catch {
    return { problem: 'No project can have this name.', advice: 'A name has 1 to 32 of a-z, 0-9 and inner dashes, in lower case.' };
  }
}

function license(first: string, token: string): Lookup {
  const read = readAddress(first);
  if ('problem' in read) return { kind: 'nothing', ...read };
  if (!/^[0-9]{1,78}$/.test(token) || BigInt(token) >= MOST_TOKEN) {
    return nothing('The license’s number is not a whole number.', 'A license is its collection’s address, a slash and a number: 0x…/1.');
  }
  return { kind: 'license', collection: read.address, tokenId: BigInt(token) };
}

function hexadecimal(text: string): Lookup {
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return { kind: 'lease', licenseHash: text.toLowerCase() as Hash };
  const read = readAddress(text);
  return 'problem' in read ? { kind: 'nothing', ...read } : { kind: 'address', address: read.address };
}

/** A link to a page of this dashboard is what it leads to. */
function ownPath(text: string): string {
  const found = /^https?:\/\/[^/]+\/(?:accounts|operators|nodes|projects|licenses|leases)\/([^?]+?)\/?$/.exec(text);
  return found?.[1] ?? text;
}
