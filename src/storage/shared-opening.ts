/**
 * Tells threads that read a file of LMDB whether the thread that writes to it has it open, and holds the writer's next
 * opening back until the readers are out. Without it a reader could come first, while the writer restarts: the file would
 * be open read-only for the whole process, and stay so after the writer's opening had failed (lmdb 3.5 and 2.9 count an
 * opening that failed in an environment that is shared, and never let go of it).
 *
 *     one word of shared memory:   bit 0: the writer has it open   │   above it: how many readers are in
 *
 *     writer starts    clears bit 0 · waits until no reader is in · opens · sets bit 0
 *     writer stops     clears bit 0 · closes
 *     writer dies      bit 0 stays, until its next start clears it
 *     process ends     clears bit 0 · waits a while until no reader is in
 *     reader           enters only if bit 0 is set, in one step with counting itself · opens, reads, closes · leaves
 *
 * A reader that dies inside stays counted, while its thread's end has let go of the file: so the wait has an end.
 */
import { setTimeout } from 'node:timers/promises';

const OPEN = 1;
const READER = 2;
/** A reader is in for some milliseconds. */
const LOOK_MS = 1;

export class SharedOpening {
  private readonly word: Int32Array;

  /** @param word - one word of shared memory, 0 at first, the same for all threads and for the life of the file */
  constructor(word: Int32Array) {
    this.word = word;
  }

  /**
   * For the writer, before it opens the file.
   * @param timeoutMs - how long to wait for readers that may have died (default 5,000)
   */
  async beforeOpening(timeoutMs = 5_000): Promise<void> {
    const { word } = this;
    Atomics.and(word, 0, ~OPEN);
    const until = performance.now() + timeoutMs;
    while (Atomics.load(word, 0) !== 0) {
      if (performance.now() >= until) {
        Atomics.store(word, 0, 0);
        return;
      }
      await setTimeout(LOOK_MS);
    }
  }

  /** For the writer: it has the file open now. */
  opened(): void {
    Atomics.or(this.word, 0, OPEN);
  }

  /** For the writer, before it closes the file. */
  closing(): void {
    Atomics.and(this.word, 0, ~OPEN);
  }

  /**
   * For the end of the process: nobody enters any more, and those who are in have time to leave. A thread that is ended
   * within a call of lmdb may take the process down with it, by a signal.
   * @param untilMs - when to give them up, by `performance.now()`; it spins, since nothing else runs on its thread any more
   */
  shut(untilMs: number): void {
    this.closing();
    while (Atomics.load(this.word, 0) >= READER && performance.now() < untilMs);
  }

  /** For a reader: true if it may open the file; then it must `leave` once it has closed it. */
  enter(): boolean {
    const { word } = this;
    for (;;) {
      const value = Atomics.load(word, 0);
      if ((value & OPEN) === 0) return false;
      if (Atomics.compareExchange(word, 0, value, value + READER) === value) return true;
    }
  }

  leave(): void {
    const { word } = this;
    for (;;) {
      const value = Atomics.load(word, 0);
      // The writer has given this reader up already.
      if (value < READER) return;
      if (Atomics.compareExchange(word, 0, value, value - READER) === value) return;
    }
  }
}
