/**
 * Doorbells: how a thread with mail to deliver wakes one that is parked, without a call to the system while it is not.
 *
 *     consumer: drain → work → publish → parked = 1 → look again → wait
 *     producer: publish; if exchange(parked, 0) was 1, notify
 *
 * The consumer looks again after it has announced itself, so that a frame published in between is not slept over.
 * It waits by `Atomics.waitAsync`, so that timers, the control plane and drivers go on meanwhile (+3 % over blocking).
 */

/** `Atomics.waitAsync` is in Node 20, but not in the library types of ES2023. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    words: Int32Array,
    index: number,
    value: number,
  ): { async: false; value: string } | { async: true; value: Promise<string> };
};

const PARKED = 0;
/** Whether the thread may be ended from outside: on a cache line of its own, since it is rarely read. */
const COMMIT = 32;
const OUTSIDE = 0;
const INSIDE = 1;
const CONDEMNED = 2;

/** The shared words of one incarnation of a thread. */
export function createDoorbell(): SharedArrayBuffer {
  return new SharedArrayBuffer(256);
}

/**
 * Forbids a thread to begin another commit, so that it can be terminated: false if it stands within one.
 * A thread terminated within a commit would hold LMDB's writer lock for ever.
 */
export function condemn(memory: SharedArrayBuffer): boolean {
  return Atomics.compareExchange(new Int32Array(memory), COMMIT, OUTSIDE, CONDEMNED) !== INSIDE;
}

/** Wakes the thread that `words` belong to, if it is parked. */
export function ring(words: Int32Array): void {
  if (Atomics.exchange(words, PARKED, 0) === 1) Atomics.notify(words, PARKED);
}

/** The consumer's side. */
export class Doorbell {
  private readonly words: Int32Array;
  private readonly woken: () => void;
  /** True while a wait is pending. One that was overtaken by a timer stays pending, and serves the next parking. */
  private waiting = false;

  /** @param onRing - called once for each ring, never within `wait` */
  constructor(memory: SharedArrayBuffer, onRing: () => void) {
    this.words = new Int32Array(memory);
    this.woken = () => {
      this.waiting = false;
      onRing();
    };
  }

  /** Announces that this thread will wait: from now on whoever publishes rings. Look for mail after this. */
  park(): void {
    Atomics.store(this.words, PARKED, 1);
  }

  /** Takes the announcement back. */
  unpark(): void {
    Atomics.store(this.words, PARKED, 0);
  }

  /** Waits for a ring since `park`. False if it has rung already. */
  wait(): boolean {
    if (this.waiting) return Atomics.load(this.words, PARKED) === 1;
    const outcome = waitAsync(this.words, PARKED, 1);
    if (!outcome.async) return false;
    this.waiting = true;
    void outcome.value.then(this.woken);
    return true;
  }

  /** Announces a commit, or other work on a storage: the thread must not be terminated. False if it is condemned. */
  enterCommit(): boolean {
    return Atomics.compareExchange(this.words, COMMIT, OUTSIDE, INSIDE) === OUTSIDE;
  }

  leaveCommit(): void {
    Atomics.store(this.words, COMMIT, OUTSIDE);
  }

  /** Ends a pending wait. */
  close(): void {
    Atomics.store(this.words, PARKED, 0);
    Atomics.notify(this.words, PARKED);
  }
}
