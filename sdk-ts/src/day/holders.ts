/**
 * Holders and renters of licenses, folded from the logs of their collections.
 *
 * Logs are the public facts: a license whose logs contradict themselves, or that has none, counts for nobody, whatever
 * calls of its contract say.
 */

import { type Bundle, FORMAT_1 } from '../formats/bundle.js';
import type { Uncounted } from '../formats/tables.js';
import { type Address, ZERO_ADDRESS } from '../parse.js';
import { type DayFacts, type Token, tokenKey } from './facts.js';

/** One log of a collection: ERC-721's `Transfer`, or ERC-4907's `UpdateUser`. */
export type LicenseEvent = Token & (
  | { kind: 'transfer'; from: Address; to: Address }
  | { kind: 'rental'; renter: Address; untilSecs: bigint }
);

/** A token by its logs. */
interface Folded {
  holder: Address;
  renter: Address;
  /** Last second of the rental. */
  untilSecs: bigint;
  /** The first contradiction; what comes later does not undo it. */
  contradiction: Uncounted | undefined;
}

/** Holders and rentals as of the last event applied. */
export class Holders {
  private readonly tokens = new Map<string, Folded>();

  /** Applies one event; they must come in chain order. */
  apply(event: LicenseEvent): void {
    const key = tokenKey(event);
    const known = this.tokens.get(key);
    const token = known ?? { holder: ZERO_ADDRESS, renter: ZERO_ADDRESS, untilSecs: 0n, contradiction: undefined };
    if (event.kind === 'transfer') {
      if (token.holder !== event.from) token.contradiction ??= 'taken_from_another';
      // A transfer alone ends no rental: a collection that ends it logs UpdateUser too.
      token.holder = event.to;
    } else {
      if (known === undefined) token.contradiction ??= 'rented_before_transfer';
      Object.assign(token, { renter: event.renter, untilSecs: event.untilSecs });
    }
    this.tokens.set(key, token);
  }

  /** Why a license counts for nobody, if its logs do not tell who holds it. */
  uncounted(token: Token): Uncounted | undefined {
    const folded = this.tokens.get(tokenKey(token));
    return folded === undefined ? 'no_transfer' : folded.contradiction;
  }

  /** By the last log, at a block's time; a rental runs through its last second. */
  at(token: Token, secs: bigint): { holder: Address; renter: Address } {
    const folded = this.tokens.get(tokenKey(token));
    if (folded === undefined) return { holder: ZERO_ADDRESS, renter: ZERO_ADDRESS };
    return { holder: folded.holder, renter: folded.untilSecs >= secs ? folded.renter : ZERO_ADDRESS };
  }
}

/** Who has a license on a day, by the rule of its bundle's format: one that is not counted has nobody. */
export interface DayHolder {
  license: number;
  holder: Address;
  renter: Address;
  uncounted: Uncounted | undefined;
}

/** Licenses in their order, by the logs. */
export function holdersOf(
  facts: Pick<DayFacts, 'owned' | 'uncounted'>,
  licenses: readonly (Token & { license: number })[],
  { format, snapshot }: Pick<Bundle, 'format' | 'snapshot'>,
): DayHolder[] {
  return licenses.map((token) => {
    const { license } = token;
    const uncounted = format === FORMAT_1 ? undefined : facts.uncounted(token);
    if (uncounted !== undefined) return { license, holder: ZERO_ADDRESS, renter: ZERO_ADDRESS, uncounted };
    return { license, ...facts.owned(token, snapshot.block_secs), uncounted };
  });
}
