/**
 * When turns are taken: at once after mail came, again while there is more, with a pass of the event loop in between,
 * where the control plane, timers and drivers live; and not at all while there is nothing to do.
 */
import type { Doorbell } from './doorbell.js';
import { Linger } from './linger.js';

/** What takes the turns. */
export interface TurnTaker {
  turn(): void;
  /** True if there is something for a turn. */
  readonly hasMail: boolean;
  /** True while this thread waits for answers of others. */
  readonly awaitsAnswers: boolean;
  /** When the first timer is due, by `performance.now()`; or Infinity. */
  readonly nextDueMs: number;
}

export class TurnLoop {
  private readonly taker: TurnTaker;
  private readonly bell: Doorbell;
  private readonly polls: number;
  private readonly linger = new Linger();
  /** How often to look now: halved when looking was in vain, doubled when it paid; from 1 up to `polls`. */
  private budget: number;
  private pollsLeft = 0;
  /** True while the scheduled pass of the event loop is only to look for mail. */
  private polling = false;
  private scheduled = false;
  private closed = false;
  private timer: NodeJS.Timeout | undefined = undefined;
  private timerDueMs = Infinity;
  /**
   * Holds the process while this thread waits for answers, which `Atomics.waitAsync` alone does not; and while an actor
   * has set a timer, for then it has something to do: a request that rests before it is sent again.
   */
  private readonly keepAlive = setInterval(() => {}, 2 ** 30).unref();

  private readonly runImmediate = (): void => {
    this.scheduled = false;
    if (this.polling && !this.closed) this.look();
    else this.run();
  };
  private readonly runTimer = (): void => {
    this.timer = undefined;
    this.timerDueMs = Infinity;
    this.run();
  };

  /** @param polls - looks before parking while answers are awaited; with 0, the thread may rest before it parks (linger.ts) */
  constructor(taker: TurnTaker, bell: Doorbell, polls: number) {
    this.taker = taker;
    this.bell = bell;
    this.polls = polls;
    this.budget = polls;
  }

  /** Takes a turn soon: after what else this pass of the event loop has to do, so that a burst makes one turn. */
  schedule(): void {
    this.polling = false;
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    setImmediate(this.runImmediate);
  }

  /** A turn, and what comes after it: another one, a few looks, or parking. */
  run(): void {
    if (this.closed) return;
    this.bell.unpark();
    this.bell.beat();
    this.polling = false;
    const startMs = performance.now();
    this.taker.turn();
    if (this.closed) return;
    const endMs = performance.now();
    this.linger.turnEnded(endMs - startMs, endMs);
    if (this.taker.hasMail) {
      this.schedule();
    } else if (this.taker.awaitsAnswers && this.budget > 0) {
      this.pollsLeft = this.budget;
      this.poll();
    } else if (this.polls === 0 && this.rests(endMs)) {
      this.schedule();
    } else {
      this.park();
    }
    this.armTimer();
  }

  /** Rests, if that is called for. @returns true if mail has come meanwhile */
  private rests(nowMs: number): boolean {
    const restMs = Math.min(this.linger.nextRest(), this.taker.nextDueMs - nowMs);
    if (restMs <= 0) return false;
    this.bell.rest(restMs);
    this.linger.rested(restMs, performance.now() - nowMs);
    return this.taker.hasMail;
  }

  /** After work outside of turns, which may have sent requests and set timers. */
  afterOutside(): void {
    // A turn is due: it sees to all the rest. Of a burst of calls only the first comes further.
    if (this.scheduled && !this.polling) return;
    if (this.taker.awaitsAnswers) this.keepAlive.ref();
    if (this.taker.hasMail) this.schedule();
    else this.armTimer();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    clearInterval(this.keepAlive);
    this.bell.close();
  }

  /** Looks for mail in the next pass of the event loop. */
  private poll(): void {
    if (this.scheduled) return;
    this.polling = true;
    this.scheduled = true;
    setImmediate(this.runImmediate);
  }

  private look(): void {
    if (this.taker.hasMail) {
      this.budget = Math.min(this.polls, this.budget * 2);
      this.run();
    } else if (--this.pollsLeft > 0) {
      this.poll();
    } else {
      this.budget = Math.max(1, this.budget >>> 1);
      this.polling = false;
      this.park();
    }
  }

  private park(): void {
    if (this.scheduled) return;
    this.bell.park();
    if (this.taker.hasMail || !this.bell.wait()) this.schedule();
    else if (this.taker.awaitsAnswers || this.taker.nextDueMs < Infinity) this.keepAlive.ref();
    else this.keepAlive.unref();
  }

  /** One timer of the system for all of the actors'. It may fire in vain, if the first of them was cancelled. */
  private armTimer(): void {
    const next = this.taker.nextDueMs;
    if (next >= this.timerDueMs) return;
    clearTimeout(this.timer);
    this.timerDueMs = next;
    this.timer = setTimeout(this.runTimer, Math.max(0, Math.ceil(next - performance.now()))).unref();
  }
}
