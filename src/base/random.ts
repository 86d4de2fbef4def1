/**
 * Where chance comes from. Nothing in the protocol wing or in an actor draws a number by itself:
 * it is handed a `Random`, which is seeded in the simulator and fed by the system's entropy on threads.
 */
export interface Random {
  /** An integer from 0 to 2^32 − 1. */
  uint32(): number;
}

/** A double in [0, 1), of 32 random bits. */
export function unit(random: Random): number {
  return random.uint32() / 0x1_0000_0000;
}

/** An integer from 0 to `below` − 1. `below` is at most 2^32. */
export function below(random: Random, bound: number): number {
  return Math.floor(unit(random) * bound);
}

/** One of `items`, each as likely as the others. */
export function pick<T>(random: Random, items: readonly T[]): T {
  return items[below(random, items.length)]!;
}

/** A reordered copy of `items` (Fisher and Yates). */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = below(random, i + 1);
    const swapped = result[i]!;
    result[i] = result[j]!;
    result[j] = swapped;
  }
  return result;
}

/**
 * A small fast generator with a 128-bit state (sfc32), the same on every machine for one seed.
 * Not for secrets.
 */
export class SeededRandom implements Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number | bigint) {
    const wide = BigInt.asUintN(96, BigInt(seed));
    this.a = Number(wide & 0xffff_ffffn);
    this.b = Number((wide >> 32n) & 0xffff_ffffn);
    this.c = Number(wide >> 64n);
    // Neighbouring seeds start with like states; a few rounds part them.
    for (let i = 0; i < 15; i++) this.uint32();
  }

  uint32(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    this.c |= 0;
    return sum >>> 0;
  }

  /** A generator of its own, whose draws do not shift this one's. */
  fork(): SeededRandom {
    return new SeededRandom((BigInt(this.uint32()) << 64n) | (BigInt(this.uint32()) << 32n) | BigInt(this.uint32()));
  }
}
