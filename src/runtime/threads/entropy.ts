/** Chance from the system's entropy, drawn in blocks. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../../base/random.js';

export class EntropyRandom implements Random {
  private readonly block = new Uint32Array(256);
  private used = this.block.length;

  uint32(): number {
    if (this.used === this.block.length) {
      randomFillSync(this.block);
      this.used = 0;
    }
    return this.block[this.used++]!;
  }
}
