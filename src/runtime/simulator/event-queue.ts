/**
 * The simulator's one queue of things to come: a binary heap ordered by virtual time. Events of one instant come in an
 * order drawn from the seed, because no runtime promises one. Cancelled events stay until they surface, and are
 * swept out when they outnumber the live ones.
 */
import type { Random } from '../../base/random.js';

/** Who an event happens to. The kind is the receiver's own numbering. */
export interface EventReceiver {
  fire(kind: number, subject: unknown): void;
}

export interface ScheduledEvent {
  /** Virtual milliseconds. */
  readonly time: number;
  readonly tie: number;
  readonly sequence: number;
  readonly receiver: EventReceiver;
  readonly kind: number;
  readonly subject: unknown;
  /** False once it happened or was cancelled. */
  live: boolean;
}

function before(a: ScheduledEvent, b: ScheduledEvent): boolean {
  if (a.time !== b.time) return a.time < b.time;
  if (a.tie !== b.tie) return a.tie < b.tie;
  return a.sequence < b.sequence;
}

const SWEEP_ABOVE = 1_024;

export class EventQueue {
  #heap: ScheduledEvent[] = [];
  #sequence = 0;
  #cancelled = 0;
  readonly #ties: Random;

  constructor(ties: Random) {
    this.#ties = ties;
  }

  /** How many events are still to happen. */
  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  add(time: number, receiver: EventReceiver, kind: number, subject: unknown): ScheduledEvent {
    const event = { time, tie: this.#ties.uint32(), sequence: this.#sequence++, receiver, kind, subject, live: true };
    this.#heap.push(event);
    this.#rise(this.#heap.length - 1);
    return event;
  }

  cancel(event: ScheduledEvent): void {
    if (!event.live) return;
    event.live = false;
    this.#cancelled++;
    if (this.#cancelled > SWEEP_ABOVE && this.#cancelled > this.#heap.length / 2) this.#sweep();
  }

  /** The time of the next event, or undefined if nothing is to come. */
  nextTime(): number | undefined {
    this.#dropCancelled();
    return this.#heap[0]?.time;
  }

  /** Takes out the next event, or undefined if nothing is to come. */
  take(): ScheduledEvent | undefined {
    this.#dropCancelled();
    const event = this.#removeTop();
    if (event !== undefined) event.live = false;
    return event;
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && !this.#heap[0]!.live) {
      this.#removeTop();
      this.#cancelled--;
    }
  }

  #removeTop(): ScheduledEvent | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) {
      heap[0] = last;
      this.#sink(0);
    }
    return top;
  }

  #sweep(): void {
    this.#heap = this.#heap.filter((event) => event.live);
    this.#cancelled = 0;
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  #rise(start: number): void {
    const heap = this.#heap;
    const event = heap[start]!;
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #sink(start: number): void {
    const heap = this.#heap;
    const event = heap[start]!;
    const length = heap.length;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, event)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = event;
  }
}
