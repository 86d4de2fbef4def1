/**
 * One timer of an actor that has several reasons to wake up: the soonest of them counts, and whoever has woken up looks at all.
 * There is never a second timer. One that is left behind when a sooner one is set would, once it came, set another in its turn:
 * thousands of them were seen, which took a core for seconds.
 */
import type { ActorContext, TimerId } from '../src/runtime/actor.js';

export class Wakeup {
  private readonly message: unknown;
  /** Undefined: no timer is set. */
  private dueMs: number | undefined;
  private timer: TimerId | undefined = undefined;

  /** @param message - what the actor's `timer` is given */
  constructor(message: unknown) {
    this.message = message;
  }

  /** To be woken at that time at the latest: monotonic milliseconds, of which one passes at least. */
  at(ms: number, context: ActorContext): void {
    if (this.dueMs !== undefined) {
      if (this.dueMs <= ms) return;
      this.cancel(context);
    }
    this.dueMs = ms;
    this.timer = context.after(Math.max(1, ms - context.now()), this.message);
  }

  /** There is no reason left. */
  cancel(context: ActorContext): void {
    if (this.dueMs === undefined) return;
    context.cancel(this.timer!);
    this.dueMs = undefined;
  }

  /** The timer has come. */
  came(): void {
    this.dueMs = undefined;
  }
}
