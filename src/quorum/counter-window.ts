/**
 * Which of one client's latest 65,536 numbers were seen, in room that follows from how many were.
 *
 *     few:   a ring of the seen ones, ascending, 2 bytes each       7 · 1,031 · 2,055 · …
 *     many:  a bit for each number of the window, 8 KiB             1011 0111 …
 *
 * A vnode of 1,024 sees about every thousandth number of a client: 64 of a window, which are 128 bytes. A coordinator of
 * five sees every fifth. Numbers come roughly in order, so that one is mostly put at the ring's end, or near it.
 * Source: RFC 6479 (the window); Lemire et al., *Roaring Bitmaps* (2018; the two forms, and where one turns into the other).
 */
export const WINDOW = 65_536;

const FEW = 16;
/** The ring is doubled up to here, 4 KiB: at twice as many both forms are of one size. */
const MANY = 2_048;
const NO_NUMBERS = new Uint16Array(0);

export class CounterWindow {
  /** The highest number seen; numbers are from 1. */
  private highest = 0;
  /** Seen numbers modulo WINDOW; the length is a power of two. Unused once there are bits. */
  private ring = NO_NUMBERS;
  private first = 0;
  private count = 0;
  /** Bit `number % WINDOW`: seen. Meaningful for the numbers of the window only. */
  private bits: Uint32Array | null = null;

  /** 'new' (and from now on seen), 'seen', or 'late' if it lies before the window. */
  see(counter: number): 'new' | 'seen' | 'late' {
    const { highest } = this;
    if (counter > highest) {
      this.advance(counter);
      if (this.bits === null) this.insert(this.count, counter);
      else this.setBit(this.bits, counter);
      return 'new';
    }
    if (counter <= highest - WINDOW) return 'late';
    if (this.bits !== null) return this.setBit(this.bits, counter) ? 'new' : 'seen';
    const age = highest - counter;
    let at = this.count;
    while (at > 0 && this.ageAt(at - 1) < age) at--;
    if (at > 0 && this.ageAt(at - 1) === age) return 'seen';
    this.insert(at, counter);
    return 'new';
  }

  /** Of the numbers alone. */
  get bytes(): number {
    return this.ring.byteLength + (this.bits?.byteLength ?? 0);
  }

  private advance(counter: number): void {
    const step = counter - this.highest;
    if (step >= WINDOW) {
      this.count = 0;
      this.bits = null;
    } else if (this.bits !== null) {
      this.clearBits(this.bits, counter);
    } else {
      while (this.count > 0 && this.ageAt(0) + step >= WINDOW) {
        this.first = (this.first + 1) & (this.ring.length - 1);
        this.count--;
      }
    }
    this.highest = counter;
  }

  /** By how much the number at this place of the ring is below the highest. */
  private ageAt(place: number): number {
    const number = this.ring[(this.first + place) & (this.ring.length - 1)]!;
    return (this.highest - number) % WINDOW;
  }

  /** Puts `counter` before what is at `place` of the ring, the highest being up to date. */
  private insert(place: number, counter: number): void {
    if (this.count === this.ring.length) {
      if (this.count === MANY) {
        this.setBit(this.turnIntoBits(), counter);
        return;
      }
      this.double();
    }
    const { ring, first } = this;
    const mask = ring.length - 1;
    for (let later = this.count; later > place; later--)
      ring[(first + later) & mask] = ring[(first + later - 1) & mask]!;
    ring[(first + place) & mask] = counter % WINDOW;
    this.count++;
  }

  private double(): void {
    const { ring, first } = this;
    const larger = new Uint16Array(Math.max(FEW, 2 * ring.length));
    for (let place = 0; place < this.count; place++) larger[place] = ring[(first + place) & (ring.length - 1)]!;
    this.ring = larger;
    this.first = 0;
  }

  private turnIntoBits(): Uint32Array {
    const bits = new Uint32Array(WINDOW / 32);
    // The ring is full.
    for (const number of this.ring) this.setBit(bits, number);
    this.ring = NO_NUMBERS;
    this.first = 0;
    this.count = 0;
    this.bits = bits;
    return bits;
  }

  /** @returns false if it was set */
  private setBit(bits: Uint32Array, counter: number): boolean {
    const bit = counter % WINDOW;
    const word = bit >>> 5;
    const mask = 1 << (bit & 31);
    if ((bits[word]! & mask) !== 0) return false;
    bits[word]! |= mask;
    return true;
  }

  /** Of the numbers from behind the highest up to `counter`: whoever sees few of them clears them a word at a time. */
  private clearBits(bits: Uint32Array, counter: number): void {
    let passed = this.highest + 1;
    while (passed <= counter) {
      const bit = passed % WINDOW;
      const run = Math.min(32 - (bit & 31), counter - passed + 1);
      const cleared = run === 32 ? -1 : ((1 << run) - 1) << (bit & 31);
      bits[bit >>> 5]! &= ~cleared;
      passed += run;
    }
  }
}
