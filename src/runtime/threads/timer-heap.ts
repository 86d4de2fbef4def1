/**
 * A host's timers: a binary heap by due time whose entries know their place, so that cancelling takes one out at once.
 * Most timers are deadlines that are cancelled long before they are due: left in, they would pile up.
 */
import { assert } from '../../base/assert.js';
import type { TimerId } from '../actor.js';

/** So many timers can be set at a time: the low digits of an id. */
const MAX_TIMERS = 2 ** 21;

interface Entry<T> {
  dueMs: number;
  /** Parts equal due times: first set, first due. */
  order: number;
  id: TimerId;
  place: number;
  payload: T;
}

export class TimerHeap<T> {
  private readonly heap: Entry<T>[] = [];
  /** By the low digits of the id. */
  private readonly entries: (Entry<T> | undefined)[] = [];
  private readonly free: number[] = [];
  /** How often each index was used: makes ids differ. */
  private readonly uses: number[] = [];
  private order = 0;

  get size(): number {
    return this.heap.length;
  }

  /** When the next one is due, or Infinity. */
  get nextMs(): number {
    return this.heap.length === 0 ? Infinity : this.heap[0]!.dueMs;
  }

  add(dueMs: number, payload: T): TimerId {
    const index = this.free.pop() ?? this.entries.length;
    assert(index < MAX_TIMERS, 'too many timers are set at a time');
    const uses = ((this.uses[index] ?? 0) + 1) >>> 0;
    this.uses[index] = uses;
    const id = uses * MAX_TIMERS + index;
    const entry: Entry<T> = { dueMs, order: this.order++, id, place: this.heap.length, payload };
    this.entries[index] = entry;
    this.heap.push(entry);
    this.up(entry);
    return entry.id;
  }

  /** Takes a timer out; nothing happens if it is gone. */
  cancel(id: TimerId): void {
    const entry = this.entries[id % MAX_TIMERS];
    if (entry !== undefined && entry.id === id) this.remove(entry);
  }

  /** Takes out the first timer due at `nowMs`, and gives its payload; undefined if none is. */
  takeDue(nowMs: number): T | undefined {
    const first = this.heap[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    this.remove(first);
    return first.payload;
  }

  /** Takes out every timer whose payload `matches`. Walks them all: for the rare crash of an actor. */
  removeAll(matches: (payload: T) => boolean): void {
    for (const entry of this.heap.filter((each) => matches(each.payload))) this.remove(entry);
  }

  private remove(entry: Entry<T>): void {
    const index = entry.id % MAX_TIMERS;
    this.entries[index] = undefined;
    this.free.push(index);
    const last = this.heap.pop()!;
    if (last === entry) return;
    last.place = entry.place;
    this.heap[last.place] = last;
    this.up(last);
    this.down(last);
  }

  private up(entry: Entry<T>): void {
    while (entry.place > 0) {
      const parent = this.heap[(entry.place - 1) >>> 1]!;
      if (before(parent, entry)) return;
      this.swap(parent, entry);
    }
  }

  private down(entry: Entry<T>): void {
    for (;;) {
      const left = this.heap[entry.place * 2 + 1];
      if (left === undefined) return;
      const right = this.heap[entry.place * 2 + 2];
      const child = right !== undefined && before(right, left) ? right : left;
      if (before(entry, child)) return;
      this.swap(entry, child);
    }
  }

  private swap(upper: Entry<T>, lower: Entry<T>): void {
    const place = upper.place;
    upper.place = lower.place;
    lower.place = place;
    this.heap[upper.place] = upper;
    this.heap[lower.place] = lower;
  }
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
