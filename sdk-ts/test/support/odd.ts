/** A collection that logs whatever its owner likes, as strangers' contracts do; what it is asked, it refuses. */

import { encodeAbiParameters, type Hex, pad, toEventSelector, toHex } from 'viem';

import type { Address, Uncounted } from '../../src/index.js';
import { type Devnet, lower, person } from './devnet.js';
import type { Random } from './random.js';

const ZERO: Address = `0x${'0'.repeat(40)}`;
const NEVER_ENDS = (1n << 64n) - 1n;
const [ALICE, BOB, CAROL] = [12, 13, 14].map((i) => lower(person(i).address)) as [Address, Address, Address];

/**
 * Four words of calldata are the topics of a log without data; five are three topics, a word of data, and one that
 * is not read. Anything else reverts.
 */
const LOGS_ANYTHING: Hex = `0x${[
  '3660801460135736', '60a01460265760006000fd', '5b6060356040356020356000356000', '6000a400',
  '5b606035600052604035602035600035602060', '00a300',
].join('')}`;

/** A step of a token's life: a transfer from and to, or a rental that never ends. */
type Step = [from: Address, to: Address] | [renter: Address];

/** Who has it by the last log alone, and why it is not counted since the second format. */
interface Oddity {
  steps: Step[];
  last: { holder: Address; renter: Address };
  reason: Uncounted | undefined;
}

const ODDITIES: Oddity[] = [
  { steps: [], last: { holder: ZERO, renter: ZERO }, reason: 'no_transfer' },
  { steps: [[CAROL], [ZERO, ALICE]], last: { holder: ALICE, renter: CAROL }, reason: 'rented_before_transfer' },
  { steps: [[CAROL]], last: { holder: ZERO, renter: CAROL }, reason: 'rented_before_transfer' },
  // Minted without a log, and sold with one.
  { steps: [[ALICE, BOB]], last: { holder: BOB, renter: ZERO }, reason: 'taken_from_another' },
  // Minted twice, and then in good order.
  { steps: [[ZERO, ALICE], [ZERO, BOB], [BOB, CAROL]], last: { holder: CAROL, renter: ZERO }, reason: 'taken_from_another' },
  // No contradiction: burnt and minted again, and burnt while rented.
  { steps: [[ZERO, ALICE], [ALICE, ZERO], [ZERO, BOB]], last: { holder: BOB, renter: ZERO }, reason: undefined },
  { steps: [[ZERO, ALICE], [CAROL], [ALICE, ZERO]], last: { holder: ZERO, renter: CAROL }, reason: undefined },
];

export class OddCollection {
  /** The oddity of each token, from token 1 on. */
  readonly tokens: Oddity[] = [];

  private constructor(
    private readonly devnet: Devnet,
    readonly address: Address,
  ) {}

  /** Listed as an honest one, and then changed, as a proxy can be. */
  static async create(devnet: Devnet): Promise<OddCollection> {
    const address = await devnet.list('odd');
    await devnet.become(address, LOGS_ANYTHING);
    return new OddCollection(devnet, address);
  }

  /** One more token, with its logs. */
  async add(random: Random): Promise<void> {
    const oddity = this.tokens.length < ODDITIES.length ? ODDITIES[this.tokens.length] as Oddity : random.pick(ODDITIES);
    this.tokens.push(oddity);
    const tokenId = toHex(BigInt(this.tokens.length), { size: 32 });
    const word = (address: Address) => pad(address);
    for (const [first, second] of oddity.steps) {
      const words = second === undefined
        ? [toEventSelector('UpdateUser(uint256,address,uint64)'), tokenId, word(first), toHex(NEVER_ENDS, { size: 32 }), tokenId]
        : [toEventSelector('Transfer(address,address,uint256)'), word(first), word(second), tokenId];
      const data = encodeAbiParameters(words.map(() => ({ type: 'bytes32' })), words);
      await this.devnet.send(this.devnet.people.owner, this.address, data);
    }
  }
}
