/** Numbers that look random, and are the same in every run with the same seed (SplitMix64). */
export class Random {
  private state: bigint;
  constructor(seed: number) {
    this.state = BigInt(seed);
  }

  private next(): bigint {
    const mask = (1n << 64n) - 1n;
    this.state = (this.state + 0x9e3779b97f4a7c15n) & mask;
    let z = this.state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return z ^ (z >> 31n);
  }

  /** From 0 to just below `end`. */
  below(end: bigint): bigint {
    let bits = 0n;
    for (let words = end; words > 0n; words >>= 64n) bits = (bits << 64n) | this.next();
    return end === 0n ? 0n : bits % end;
  }

  int(end: number): number {
    return Number(this.below(BigInt(end)));
  }

  /** True in one of `n` cases. */
  oneIn(n: number): boolean {
    return this.int(n) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.int(values.length)] as T;
  }

  hex(bytes: number): `0x${string}` {
    return `0x${Array.from({ length: bytes }, () => this.int(256).toString(16).padStart(2, '0')).join('')}`;
  }
}
