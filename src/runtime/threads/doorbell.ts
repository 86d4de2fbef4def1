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
/** 1 while a storage's transaction is being written; on a cache line of its own, too. */
const TRANSACTION = 16;
const OUTSIDE = 0;
const INSIDE = 1;
const CONDEMNED = 2;
/** The thread's pulse, on a cache line of its own: written with every turn, read by others now and then. */
const PULSE = 48;
const NO_PULSE = -1;
/** Not 0 once a thread that stands still is to go on: beside the word about commits, since it is as rarely used. */
const GO_ON = 33;
const MAX_PULSE = 0x7fff_ffff;

/** The shared words of one incarnation of a thread. It has no pulse yet. */
export function createDoorbell(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(256);
  new Int32Array(memory)[PULSE] = NO_PULSE;
  return memory;
}

/**
 * Forbids a thread to begin another commit, so that it can be terminated: false if it stands within one.
 * A thread terminated within a commit would hold LMDB's writer lock for ever.
 */
export function condemn(memory: SharedArrayBuffer): boolean {
  return Atomics.compareExchange(new Int32Array(memory), COMMIT, OUTSIDE, CONDEMNED) !== INSIDE;
}

/** The word of one incarnation of a thread that its storages keep at 1 while they write a transaction, as index 0. */
export function transactionWord(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, TRANSACTION * Int32Array.BYTES_PER_ELEMENT, 1);
}

/** Wakes the thread that `words` belong to, if it is parked. */
export function ring(words: Int32Array): void {
  if (Atomics.exchange(words, PARKED, 0) === 1) Atomics.notify(words, PARKED);
}

/**
 * The pulse of the thread that `words` belong to, or −1. A parked thread is woken for a turn, so that the next reading
 * tells whether its loop runs: a pulse by a timer cost five idle threads 2 % of a core (25 ms), this costs them nothing.
 */
export function readPulse(words: Int32Array): number {
  const pulse = Atomics.load(words, PULSE);
  if (pulse !== NO_PULSE && Atomics.load(words, PARKED) === 1) ring(words);
  return pulse;
}

/** True while the thread that `words` belong to is within a commit, or other work on a storage. */
export function isInCommit(words: Int32Array): boolean {
  return Atomics.load(words, COMMIT) === INSIDE;
}

/** False before a thread is ready, and once it is about to end. */
export function hasPulse(memory: SharedArrayBuffer): boolean {
  return Atomics.load(new Int32Array(memory), PULSE) !== NO_PULSE;
}

/** Lets a thread that stands still by order go on, and never stand still again: it is to end. */
export function endStillness(memory: SharedArrayBuffer): void {
  const words = new Int32Array(memory);
  Atomics.store(words, GO_ON, 1);
  Atomics.notify(words, GO_ON);
}

/** The consumer's side. */
export class Doorbell {
  private readonly words: Int32Array;
  private readonly woken: () => void;
  /** True while a wait is pending. One that was overtaken by a timer stays pending, and serves the next parking. */
  private waiting = false;
  private beats = NO_PULSE;

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

  /** From now on the thread has a pulse. */
  startPulse(): void {
    this.beats = 0;
    Atomics.store(this.words, PULSE, 0);
  }

  /** One beat: called with every turn. */
  beat(): void {
    if (this.beats === NO_PULSE) return;
    this.beats = (this.beats + 1) & MAX_PULSE;
    Atomics.store(this.words, PULSE, this.beats);
  }

  /** From now on it has none: the thread is down, or about to be. */
  endPulse(): void {
    this.beats = NO_PULSE;
    Atomics.store(this.words, PULSE, NO_PULSE);
  }

  /** This thread's own pulse, or −1. */
  get pulse(): number {
    return this.beats;
  }

  /** Blocks the thread for a part of a millisecond in which nobody rings: see linger.ts. */
  rest(ms: number): void {
    this.standStill(ms);
  }

  /** Blocks the thread for `ms`, or until `endStillness`. */
  standStill(ms: number): void {
    // eslint-disable-next-line no-restricted-syntax -- To block the thread, of which nothing else shall run, is the point.
    Atomics.wait(this.words, GO_ON, 0, ms);
  }

  /** Ends a pending wait, and the pulse. */
  close(): void {
    this.endPulse();
    Atomics.store(this.words, PARKED, 0);
    Atomics.notify(this.words, PARKED);
  }
}
